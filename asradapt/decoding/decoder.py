"""A decoder for a source model: greedy, or beam search with a language model and phrases of each speaker.

Letters: B batch, F frames, V tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from asradapt.decoding.alignment import align
from asradapt.decoding.beam import BEAMS, BeamOptions, beam_search
from asradapt.decoding.fusion import WITHOUT_PRIOR, Fusion, Weights
from asradapt.decoding.greedy import greedy_emissions
from asradapt.decoding.hotwords import make_hotwords
from asradapt.decoding.priors import TokenPrior
from asradapt.decoding.sounds import CONSIDERED, Sounds
from asradapt.decoding.words import Calibration, Heard, Timing, Word, words_of
from asradapt.errors import UsageError
from asradapt.language import LanguageModel, Lexicon, make_lexicon
from asradapt.language.lexicon import is_mark
from asradapt.phrases import strength_of

if TYPE_CHECKING:
    from asradapt.models.base import SourceModel

GREEDY = 0  # hypotheses
NEVER = -1e4  # a logit of probability zero
# fitted by tools/confidence_report.py on source_en and lm_en
WITH_LANGUAGE = Calibration(slope=0.532, offset=0.002)
ALONE = Calibration(slope=1.147, offset=-2.618)
# the same after test-time adaptation (--adapt-each), which makes a model surer than it should be
EACH_WITH_LANGUAGE = Calibration(slope=0.525, offset=-0.105)
EACH_ALONE = Calibration(slope=0.839, offset=-2.795)


@dataclass(frozen=True)
class DecoderOptions:
    """How logits become words.

    Attributes:
        beams: Hypotheses of a row; 0 decodes greedily, without language model and phrases.
        best: Texts of a row that are kept.
        weights: How much language model, words and phrases count; None for what suits with a prior, or without.
        phrases: What everybody uses, besides the phrases of each row.
        calibration: From probabilities to confidence; None for what was fitted, with a language model and without.
        timing: How far words reach beyond their frames; None for what a model's card says, and not at all without.
        prior: The source model's prior of its tokens; None for what a model's card says, and none without.
    """

    beams: int = BEAMS
    best: int = 1
    weights: Weights | None = None
    phrases: tuple[str, ...] = ()
    calibration: Calibration | None = None
    timing: Timing | None = None
    prior: TokenPrior | None = None

    def __post_init__(self) -> None:
        if isinstance(self.phrases, str):
            raise UsageError(f"phrases are a list of texts, not one text: [{self.phrases[:80]!r}]")

    def on(self, model: SourceModel, *, search_with: LanguageModel | None) -> DecoderOptions:
        """These options with the timing, prior and weights that suit a model and a language model.

        Raises:
            InputError: If the model's card says something that cannot be used.
        """
        prior = self.prior
        if search_with is not None and self.beams and prior is None:  # else it is not asked for
            prior = TokenPrior.of(model.card, model.tokens)
        timing, weights = self.timing or Timing.of(model.card), self.weights or usual_weights(prior)
        return replace(self, timing=timing, prior=prior, weights=weights)


class Decoder:
    """Decodes batches of one source model.

    Args:
        tokens: The V tokens, the blank first.
        frame_seconds: Seconds from frame to frame.
        language: A language model; None for none.
        options: How it decodes; greedy by default.
        sounds: What the model's inner outputs mean, where it has some; they count beside a language model only.

    Raises:
        UsageError: If there are to be fewer hypotheses than texts.
        InputError: If the language model cannot be used with these tokens.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        frame_seconds: float,
        language: LanguageModel | None = None,
        options: DecoderOptions | None = None,
        sounds: Sounds | None = None,
    ) -> None:
        self.tokens, self.frame_seconds = tuple(tokens), frame_seconds
        self.options = options or DecoderOptions(beams=GREEDY)
        if self.options.beams < 0:
            raise UsageError(f"the number of beams must be 0 (greedy) or more, got {self.options.beams}")
        self.language: LanguageModel | None = language
        self.weights = self.options.weights or usual_weights(self.options.prior)
        self.sounds = sounds if self.with_language and self.weights.sound > 0 else None
        self.lexicon: Lexicon | None = make_lexicon(language, tokens) if language and self.options.beams else None

    @classmethod
    def of(
        cls, model: SourceModel, language: LanguageModel | None = None, options: DecoderOptions | None = None
    ) -> Decoder:
        """A decoder for a model, with what its card says where the options leave it open."""
        options = (options or DecoderOptions(beams=GREEDY)).on(model, search_with=language)
        sounds = Sounds.of(model.card, getattr(model, "phones", ())) if language and options.beams else None
        return cls(model.tokens, model.frame_seconds, language, options, sounds)

    @property
    def with_language(self) -> bool:
        """Whether it searches with a language model that counts."""
        return self.language is not None and self.options.beams > GREEDY and self.weights.language > 0

    def calibration(self, *, each: bool) -> Calibration:
        """From probabilities to confidence, for logits with or without test-time adaptation (`each`)."""
        return self.options.calibration or fitted(self.with_language, each)

    def __call__(
        self,
        logits: Tensor,
        frames: Tensor,
        phrases: Sequence[Sequence[str]] | None = None,
        added: Sequence[Sequence[str]] | None = None,
        *,
        each: bool = False,
        inner: Sequence[Tensor] = (),
        tempo: Tensor | None = None,
    ) -> list[Heard]:
        """What every row says.

        Args:
            logits: (B, F, V); index 0 is the blank.
            frames: (B,) true frame counts.
            phrases: For each row the phrases its speaker uses; not used by greedy decoding.
            added: For each row the tokens behind those of the model, `""` where a column is another row's.
            each: Whether every row has adapted the model to itself first, so that its logits are surer.
            inner: Logits (B, F, P) of the model's inner outputs, if it has some; not used without `sounds`.
            tempo: (B,) seconds of a row's recording in a second of its frames; 1 by default.
        """
        tempos = [1.0] * len(logits) if tempo is None else tempo.tolist()
        steps = [self.frame_seconds * one for one in tempos]
        sure = self.calibration(each=each)
        added = added or [()] * len(logits)
        if self.options.beams == GREEDY or not len(logits):
            found = greedy_emissions(logits, frames)
            space, rows = self._space(added), range(len(logits))
            spoken = [words_of(found, row, space, steps[row], sure) for row in rows]
            return [Heard(words) for words in self._timed(spoken, frames, steps)]
        return self._search(logits, frames, phrases or [()] * len(logits), added, sure, inner, steps)

    def _space(self, added: Sequence[Sequence[str]]) -> tuple[str, ...]:
        """The token of every column of a batch; in a row's own text there are none of other rows."""
        return (*self.tokens, *(max(column) for column in zip(*added, strict=True)))  # "" is another row's

    def _search(
        self,
        logits: Tensor,
        frames: Tensor,
        phrases: Sequence[Sequence[str]],
        added: Sequence[Sequence[str]],
        sure: Calibration,
        inner: Sequence[Tensor],
        steps: Sequence[float],
    ) -> list[Heard]:
        sounds = self.sounds if inner else None
        best, beams = self.options.best, self.options.beams
        considered = max(best, min(beams, CONSIDERED)) if sounds and best > 0 else best  # which is refused
        options = BeamOptions(beams=beams, best=considered)
        fusion, tokens = self._fusion(logits.device, phrases, added), self._space(added)
        marks = [number for number, token in enumerate(tokens) if number and is_mark(token)]
        if marks:  # `<unk>` and the like are no text
            logits = logits.index_fill(-1, torch.tensor(marks, device=logits.device), NEVER)
        rows = beam_search(self._searched(logits), frames, tokens, fusion, options)
        if sounds:
            rows = [row[:best] for row in sounds.ranked(rows, inner[0], frames, self.weights.sound)]
        found = align(logits, frames, [row[0].tokens if row else () for row in rows])
        spoken = [words_of(found, row, tokens, steps[row], sure) for row in range(len(rows))]
        texts = [tuple(one.text for one in hypotheses) for hypotheses in rows]
        return [Heard(*both) for both in zip(self._timed(spoken, frames, steps), texts, strict=True)]

    def _searched(self, logits: Tensor) -> Tensor:
        """The logits for the search; times and confidence are those of the logits as they are."""
        prior = self.options.prior
        if self.language is None or prior is None or self.weights.language == 0:  # nothing would make up for it
            return logits
        return prior.divided_out(logits, self.weights.prior)

    def _timed(
        self, spoken: Sequence[Sequence[Word]], frames: Tensor, steps: Sequence[float]
    ) -> list[tuple[Word, ...]]:
        """The words of every row, its frames so many seconds apart, with times moved as the model needs it."""
        timing = self.options.timing or Timing()
        rows = zip(spoken, frames.tolist(), steps, strict=True)
        return [timing(words, count * step) for words, count, step in rows]

    def _fusion(
        self, device: torch.device, phrases: Sequence[Sequence[str]], added: Sequence[Sequence[str]]
    ) -> Fusion:
        boundary = self.tokens.index(" ") if " " in self.tokens else -1
        if self.language is not None and self.lexicon is not None and self.language.device != device:
            self.language, self.lexicon = self.language.to(device), self.lexicon.to(device)
        if self.lexicon is not None:  # kept as wide as it was ever needed: tables may be wider than the logits
            self.lexicon = self.lexicon.widened(len(self.tokens) + len(added[0]))
        weights = self.weights
        heard_for = [() if strength_of(row) == 0 else row for row in phrases]
        factors = [_factor(strength_of(row), weights.phrase) for row in heard_for]
        everything = [(*row, *self.options.phrases) for row in heard_for]
        hotwords = make_hotwords(everything, self.tokens, added, factors)
        if self.language is None:  # what is given for words makes up for what the language model takes
            weights = Weights(language=0.0, word=0.0, phrase=weights.phrase, listed=weights.listed)
        return Fusion(boundary, weights, self.language, self.lexicon, hotwords.to(device) if hotwords else None)


def fitted(with_language: bool, each: bool) -> Calibration:
    """The calibration for a language model or none, after test-time adaptation (`each`) or not."""
    if with_language:
        return EACH_WITH_LANGUAGE if each else WITH_LANGUAGE
    return EACH_ALONE if each else ALONE


def usual_weights(prior: TokenPrior | None) -> Weights:
    """The weights that suit a source model with this prior, or without one."""
    return Weights() if prior else WITHOUT_PRIOR


def _factor(strength: float | None, usual: float) -> float:
    """How much more phrases of their own strength are worth than the usual one."""
    return 1.0 if strength is None or not usual else strength / usual
