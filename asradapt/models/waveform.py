"""Foreign CTC networks over raw waveforms as source models: wav2vec 2.0 and its relatives.

`prepare` normalises and runs the convolutions that no adaptation touches; their output is kept during an
enrolment, so that every update costs the transformer alone. Convolutions that normalise over time
(`feat_extract_norm: group`, the base models) are run for each row by itself, without its padding.

Letters: B batch, T samples, F' frames of the convolutions, C their width, F output frames, V tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from asradapt.errors import UsageError
from asradapt.features import mask
from asradapt.models.alphabet import Alphabet
from asradapt.models.base import Site, fingerprint, weight_sites
from asradapt.models.frozen import FrozenSource
from asradapt.models.places import LEAK, Places, find_places, without_gradient

PROBE_FRAMES = 37  # unlike any width


@dataclass(frozen=True, kw_only=True)
class WaveformShape:
    """What is known of a network before it runs.

    Attributes:
        sample_rate: Samples per second.
        convolutions: Kernel and stride of every convolution of the front end.
        width: Width C of their output.
        normalise: Whether a waveform is brought to mean 0 and variance 1 first.
        epsilon: What is added to the variance there.
        over_time: Whether the front end normalises over time, so that it must not see padding.
        pooled: Frames that the network takes at least, because it brings so many together.
        first: Path of the module that gives the input site.
        last: Path of the output layer.
        dtype: What the network computes with.
        quantised: Whether the network was quantised when it was loaded, so that it can neither move nor be cast.
    """

    sample_rate: int
    convolutions: tuple[tuple[int, int], ...]
    width: int
    normalise: bool
    over_time: bool
    first: str
    last: str
    pooled: int = 1
    epsilon: float = 1e-7
    dtype: torch.dtype = torch.float32
    quantised: bool = False

    @property
    def hop(self) -> int:
        """Samples from frame to frame."""
        hop = 1
        for _, stride in self.convolutions:
            hop *= stride
        return hop

    @property
    def least(self) -> int:
        """Samples that give the least number of frames."""
        samples = self.pooled
        for kernel, stride in reversed(self.convolutions):
            samples = (samples - 1) * stride + kernel
        return samples

    def frames(self, lengths: Tensor) -> Tensor:
        """Frame counts (B,) of lengths in samples (B,), the least number or more."""
        for kernel, stride in self.convolutions:
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
        return lengths.clamp(min=self.pooled)


def standardise(waveforms: Tensor, lengths: Tensor, epsilon: float) -> Tensor:
    """Every row (T,) of (B, T) to mean 0 and variance 1 over its own samples, zero behind them."""
    inside = torch.arange(waveforms.shape[1], device=waveforms.device) < lengths[:, None]
    count = lengths[:, None].clamp(min=1)
    centred = torch.where(inside, waveforms - (waveforms * inside).sum(1, keepdim=True) / count, 0.0)
    return centred / (centred.square().sum(1, keepdim=True) / count + epsilon).sqrt()


class WaveformSource(FrozenSource[nn.Module]):
    """A frozen CTC network over raw waveforms as a `SourceModel`.

    Args:
        name: What `--model` calls it.
        front: The convolutions: waveforms (B, T) to (B, F', C).
        network: The rest: features (B, F', C) and counts (B,) to logits (B, F, V) in the model's own order.
        run: Calls the rest: features and frame counts to logits and the counts of their frames.
        alphabet: Its tokens.
        shape: What else is known of it.
        card: What `asradapt models show` says of it.
        full: The same model in full precision, where the weights given here were quantised: its fingerprint and
            places hold, and there are no weights that a method could change.
    """

    def __init__(
        self,
        name: str,
        front: nn.Module,
        network: nn.Module,
        run: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        alphabet: Alphabet,
        shape: WaveformShape,
        card: dict[str, Any],
        full: WaveformSource | None = None,
    ) -> None:
        whole = nn.ModuleDict({"front": front, "network": network})
        super().__init__(name, network, full.fingerprint if full else fingerprint(whole))
        size = sum(parameter.numel() for parameter in whole.parameters())
        self._front, self._run, self._order = front, run, torch.tensor(alphabet.order)
        self.alphabet, self.shape, self.card = alphabet, shape, {**card, "parameters": size}
        front.eval().requires_grad_(False)
        self._fixed = shape.quantised
        if full:
            self.places, self.weights = full.places, ()
        if shape.dtype != torch.float32 and not self._fixed:
            _ = self.places, self.weights  # found in full precision: rounding looks like a leak of padding
            whole.to(shape.dtype)

    @property
    def sample_rate(self) -> int:
        """Samples per second of its waveforms."""
        return self.shape.sample_rate

    @property
    def tokens(self) -> tuple[str, ...]:
        """The V output tokens, the blank first."""
        return self.alphabet.tokens

    @cached_property
    def frame_seconds(self) -> float:
        """Seconds from output frame to output frame."""
        probe = torch.zeros(1, 64, self.shape.width, device=self.device, dtype=self._dtype)
        with torch.no_grad():  # an adapter behind the encoder may leave out frames
            frames = self._run(probe, torch.tensor([64], device=self.device))[0].shape[1]
        return self.shape.hop / self.shape.sample_rate * (64 / frames)

    @cached_property
    def places(self) -> Places:
        """What was found in the network by trying it on noise; also when first asked for in inference mode."""
        with torch.inference_mode(False):
            noise = self._noise()
            return find_places(self._network, self._run, noise, first=self.shape.first, last=self.shape.last)

    def _noise(self) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(2, PROBE_FRAMES, self.shape.width, generator=generator)
        return noise.to(self.device, self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        """What the network takes now."""
        return self.shape.dtype if self._fixed else next(self._front.parameters()).dtype

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Where a speaker may change the network."""
        if not self.alphabet.moved:
            return self.places.sites
        order = self.alphabet.order
        return tuple(replace(one, order=order) if one.kind == "output" else one for one in self.places.sites)

    @cached_property
    def weights(self) -> tuple[Site, ...]:
        """The parameters that a method may change."""
        with torch.inference_mode(False):
            unused = without_gradient(self._network, self._run, self._noise())
        return weight_sites(self._network, self.sites, unused)

    @property
    def equal_lengths(self) -> bool:
        """Whether padding changes the rows of the network, measured."""
        return self.places.leak > LEAK

    @property
    def spectral(self) -> bool:
        """False: the convolutions learned their own channels, whose neighbours mean nothing."""
        return False

    @property
    def front(self) -> nn.Module:
        """The convolutions that `prepare` runs."""
        return self._front

    def to(self, device: torch.device | str) -> Self:
        """Move the network; the fingerprint does not change.

        Raises:
            UsageError: If it cannot compute there with its precision.
        """
        self._front.to(device)
        if not self._fixed:
            self._network.to(device)
        elif torch.device(device).type != self.device.type:
            raise UsageError(f"a network of --precision int8 computes on {self.device.type} only, not on {device}")
        self._order = self._order.to(device)
        if self.shape.dtype != torch.float32:
            _require_sound(self)
        return self

    def prepare(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, T) to what the convolutions make of them, (B, F', C), and frame counts (B,)."""
        missing = self.shape.least - waveforms.shape[1]
        if missing > 0:
            waveforms = nn.functional.pad(waveforms, (0, missing))
        lengths = lengths.clamp(max=waveforms.shape[1])
        if self.shape.normalise:
            waveforms = standardise(waveforms, lengths, self.shape.epsilon)
        waveforms, frames = waveforms.to(self.shape.dtype), self.shape.frames(lengths)
        if not self.shape.over_time or bool((lengths == waveforms.shape[1]).all()):
            features = self._front(waveforms)[:, : int(frames.max())]
            return features * mask(frames, features.shape[1])[:, :, None].to(features.dtype), frames
        return self._each(waveforms, lengths, frames), frames

    def _each(self, waveforms: Tensor, lengths: Tensor, frames: Tensor) -> Tensor:
        """The convolutions of every row without its padding."""
        sizes: Sequence[int] = lengths.clamp(min=self.shape.least).tolist()
        rows = [
            self._front(row[None, :size])[0, :count]
            for row, size, count in zip(waveforms, sizes, frames.tolist(), strict=True)
        ]
        return pad_sequence(rows, batch_first=True)

    def encode(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """What `prepare` gives to logits (B, F, V) and frame counts (B,)."""
        logits, counts = self._run(features.to(self.shape.dtype), frames)
        if self.alphabet.moved:
            own, added = logits[..., : len(self._order)], logits[..., len(self._order) :]  # tokens of speakers
            logits = own.index_select(-1, self._order)
            logits = torch.cat((logits, added), dim=-1) if added.shape[-1] else logits
        return logits.float(), counts


@torch.no_grad()
def _require_sound(model: WaveformSource) -> None:
    """Refuse a precision that this machine or this network cannot compute with.

    Raises:
        UsageError: If it cannot.
    """
    precision = str(model.shape.dtype).removeprefix("torch.")
    silence = torch.zeros(1, model.shape.least + 3 * model.shape.hop, device=model.device)
    try:
        logits, _ = model.forward(silence, torch.tensor([silence.shape[1]], device=model.device))
        problem = "" if bool(logits.isfinite().all()) else "its numbers leave the range of this precision"
    except (RuntimeError, NotImplementedError) as error:
        problem = f"torch cannot compute with it on {model.device.type} ({str(error)[:100]})"
    if problem:
        raise UsageError(f"{model.name} cannot be used in {precision}: {problem}; use --precision fp32 or bf16")
