"""Utterances with what every system heard and how many errors that has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from asradapt.evaluation import Evaluation
from asradapt.scoring import NORMALIZER, ErrorCounts, Interval, Step, align, paired_bootstrap, total
from asradapt.scoring.remarks import UNNAMED
from asradapt.types import Failure, Utterance


@dataclass(frozen=True)
class Scored:
    """One utterance by all systems.

    Attributes:
        utterance: What was said, and by whom.
        texts: What each system heard, in the order of the systems.
        counts: The errors of each.
    """

    utterance: Utterance
    texts: tuple[str, ...]
    counts: tuple[ErrorCounts, ...]

    @property
    def speaker(self) -> str:
        """Who spoke."""
        return self.utterance.speaker or UNNAMED

    def alignment(self, system: int) -> tuple[Step, ...]:
        """What was said aligned with what a system heard."""
        return align(self.utterance.text or "", self.texts[system])


@dataclass(frozen=True)
class Comparison:
    """Systems by the same utterances.

    Attributes:
        systems: Their names; the first is the one the others are compared with.
        utterances: What was said, with what each heard.
        model: The source model; empty where no system needed it.
        failed: What could not be used.
        warnings: What somebody should look at.
    """

    systems: tuple[str, ...]
    utterances: tuple[Scored, ...]
    model: str = ""
    failed: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Who said each utterance."""
        return tuple(one.speaker for one in self.utterances)

    def counts(self, system: int) -> list[ErrorCounts]:
        """The errors of a system, one an utterance."""
        return [one.counts[system] for one in self.utterances]

    def alignments(self, system: int) -> list[tuple[Step, ...]]:
        """What was said aligned with what a system heard, one an utterance."""
        return [one.alignment(system) for one in self.utterances]

    def total(self, system: int) -> ErrorCounts:
        """The summed errors of a system."""
        return total(self.counts(system))

    def of_speakers(self) -> dict[str, list[Scored]]:
        """The utterances by speaker, in order of appearance."""
        found: dict[str, list[Scored]] = {}
        for one in self.utterances:
            found.setdefault(one.speaker, []).append(one)
        return found

    def difference(self, first: int, second: int, *, over_speakers: bool, seed: int = 0) -> Interval:
        """Word error rate of the second system minus that of the first, with its interval."""
        speakers = self.speakers if over_speakers else None
        return paired_bootstrap(self.counts(first), self.counts(second), speakers=speakers, seed=seed)

    def as_dict(self) -> dict[str, object]:
        """Systems, speakers and failures for `--json` outputs."""
        return {
            "systems": [{"system": name} | self.total(index).as_dict() for index, name in enumerate(self.systems)],
            "speakers": [
                {
                    "speaker": speaker,
                    "utterances": len(own),
                    "systems": {
                        name: total([one.counts[index] for one in own]).as_dict()
                        for index, name in enumerate(self.systems)
                    },
                }
                for speaker, own in self.of_speakers().items()
            ],
            "normalizer": NORMALIZER,
            "model": self.model,
            "failed": [failure.as_dict() for failure in self.failed],
            "warnings": list(self.warnings),
        }


def utterance_name(utterance: Utterance) -> str:
    """The name of an utterance: its column `id`, else the name of its file without the ending."""
    return utterance.fields.get("id") or utterance.audio.stem


def from_evaluation(evaluation: Evaluation) -> Comparison:
    """Source and adapted model as two systems."""
    pairs = [pair for speaker in evaluation.speakers for pair in speaker.pairs]
    scored = tuple(Scored(p.utterance, (p.source_text, p.adapted_text), (p.before, p.after)) for p in pairs)
    return Comparison(("source", "adapted"), scored, evaluation.model, evaluation.failed, evaluation.warnings)


def names_of(utterances: Iterable[Scored]) -> list[str]:
    """A name for every utterance, the path where file names repeat."""
    items = [one.utterance for one in utterances]
    short = [utterance_name(one) for one in items]
    if len(set(short)) == len(short):
        return short
    return [one.fields.get("id") or one.audio.with_suffix("").as_posix().lstrip("/") for one in items]
