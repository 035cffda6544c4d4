"""What is there of a person before an enrolment, so that it can go on from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from asradapt.adaptation import METHODS, SpeakerBank, create
from asradapt.enrolment.examples import Example, Examples, digests_of, prepare_examples
from asradapt.enrolment.folds import SENTENCE_WORDS
from asradapt.errors import AsradaptError, StoreError
from asradapt.held import Held, hold
from asradapt.models.base import SourceModel
from asradapt.pcm import to_samples
from asradapt.store import Adaptation, SpeakerRecord, SpeakerStore, another_source
from asradapt.wording import counted

Options = Mapping[str, Mapping[str, object]]  # by method name


@dataclass(frozen=True, eq=False)
class Past:
    """The adaptation in use and the recordings that were kept.

    Attributes:
        current: The current version, if it is an adaptation to the same source; None otherwise.
        kept: The kept recordings, each with the digest of its samples.
        notes: What could not be used of it, in plain sentences.
    """

    current: Adaptation | None = None
    kept: Mapping[str, Held] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """The version in use; 0 for the source."""
        return self.current.record.version if self.current else 0

    def seen(self, examples: Sequence[Example]) -> list[bool]:
        """Whether the current version has learned from each: the same samples, or the same sentence."""
        digests, texts, _ = learned_from(self.current.record) if self.current else (set(), set(), 0)
        return [
            one.digest in digests or (len(one.text.split()) >= SENTENCE_WORDS and one.text in texts)
            for one in examples
        ]


@dataclass(frozen=True, eq=False)
class Start:
    """What a training begins with.

    Attributes:
        state: Tensors (1, ...) to begin with; empty for the source.
        version: The version they are of; 0 for the source.
        said: The beginning in one plain sentence; empty where there was nothing before.
    """

    state: Mapping[str, Tensor] = field(default_factory=dict)
    version: int = 0
    said: str = ""


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def learned_from(record: SpeakerRecord) -> tuple[set[str], set[str], int]:
    """Digests and texts of all that a version's tensors have learned from, and the number of recordings.

    Versions of before digests were noted are known by their texts.
    """
    earlier = record.split.get("earlier")
    parts = [record.split, *([earlier] if isinstance(earlier, dict) else [])]
    digests = {digest for part in parts for digest in _strings(part.get("digests"))}
    texts = [text for part in parts for text in _strings(part.get("texts"))]
    return digests, set(texts), len(texts)


def split_of(
    examples: Sequence[Example],
    folds: Sequence[Sequence[int]],
    past: Past,
    start: Start,
    heard: Sequence[Example] = (),
) -> dict[str, object]:
    """What a record says about its recordings, and about those of before, if training began with a version.

    Of pieces that were only `heard` it notes no texts: it may be private talk.
    """
    own: dict[str, object] = {
        "folds": [list(fold) for fold in folds],
        "texts": [one.text for one in examples],
        "digests": digests_of([*examples, *heard]),
    }
    if start.version and past.current:
        parts = [past.current.record.split, past.current.record.split.get("earlier")]
        found = [part for part in parts if isinstance(part, dict)]
        own["earlier"] = {
            "version": start.version,
            "texts": [text for part in found for text in _strings(part.get("texts"))],
            "digests": [digest for part in found for digest in _strings(part.get("digests"))],
        }
    return own


def look_back(model: SourceModel, store: SpeakerStore | None, name: str) -> Past:
    """What a store holds of a person; what is damaged or of another source is noted, not used."""
    if store is None or name not in store:
        return Past()
    notes: list[str] = []
    return Past(_current(model, store, name, notes), kept_recordings(store, name, notes), tuple(notes))


def _current(model: SourceModel, store: SpeakerStore, name: str, notes: list[str]) -> Adaptation | None:
    try:
        current = store.load(name)
    except StoreError as error:
        notes.append(f"{error}; training starts without it")
        return None
    record = current.record
    if record.decision != "adapted":
        return None
    if not record.transcribed:  # which recordings it has heard cannot be told: no honest check could start from it
        notes.append(
            f"{name}: version {record.version} was learned without transcripts: training starts from the source"
        )
        return None
    if record.imported:  # the same
        notes.append(
            f"{name}: version {record.version} was imported, and what it has learned from is not known: training "
            "starts from the source"
        )
        return None
    if other := another_source(record, model.name, model.fingerprint):
        notes.append(f"{name}: version {record.version} {other}: training starts from the source")
        return None
    try:
        standing_bank(model, current)
    except (AsradaptError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        notes.append(f"{name}: version {record.version} cannot be used: {error}; training starts from the source")
        return None
    return current


def standing_bank(model: SourceModel, current: Adaptation) -> SpeakerBank:
    """A bank of one speaker with the tensors of a stored version.

    Raises:
        AsradaptError: If method, options and tensors do not fit together.
    """
    methods = create(current.record.method, current.record.options)
    bank = SpeakerBank(model, methods)
    bank.load(0, current.tensors)
    return bank


def kept_recordings(store: SpeakerStore, name: str, notes: list[str]) -> dict[str, Held]:
    """The recordings that are kept of a person, by the digest of their samples; what is damaged is noted."""
    found: dict[str, Held] = {}
    try:
        shelf = store.recordings(name)
        listed = shelf.kept().recordings
    except StoreError as error:
        notes.append(str(error))
        return {}
    for one in listed:
        try:
            samples = to_samples(shelf.samples(one))
        except StoreError as error:
            notes.append(str(error))
        else:
            audio = Path(f"kept recording {one.digest[:12]}")
            found[one.digest] = replace(hold(audio, one.text, name, samples, one.sample_rate), kept=True)
    return found


def with_kept(model: SourceModel, past: Past, new: Examples, added: str = "") -> Examples:
    """New recordings and those that were kept; a new text for a kept recording takes the place of its old one."""
    given = {one.digest for one in new.usable}
    old = prepare_examples(model, [held for digest, held in past.kept.items() if digest not in given], added)
    changed = [
        f"{one.utterance.audio}: its new text replaces the one that was kept with the recording"
        for one in new.usable
        if one.digest in past.kept and _differs(past.kept[one.digest].text, one)
    ]
    return Examples(
        old.usable + new.usable, old.failed + new.failed, (*past.notes, *old.warnings, *new.warnings, *changed)
    )


def _differs(text: str | None, example: Example) -> bool:
    from asradapt.scoring import normalize

    return normalize(text or "") != example.text


def begin(past: Past, examples: Sequence[Example], method: str, options: Options) -> Start:
    """With what training begins: the current version where nothing of what is held out was learned before.

    Args:
        past: What is there.
        examples: What the person is enrolled from, kept recordings included.
        method: The method asked for, or `auto`.
        options: Options by method name.
    """
    if past.kept:
        old = sum(one.digest in past.kept for one in examples)
        if old == len(examples):
            return Start(said=f"trained on {counted(old, 'kept recording')}")
        return Start(said=f"trained on {old} kept and {counted(len(examples) - old, 'new recording')} together")
    if past.current is None:
        return Start()
    record = past.current.record
    if again := sum(past.seen(examples)):
        return Start(
            said=f"trained from the source: version {record.version} has learned from {again} of these recordings "
            "or sentences, so going on from it would flatter the check"
        )
    wanted = record.method if method == "auto" else method
    if method == "auto" and "tokens" in options and "tokens" not in record.method.split("+"):
        return Start(said=f"trained from the source: version {record.version} writes no new characters")
    own = record.options if method == "auto" else {}  # auto goes on with what is there
    if (wanted, _options(wanted, options, own)) != (record.method, record.options):
        return Start(
            said=f"trained from the source: version {record.version} is {record.method} with other options"
        )
    if method == "auto" and any(METHODS[one].one_speaker for one in wanted.split("+")):
        return Start(
            said=f"trained from the source: version {record.version} is {wanted}, which auto does not try"
        )
    count = learned_from(record)[2]
    return Start(
        past.current.tensors,
        record.version,
        f"trained from version {record.version}, which had learned from {counted(count, 'recording')}",
    )


def _options(method: str, given: Options, own: Options) -> dict[str, dict[str, object]]:
    """All options of a method: those that the user gives before its own, and its defaults."""
    chosen = {name: {**own.get(name, {}), **given.get(name, {})} for name in method.split("+")}
    return {one.name: one.options() for one in create(method, chosen)}


def load_starts(bank: SpeakerBank, rows: Iterable[tuple[int, Mapping[str, Tensor]]]) -> None:
    """Let rows of a bank begin with the tensors of stored versions; rows without stay the identity."""
    for row, state in rows:
        if state:
            bank.load(row, state)
