"""How strongly a speaker's phrases should be listened for, by recordings with texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from asradapt.decoding import GREEDY, Decoder
from asradapt.decoding.hotwords import without_accents
from asradapt.enrolment.folds import SENTENCE_WORDS
from asradapt.enrolment.past import learned_from
from asradapt.errors import InputError, UsageError
from asradapt.models.base import SourceModel, without_ctc, writes
from asradapt.phrases import STRENGTH
from asradapt.scoring import ErrorCounts, normalize, score, sign_flip, total
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript, Window
from asradapt.types import Failure, Utterance
from asradapt.wording import counted

STRENGTHS = (0.0, 0.15, STRENGTH, 0.5, 0.75, 1.0)
CHANCE = 0.1
"""Probability of chance, of all strengths together, up to which one of them is better than the usual one."""


@dataclass(frozen=True)
class TriedStrength:
    """What one strength brings.

    Attributes:
        strength: Nats for every token of a phrase.
        errors: Of all words.
        said: How often listed phrases are said.
        heard: How often they are heard where they are said.
        invented: How often they are heard where they are not.
        wrong: Wrong words of every recording.
    """

    strength: float
    errors: ErrorCounts
    said: int
    heard: int
    invented: int
    wrong: tuple[int, ...]

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        counts = {"said": self.said, "heard": self.heard, "invented": self.invented}
        return {"strength": self.strength, "errors": self.errors.as_dict()} | counts


@dataclass(frozen=True)
class TunedStrength:
    """The strength to use, and what was tried.

    Attributes:
        strength: The one with the fewest wrong words, if that is hardly chance, else None.
        chance: In how many cases chance alone makes that one as much better than the usual strength.
        tried: All strengths.
        learned: How many of the sentences the speaker's version has learned from.
        failed: Recordings that could not be used.
        warnings: What somebody should look at in the others.
    """

    strength: float | None
    chance: float
    tried: tuple[TriedStrength, ...]
    learned: int
    failed: tuple[Failure, ...]
    warnings: tuple[str, ...] = ()

    @property
    def best(self) -> TriedStrength:
        """The strength with the fewest wrong words; of equals the one nearest to the usual one."""
        return fewest_errors(self.tried)


def occurrences(text: str, phrases: Sequence[str]) -> dict[str, int]:
    """How often every phrase stands in a text, as whole words; accents do not count, as some models write none."""
    words = without_accents(normalize(text)).split()
    found = {}
    for phrase in phrases:
        parts = without_accents(normalize(phrase)).split()
        places = range(len(words) - len(parts) + 1)
        found[phrase] = sum(words[at : at + len(parts)] == parts for at in places)
    return found


def tune_strength(
    model: SourceModel,
    store: SpeakerStore,
    speaker: str,
    utterances: Sequence[Utterance],
    decoder: Decoder,
    progress: Callable[[float], None] | None = None,
) -> TunedStrength:
    """Try how strongly a speaker's phrases are listened for, on recordings with texts; nothing is stored.

    Args:
        model: The source model that the speaker was enrolled on.
        store: Where the speaker is, with phrases.
        speaker: Whose phrases.
        utterances: Recordings with texts; those that the speaker's version has not learned from tell most.
        decoder: Beam search, as it is used later.
        progress: Called with the share that is done.

    Raises:
        UsageError: If the decoder or the model has no use for phrases.
        InputError: If the speaker has no phrases, or no recording that could be heard says one of them.
    """
    if writes(model):
        raise UsageError(without_ctc(model, "listening for phrases"))
    if decoder.options.beams == GREEDY:
        raise UsageError("phrases are listened for by beam search alone: give --beam 1 or more, or --lm")
    phrases = store.vocabulary(speaker)
    if not phrases:
        raise InputError(f"{speaker} has no phrases; add some with `asradapt vocab add`")
    usable = [replace(one, speaker=speaker) for one in utterances if one.text]
    if not any(sum(occurrences(one.text or "", phrases).values()) for one in usable):
        heard = counted(len(usable), "recording")
        raise InputError(f"a phrase of {speaker}'s vocabulary is said in none of {heard}")
    learned = _learned(store, speaker, usable)
    tried: list[TriedStrength] = []
    failed: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    for number, strength in enumerate(STRENGTHS):
        transcriber = Transcriber(model, store, TranscriberOptions(phrase_strength=strength), decoder)
        found = list(transcriber.transcribe(usable))
        windows = [one for one in found if isinstance(one, Window)]
        failed = tuple(failure for window in windows for failure in window.failed)
        warnings = tuple(warning for window in windows for warning in window.warnings)
        tried.append(_judged(strength, [one for one in found if isinstance(one, Transcript)], phrases))
        if progress:
            progress((number + 1) / len(STRENGTHS))
    if not tried[0].said:
        why = f", for example {failed[0].item}: {failed[0].reason}" if failed else ""
        raise InputError(f"no recording that says a phrase of {speaker}'s vocabulary could be heard{why}")
    return TunedStrength(*best_strength(tried), tuple(tried), learned, failed, warnings)


def fewest_errors(tried: Sequence[TriedStrength]) -> TriedStrength:
    """The strength with the fewest wrong words; of equals the one nearest to the usual one."""
    return min(tried, key=lambda one: (one.errors.errors, abs(one.strength - STRENGTH)))


def best_strength(tried: Sequence[TriedStrength]) -> tuple[float | None, float]:
    """The strength with the fewest wrong words, None if that may be chance; and how often chance does as well.

    The best of several is tested on the recordings that it was chosen by, so each may be chance in a part of the
    cases only that all together may (Bonferroni).
    """
    best = fewest_errors(tried)
    usual = next(one for one in tried if one.strength == STRENGTH)
    change = [new - old for new, old in zip(best.wrong, usual.wrong, strict=True)]
    chance = sign_flip(change)
    return (best.strength if chance <= CHANCE / (len(tried) - 1) else None), chance


def _judged(strength: float, found: Sequence[Transcript], phrases: Sequence[str]) -> TriedStrength:
    errors, said, heard, invented = [], 0, 0, 0
    for transcript in found:
        text = transcript.utterance.text or ""
        errors.append(score(text, transcript.text))
        wanted, got = occurrences(text, phrases), occurrences(transcript.text, phrases)
        said += sum(wanted.values())
        heard += sum(min(wanted[one], got[one]) for one in phrases)
        invented += sum(max(0, got[one] - wanted[one]) for one in phrases)
    wrong = tuple(one.errors for one in errors)
    return TriedStrength(strength, total(errors), said, heard, invented, wrong)


def _learned(store: SpeakerStore, speaker: str, utterances: Sequence[Utterance]) -> int:
    """How many sentences the version in use has learned from; the source has learned from none."""
    record = store.record(speaker)
    texts = learned_from(record)[1] if record.decision == "adapted" else set()
    own = [normalize(one.text or "") for one in utterances]
    return sum(text in texts and len(text.split()) >= SENTENCE_WORDS for text in own)
