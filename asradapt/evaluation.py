"""Error rates before and after adaptation on the same utterances, per speaker and pooled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from asradapt.adaptation.mixed import IDENTITY
from asradapt.enrolment.folds import SENTENCE_WORDS
from asradapt.enrolment.past import learned_from
from asradapt.errors import UnknownName, UsageError
from asradapt.scoring import NORMALIZER, ErrorCounts, Interval, normalize, paired_bootstrap, score, total
from asradapt.scoring.remarks import UNNAMED, digits_in, without_speaker
from asradapt.store import SpeakerRecord
from asradapt.transcriber import Progress, Transcriber
from asradapt.transcript import Loaded, Window
from asradapt.types import Failure, Utterance
from asradapt.wording import counted


@dataclass(frozen=True)
class Pair:
    """One utterance by source and adapted model.

    Attributes:
        utterance: What was said, and by whom.
        source_text: Text of the source model.
        adapted_text: Text with the speaker's adaptation.
        before: Errors of the source model.
        after: Errors with the adaptation; the same counts where there is none.
        digest: sha256 of the samples (`pcm.digest`), by which recordings of the enrolment are known.
    """

    utterance: Utterance
    source_text: str
    adapted_text: str
    before: ErrorCounts
    after: ErrorCounts
    digest: str = ""


@dataclass
class SpeakerScores:
    """All utterances of one speaker.

    Attributes:
        speaker: Who it is.
        method: The method of the adaptation, `identity` where there is none.
        decision: `adapted` or `source`.
        enrolled: Whether the store knows the speaker.
        pairs: The utterances.
    """

    speaker: str
    method: str
    decision: str
    enrolled: bool
    pairs: list[Pair] = field(default_factory=list)

    @property
    def before(self) -> ErrorCounts:
        """Summed errors of the source model."""
        return total([pair.before for pair in self.pairs])

    @property
    def after(self) -> ErrorCounts:
        """Summed errors with the adaptation."""
        return total([pair.after for pair in self.pairs])

    def as_dict(self) -> dict[str, object]:
        """The speaker as an entry of `evaluate --json`."""
        return {
            "speaker": self.speaker,
            "method": self.method,
            "decision": self.decision,
            "enrolled": self.enrolled,
            "utterances": len(self.pairs),
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
        }


@dataclass(frozen=True)
class Evaluation:
    """Error rates of everybody, and what could not be used."""

    model: str
    speakers: tuple[SpeakerScores, ...]
    difference: Interval
    failed: tuple[Failure, ...]
    warnings: tuple[str, ...]

    @property
    def before(self) -> ErrorCounts:
        """Summed errors of the source model over all utterances."""
        return total([speaker.before for speaker in self.speakers])

    @property
    def after(self) -> ErrorCounts:
        """Summed errors with the adaptations over all utterances."""
        return total([speaker.after for speaker in self.speakers])

    def changed(self) -> dict[str, int]:
        """How many speakers have more, equally many and fewer word errors than before."""
        signs = [(s.after.errors > s.before.errors) - (s.after.errors < s.before.errors) for s in self.speakers]
        return {"worse": signs.count(1), "equal": signs.count(0), "better": signs.count(-1)}

    def as_dict(self) -> dict[str, object]:
        """The whole as `evaluate --json` prints it."""
        return {
            "pooled": {
                "before": self.before.as_dict(),
                "after": self.after.as_dict(),
                "difference": self.difference.as_dict(),
            },
            "speakers": [speaker.as_dict() for speaker in self.speakers],
            "changed": self.changed(),
            "normalizer": NORMALIZER,
            "model": self.model,
            "failed": [failure.as_dict() for failure in self.failed],
        }


def _compare(transcriber: Transcriber, window: Window, tell: Progress) -> Iterable[tuple[Loaded, str, str]]:
    """Every file with both texts; only those with an adaptation are computed twice."""
    before = transcriber.texts(window.loaded, source_only=True, progress=lambda share: tell(share / 2))
    adapted = [one for one in window.loaded if one.member.method != IDENTITY]
    texts = transcriber.texts(adapted, progress=lambda share: tell(0.5 + share / 2)) if adapted else []
    after = dict(zip(map(id, adapted), texts, strict=True))
    return [(one, text, after.get(id(one), text)) for one, text in zip(window.loaded, before, strict=True)]


def _entry(transcriber: Transcriber, speaker: str | None) -> SpeakerScores:
    """A fresh entry that says how this speaker is treated."""
    name = speaker or UNNAMED
    if speaker and transcriber.store is not None:
        try:
            method = transcriber.member(speaker).method
            return SpeakerScores(name, method, "source" if method == IDENTITY else "adapted", True)
        except (UnknownName, UsageError):
            pass
    return SpeakerScores(name, IDENTITY, "source", False)


def evaluate(
    transcriber: Transcriber,
    utterances: Iterable[Utterance],
    *,
    speaker: str | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Evaluation:
    """Word and character error rates before (source) and after (adapted) on the same utterances.

    Args:
        transcriber: The source model with the store of speakers.
        utterances: Recordings with texts; `speaker` says whose adaptation applies. Whoever is not enrolled
            counts as the source.
        speaker: Use this speaker's adaptation for all utterances.
        seed: Seed of the bootstrap over utterances.
        progress: Called with the number of utterances that were done, in fractions within a window.

    Raises:
        UnknownName: If `speaker` is not enrolled.
    """
    if speaker is not None:
        transcriber.member(speaker)
    failed: list[Failure] = []
    warnings: list[str] = []
    entries: dict[str | None, SpeakerScores] = {}
    usable = _with_text(utterances, speaker, failed)
    done = 0
    for window in transcriber.windows(usable):
        failed += window.failed
        warnings += window.warnings

        def tell(share: float, before: int = done, inputs: int = window.inputs) -> None:
            if progress:
                progress(before + share * inputs)

        for one, source_text, adapted_text in _compare(transcriber, window, tell):
            name, text = one.utterance.speaker, one.utterance.text or ""
            entry = entries.get(name) or entries.setdefault(name, _entry(transcriber, name))
            before, after = score(text, source_text), score(text, adapted_text)
            entry.pairs.append(Pair(one.utterance, source_text, adapted_text, before, after, one.digest))
        done += window.inputs
        tell(1.0)
    for entry in entries.values():
        warnings += _heard_before(transcriber, entry)
    pairs = [pair for entry in entries.values() for pair in entry.pairs]
    warnings += digits_in([pair.utterance.text or "" for pair in pairs])
    warnings += without_speaker([pair.utterance.speaker for pair in pairs])
    interval = paired_bootstrap([p.before for p in pairs], [p.after for p in pairs], seed=seed)
    return Evaluation(transcriber.model.name, tuple(entries.values()), interval, tuple(failed), _once(warnings))


def _heard_before(transcriber: Transcriber, entry: SpeakerScores) -> list[str]:
    """Warnings where an adapted speaker is measured on recordings or sentences of their own enrolment."""
    if entry.decision != "adapted" or transcriber.store is None:
        return []
    texts = [pair.utterance.text or "" for pair in entry.pairs]
    return heard_before(transcriber.store.record(entry.speaker), texts, [pair.digest for pair in entry.pairs])


def heard_before(record: SpeakerRecord, texts: Sequence[str], digests: Sequence[str] = ()) -> list[str]:
    """Warnings where a speaker is measured on what an adaptation has learned from.

    Args:
        record: The adaptation.
        texts: What the speaker is measured on.
        digests: Hashes of the recordings, as many as texts, where they are known.
    """
    if record.decision != "adapted":
        return []
    recordings, sentences, _ = learned_from(record)
    known = {text for text in sentences if len(text.split()) >= SENTENCE_WORDS}
    same = [one in recordings for one in digests] or [False] * len(texts)
    read = sum(normalize(text) in known and not heard for text, heard in zip(texts, same, strict=True))
    flattered = "so the error after adaptation is flattered; measure on other"
    said = []
    if any(same):
        own = f"{sum(same)} of {counted(len(texts), 'recording')}"
        said.append(f"{record.speaker}: the enrolment was made from {own}, {flattered} recordings")
    if read:
        own = f"{read} of {counted(len(texts), 'text')}"
        said.append(f"{record.speaker}: {own} were also read for the enrolment, {flattered} sentences")
    return said


def _with_text(utterances: Iterable[Utterance], speaker: str | None, failed: list[Failure]) -> Iterable[Utterance]:
    """The utterances that can be scored, all of `speaker` if given; the others go to `failed`."""
    for utterance in utterances:
        if not normalize(utterance.text or ""):
            failed.append(Failure(str(utterance.audio), "there is no text to score against"))
        else:
            yield replace(utterance, speaker=speaker) if speaker else utterance


def _once(warnings: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(warnings))
