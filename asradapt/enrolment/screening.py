"""Which recordings of a person are left out of the training, and why; and what could be recorded better.

Nothing is left out for what is the matter with most recordings of a person: that is their microphone, their room
or their way of speaking, which is what an adaptation is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import torch

from asradapt.adaptation.tokens import base_letter
from asradapt.decoding import greedy_decode
from asradapt.enrolment.examples import Example
from asradapt.enrolment.objective import Pair, adapted, encode_pairs
from asradapt.enrolment.updates import TrainingOptions, pair_batches
from asradapt.held import recording_of
from asradapt.models.base import Seq2SeqModel, SourceModel, writes
from asradapt.recordings.duplicates import RATE, Bands, Samples, same_sounds
from asradapt.recordings.fits import log_scores, token_index
from asradapt.recordings.mismatch import Judged, judge_texts
from asradapt.types import Utterance
from asradapt.wording import counted

MOST_BAD = 0.5
"""Where more of the recordings have bad levels or noise, it is the microphone or the room."""
NOT_JUDGED = (
    "whether the recordings say their texts was not judged: that takes a model with CTC outputs; "
    "`asradapt check --match-text` with the model source_en can tell for English"
)
ADVICE = {
    "clipped": "are clipped in places: lower the input level",
    "noisy": "are noisy: a quieter place, or nearer to the microphone, would help",
    "cut off": "begin or end in the middle of a sound: leave half a second of silence before and after",
    "long silence": "have seconds of silence at an end: cut it off",
}


@dataclass(frozen=True)
class LeftOut:
    """A recording that is not trained on.

    Attributes:
        audio: The file.
        text: Its text, to be read again.
        kind: `text-mismatch`, `quality` or `duplicate`.
        reason: Why, in words.
    """

    audio: str
    text: str
    kind: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        """The recording for `--json` outputs."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Screening:
    """A person's recordings after the checks.

    Attributes:
        kept: What is trained on.
        left_out: What is not, in the order given.
        remarks: What else the person should know, in sentences.
        heard: What the source hears in each kept recording.
    """

    kept: tuple[Example, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...]
    heard: tuple[str, ...]


def screen(
    model: SourceModel, examples: Sequence[Example], options: TrainingOptions, added: str = ""
) -> Screening:
    """Checks a person's recordings: texts that are not said, bad levels and noise, the same sound twice.

    Args:
        model: The source model, which compares texts with what it hears.
        examples: The usable recordings of one person.
        options: Sizes of batches.
        added: Characters of the texts beyond those of the model, which hears the letters they are made of.
    """
    judged, heard, remarks = _listen(model, examples, options, added)
    reasons: dict[int, tuple[str, str]] = {number: _mismatch(judged, number) for number in judged.suspects}
    bad = {n: e.quality.problem for n, e in enumerate(examples) if e.quality and e.quality.problem}
    if len(bad) <= MOST_BAD * len(examples):
        reasons |= {number: ("quality", problem) for number, problem in bad.items() if number not in reasons}
    else:
        remarks.append(_most_bad(len(bad), len(examples), list(bad.values())))
    reasons |= _copies(examples, reasons)
    remarks += _advice([example for number, example in enumerate(examples) if number not in reasons])
    left_out = tuple(
        LeftOut(str(examples[n].utterance.audio), examples[n].utterance.text or "", *reasons[n])
        for n in sorted(reasons)
    )
    kept = [number for number in range(len(examples)) if number not in reasons]
    return Screening(tuple(examples[n] for n in kept), left_out, tuple(remarks), tuple(heard[n] for n in kept))


Listened = tuple[Judged, list[str], list[str]]  # the texts judged, what is heard, remarks


@torch.no_grad()
def _listen(model: SourceModel, examples: Sequence[Example], options: TrainingOptions, added: str) -> Listened:
    """The texts judged on what the source hears, and what that is."""
    batches = pair_batches(model, [(0, example) for example in examples], options.batch_seconds)
    if writes(model):
        written = {id(e): text for batch in batches for (_, e), text in _texts(model, batch)}
        return Judged((), told=True), [written[id(example)] for example in examples], [NOT_JUDGED]
    scores, heard = {}, {}
    for batch in batches:
        logits, frames = encode_pairs(model, None, batch)
        texts = greedy_decode(logits, frames, model.tokens)
        for (_, example), score, text in zip(batch, log_scores(logits, frames), texts, strict=True):
            scores[id(example)], heard[id(example)] = score, text
    ordered = [scores[id(example)] for example in examples]
    index = token_index(model.tokens)
    said = [_writable(example.text, index) if added else example.text for example in examples]
    judged = judge_texts(said, ordered, index)
    unsure = not judged.told and any(fit.judged for fit in judged.fits)
    remarks = [_cannot_tell(len(examples))] if unsure else []
    return judged, [heard[id(example)] for example in examples], remarks


def _texts(model: Seq2SeqModel, batch: Sequence[Pair]) -> Iterator[tuple[Pair, str]]:
    """What the source writes for each pair of a batch."""
    with adapted(model, None, batch) as inputs:
        yield from zip(batch, model.texts(model.encode(*inputs)[0]), strict=True)


def _writable(text: str, index: Mapping[str, int]) -> str:
    """A text as the source hears it: letters that it cannot write as those that they are made of, or not."""
    plain = (letter if letter in index else base_letter(letter) for letter in text)
    return " ".join("".join(letter for letter in plain if letter in index).split()) or " "


def _mismatch(judged: Judged, number: int) -> tuple[str, str]:
    fit = judged.fits[number]
    other = f"; {fit.other!r} fits better" if fit.margin < 0 else ""
    return "text-mismatch", f"the audio hardly says its text{other}"


def _cannot_tell(count: int) -> str:
    return (
        f"the source model understands these {count} recordings too badly to tell whether they say their texts, "
        "or most texts belong to other recordings: nothing is left out for that; listen to a few"
    )


def _most_bad(bad: int, count: int, problems: Sequence[str]) -> str:
    usual = max(problems, key=lambda one: sum(one.split(":")[0] == other.split(":")[0] for other in problems))
    return f"{bad} of {counted(count, 'recording')} are bad, so none is left out for that. The usual: {usual}"


Sound = tuple[float, Bands, Utterance]  # a recording: seconds, long-term spectrum, and where it is


def sounds_of(examples: Sequence[Example]) -> list[Sound]:
    """The recordings, which have their spectra, as they are compared."""
    return [(one.seconds, one.bands, one.utterance) for one in examples if one.bands is not None]


def sounds_alike(sounds: Sequence[Sound]) -> list[list[int]]:
    """Groups of two recordings or more that hold the same sound, by number, each in rising order."""

    @lru_cache(maxsize=16)
    def load(place: int) -> Samples:
        return recording_of(sounds[place][2], RATE, None).samples

    return same_sounds([seconds for seconds, _, _ in sounds], [bands for _, bands, _ in sounds], load)


def _copies(examples: Sequence[Example], reasons: Mapping[int, object]) -> dict[int, tuple[str, str]]:
    """All but the first of the recordings that hold the same sound."""
    left = [
        number for number, example in enumerate(examples) if example.bands is not None and number not in reasons
    ]
    found = {}
    for first, *others in sounds_alike(sounds_of([examples[number] for number in left])):
        original = examples[left[first]]
        for number in (left[other] for other in others):
            wrong = "" if examples[number].text == original.text else " with another text; one of them is wrong"
            found[number] = ("duplicate", f"the same sound as {original.utterance.audio}{wrong}")
    return found


def _advice(examples: Sequence[Example]) -> list[str]:
    """A sentence for every kind of thing that could be better."""
    notes = [note for example in examples if example.quality for note in example.quality.notes]
    return [
        f"{notes.count(kind)} of {counted(len(examples), 'recording')} {what}"
        for kind, what in ADVICE.items()
        if kind in notes
    ]
