"""What an enrolment minimises and judges by, for each kind of source model; all else is the same for both.

A model with CTC outputs is trained by the CTC loss and decoded greedily; one with a decoder (Whisper) by the cross
entropy of the text's tokens, each given the ones before it, and decoded by its own generation.

Letters: B batch, F frames, M mel bands, U tokens of the longest text, V tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.mixed import IMPOSSIBLE
from asradapt.decoding import greedy_decode
from asradapt.decoding.sounds import ctc
from asradapt.enrolment.augmentation import NO_AUGMENTATION, Augmentation, augment, augmentation_for
from asradapt.enrolment.phones import phone_losses
from asradapt.enrolment.spelling import encode_text, frames_needed
from asradapt.features import mask
from asradapt.models.base import Seq2SeqModel, SourceModel, has_phones, writes
from asradapt.models.turns import using

if TYPE_CHECKING:  # which needs the spelling from here
    from asradapt.enrolment.examples import Example

MOST_TOKENS = 25
"""Tokens of a second of speech at most, in scripts too whose letters are several tokens each."""
Pair = tuple[int, "Example"]  # a row of the bank and an utterance it works on


@contextmanager
def adapted(
    model: SourceModel, bank: SpeakerBank | None, pairs: Sequence[Pair]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (B, F, M) and frame counts (B,) of pairs, while each row is adapted; None for the source alone."""
    features = pad_sequence([example.features for _, example in pairs], batch_first=True).to(model.device)
    frames = torch.tensor([len(example.features) for _, example in pairs], device=model.device)
    with using(model.module, alone=bank is not None and bank.one_speaker):
        if bank is None:
            yield features, frames
            return
        with bank.attach(model, torch.tensor([row for row, _ in pairs], device=model.device)):
            yield features, frames


def encode_pairs(model: SourceModel, bank: SpeakerBank | None, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """What `encode` gives for pairs, each adapted by its row; None for the source alone."""
    with adapted(model, bank, pairs) as (features, frames):
        return model.encode(features, frames)


def ctc_losses(logits: Tensor, frames: Tensor, pairs: Sequence[Pair]) -> Tensor:
    """CTC loss (B,) of every pair, summed over its tokens; zero where the text cannot fit.

    Tokens that a speaker has added and these logits do not know, such as those of the source, are impossible.
    """
    targets = [example.target for _, example in pairs]
    unknown = max(int(target.max()) for target in targets) + 1 - logits.shape[-1]
    if unknown > 0:
        logits = functional.pad(logits, (0, unknown), value=IMPOSSIBLE)
    return ctc(logits, frames, targets)


def token_losses(logits: Tensor, targets: Sequence[Tensor]) -> Tensor:
    """Cross entropy (B,) of targets given logits (B, U, V), summed over the tokens of each."""
    wanted = pad_sequence(list(targets), batch_first=True, padding_value=-1).to(logits.device)
    losses = functional.cross_entropy(logits.float().transpose(1, 2), wanted, ignore_index=-1, reduction="none")
    return losses.sum(1)


def divergence(got: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    """Kullback-Leibler divergence (B,) of logits `got` (B, F, V) from `wanted`, over the true places (B,)."""
    own = got[..., : wanted.shape[-1]].float().log_softmax(-1)  # the source knows nothing of added tokens
    source = wanted.float().log_softmax(-1)
    distances = functional.kl_div(own, source, reduction="none", log_target=True).sum(-1)  # (B, F)
    return (distances * mask(counts, got.shape[1])).sum(1)


class Objective(ABC):
    """How one kind of model is trained and judged; made by `objective_of`."""

    @abstractmethod
    def spell(self, text: str | None, added: str = "") -> tuple[str, list[int]]:
        """A text normalised for scoring, and its token numbers; `added` are characters beyond those of the model.

        Raises:
            TextError: If it is empty or holds what the model cannot write.
        """

    @abstractmethod
    def fits(self, target: Sequence[int], seconds: float) -> bool:
        """Whether so many seconds can say a target."""

    @abstractmethod
    def augmented(self, example: Example, options: Augmentation, seed: str) -> Tensor:
        """Features (F, M) of an example changed a little, the same for the same seed."""

    @abstractmethod
    def losses(
        self, bank: SpeakerBank | None, pairs: Sequence[Pair], anchor: float = 0.0, inner: float = 0.0
    ) -> AbstractContextManager[Tensor]:
        """Loss (B,) of every pair, summed over its tokens, with gradients to the bank.

        The gradients are taken inside the context: activations may be computed again for them.

        Args:
            bank: The adaptations of the rows; None for the source alone.
            pairs: The batch.
            anchor: Share of the loss that is the distance from the source's own output.
            inner: What the inner outputs count beside the text, where the model has some whose targets are known.
        """

    @abstractmethod
    def judged(self, bank: SpeakerBank | None, pairs: Sequence[Pair]) -> tuple[Tensor, list[str]]:
        """Loss (B,) and text of every pair."""


class CtcObjective(Objective):
    """A model with CTC outputs.

    Args:
        model: The model.
    """

    def __init__(self, model: SourceModel) -> None:
        self._model = model

    def spell(self, text: str | None, added: str = "") -> tuple[str, list[int]]:
        """The text in the model's letters."""
        return encode_text(text, (*self._model.tokens, *added))

    def fits(self, target: Sequence[int], seconds: float) -> bool:
        """Whether there are frames enough."""
        frames = int(seconds / self._model.frame_seconds)
        return frames_needed(target) <= (frames if self._model.spectral else frames - 1)  # convolutions do not pad

    def augmented(self, example: Example, options: Augmentation, seed: str) -> Tensor:
        """Features (F, M) changed a little."""
        return augment(example.features, augmentation_for(self._model, options), seed)

    @contextmanager
    def losses(
        self, bank: SpeakerBank | None, pairs: Sequence[Pair], anchor: float = 0.0, inner: float = 0.0
    ) -> Iterator[Tensor]:
        """CTC losses (B,)."""
        wanted = self._source(pairs) if anchor else None
        with adapted(self._model, bank, pairs) as inputs:
            if inner and has_phones(self._model):
                logits, frames, others = self._model.encode_inner(*inputs)
                helped = inner * phone_losses(self._model, others, frames, [one.text for _, one in pairs])
            else:
                (logits, frames), helped = self._model.encode(*inputs), torch.zeros((), device=self._model.device)
            losses = ctc_losses(logits, frames, pairs) + helped
            if wanted is not None:
                losses = (1 - anchor) * losses + anchor * divergence(logits, wanted, frames)
            yield losses

    @torch.no_grad()
    def _source(self, pairs: Sequence[Pair]) -> Tensor:
        return encode_pairs(self._model, None, pairs)[0]

    def judged(self, bank: SpeakerBank | None, pairs: Sequence[Pair]) -> tuple[Tensor, list[str]]:
        """CTC losses (B,) and greedy texts."""
        logits, frames = encode_pairs(self._model, bank, pairs)
        tokens = (*self._model.tokens, *(bank.added if bank else ()))
        return ctc_losses(logits, frames, pairs), greedy_decode(logits, frames, tokens)


class WrittenObjective(Objective):
    """A model whose decoder writes.

    Args:
        model: The model.
    """

    def __init__(self, model: Seq2SeqModel) -> None:
        self._model = model

    def spell(self, text: str | None, added: str = "") -> tuple[str, list[int]]:
        """The text in the model's tokens, with its end; they write everything, so nothing is ever added."""
        return self._model.spell(text)

    def fits(self, target: Sequence[int], seconds: float) -> bool:
        """Whether anybody speaks so fast; what the decoder can write does not depend on the audio."""
        return len(target) <= MOST_TOKENS * (seconds + 1)

    def augmented(self, example: Example, options: Augmentation, seed: str) -> Tensor:
        """Features (F, M) changed a little, within the range that they had.

        Augmentation expects features of mean 0 and deviation 1, and gets them; what is louder or fainter than
        anything in the recording is cut, because the silence behind it follows from its loudest band. Where
        another tempo would not fit into a window, the tempo stays.
        """
        features = example.features
        if options == NO_AUGMENTATION:
            return features
        if example.seconds / (1 - options.tempo) > self._model.window_seconds:
            options = replace(options, tempo=0.0)
        mean, spread = features.mean(), features.std().clamp(min=1e-3)
        changed = augment((features - mean) / spread, options, seed) * spread + mean
        return changed.clamp(features.min(), features.max())

    @contextmanager
    def losses(
        self, bank: SpeakerBank | None, pairs: Sequence[Pair], anchor: float = 0.0, inner: float = 0.0
    ) -> Iterator[Tensor]:
        """Cross entropies (B,); there are no inner outputs."""
        targets = [example.target for _, example in pairs]
        wanted = self._source(pairs) if anchor else None
        with adapted(self._model, bank, pairs) as inputs:
            logits = self._model.logits(self._model.encode(*inputs)[0], targets)
            losses = token_losses(logits, targets)
            if wanted is not None:
                sizes = torch.tensor([len(target) for target in targets], device=logits.device)
                losses = (1 - anchor) * losses + anchor * divergence(logits, wanted, sizes)
            yield losses

    @torch.no_grad()
    def _source(self, pairs: Sequence[Pair]) -> Tensor:
        with adapted(self._model, None, pairs) as inputs:
            return self._model.logits(self._model.encode(*inputs)[0], [example.target for _, example in pairs])

    def judged(self, bank: SpeakerBank | None, pairs: Sequence[Pair]) -> tuple[Tensor, list[str]]:
        """Cross entropies (B,) and texts, from one pass of the encoder."""
        targets = [example.target for _, example in pairs]
        with adapted(self._model, bank, pairs) as inputs:
            states, _ = self._model.encode(*inputs)
            return token_losses(self._model.logits(states, targets), targets), self._model.texts(states)


def objective_of(model: SourceModel) -> Objective:
    """How a model is trained and judged."""
    return WrittenObjective(model) if writes(model) else CtcObjective(model)


def longest_seconds(model: SourceModel, most: float) -> float:
    """The longest recording that a model learns from, `most` seconds where it takes any length."""
    return min(most, model.window_seconds) if writes(model) else most
