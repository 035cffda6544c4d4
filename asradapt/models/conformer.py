"""A small row-independent conformer with a CTC output (Gulati et al. 2020, arXiv 2005.08100).

Differences from the paper: LayerNorm instead of BatchNorm in the convolution module and zeroed padding
before every convolution (so that a row never sees its neighbours), rotary positions (Su et al. 2021),
and inner CTC outputs over phones whose posteriors go back into the encoder (Nozaki and Komatsu 2021,
arXiv 2104.02724; Higuchi et al. 2022, arXiv 2110.04109).

Letters: B batch, F frames, M mel bands, D width, H heads, V tokens, P tokens of the inner outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from asradapt.features import mask
from asradapt.models.base import Site
from asradapt.models.rotary import Angles, angles_of, rotate


@dataclass(frozen=True)
class ConformerOptions:
    """The shape of the network.

    Attributes:
        mels: Number M of feature bands.
        width: Width D of the encoder.
        blocks: Number of conformer blocks.
        heads: Number H of attention heads.
        expansion: Width of a feed-forward module as a multiple of D.
        kernel: Length in frames of the depthwise convolution, odd.
        dropout: Dropout probability in training.
        layer_drop: Probability in training that a branch of a block is left out, for a whole batch (Huang et al.
            2016, arXiv 1603.09382): it regularises as dropout does and saves time instead of costing it.
        tokens: Number V of output tokens.
        phones: Number P of tokens of the inner outputs, 0 for none.
        conditions: Blocks after which the inner output stands and its posteriors are fed back.
    """

    mels: int = 80
    width: int = 192
    blocks: int = 8
    heads: int = 4
    expansion: int = 4
    kernel: int = 15
    dropout: float = 0.1
    layer_drop: float = 0.0
    tokens: int = 29
    phones: int = 0
    conditions: tuple[int, ...] = ()


def convolve(x: Tensor, layer: nn.Conv1d) -> Tensor:
    """A convolution over time of (B, F, C) with the weights of `layer`: (B, F', C').

    As two-dimensional convolution on the channels-last view, which costs no transposition; on a CPU the
    depthwise one is thirty times as fast as `nn.Conv1d` on the transposed input.
    """
    view = x.transpose(1, 2)[:, :, None, :]  # (B, C, 1, F), channels last in memory
    weight = layer.weight[:, :, None, :].contiguous(memory_format=torch.channels_last)
    stride, padding = (1, layer.stride[0]), (0, int(layer.padding[0]))
    y = functional.conv2d(view, weight, layer.bias, stride=stride, padding=padding, groups=layer.groups)
    return y[:, :, 0].transpose(1, 2)


class Subsampling(nn.Module):
    """Two strided convolutions over time: (B, F, M) at 10 ms to (B, F/4, D) at 40 ms."""

    def __init__(self, options: ConformerOptions) -> None:
        super().__init__()
        self.first = nn.Conv1d(options.mels, options.width, 5, stride=2, padding=2)
        self.second = nn.Conv1d(options.width, options.width, 5, stride=2, padding=2)
        self.project = nn.Linear(options.width, options.width)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample `x` (B, F, M); returns (B, ceil(F/4), D) and the new lengths (B,)."""
        x = x * mask(lengths, x.shape[1])[:, :, None].to(x.dtype)
        for layer in (self.first, self.second):
            x = functional.silu(convolve(x, layer))
            lengths = (lengths + 1) // 2
            x = x * mask(lengths, x.shape[1])[:, :, None].to(x.dtype)  # the bias must not leak into the padding
        return self.project(x), lengths


class FeedForward(nn.Module):
    """Norm, widen, SiLU, narrow: (B, F, D) to (B, F, D)."""

    def __init__(self, options: ConformerOptions) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(options.width)
        self.up = nn.Linear(options.width, options.width * options.expansion)
        self.down = nn.Linear(options.width * options.expansion, options.width)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """One residual branch of `x` (B, F, D)."""
        wide = self.dropout(functional.silu(self.up(self.norm(x))))
        narrow: Tensor = self.dropout(self.down(wide))
        return narrow


@dataclass(frozen=True, eq=False)
class Context:
    """What all blocks need to know about a batch, computed once.

    Attributes:
        real: (B, F, 1) one for the frames that exist, zero for the others, in the type of the activations.
        bias: (B, 1, 1, F) added to attention scores: minus infinity for frames that do not exist.
        angles: Of the rotary positions.
    """

    real: Tensor
    bias: Tensor
    angles: Angles


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attention (B, H, F, D/H); in steps where the fused one has slow gradients: on CPUs in bf16."""
    if not (query.requires_grad and query.dtype == torch.bfloat16 and query.device.type == "cpu"):
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    scores: Tensor = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias
    return scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype) @ value


class Attention(nn.Module):
    """Multi-head self-attention over the real frames of each row, with rotary positions."""

    def __init__(self, options: ConformerOptions) -> None:
        super().__init__()
        self.heads = options.heads
        self.norm = nn.LayerNorm(options.width)
        self.qkv = nn.Linear(options.width, 3 * options.width)
        self.out = nn.Linear(options.width, options.width)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """One residual branch of `x` (B, F, D)."""
        batch, frames, width = x.shape
        heads = self.qkv(self.norm(x)).view(batch, frames, 3, self.heads, width // self.heads)
        both, value = heads.split((2, 1), dim=2)
        query, key = rotate(both, context.angles).permute(2, 0, 3, 1, 4)  # each (B, H, F, D/H)
        mixed = attend(query, key, value[:, :, 0].transpose(1, 2), context.bias.to(query.dtype))
        joined: Tensor = self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, frames, width)))
        return joined


class Convolution(nn.Module):
    """Gated pointwise, depthwise, pointwise convolution: local context without leaking padding."""

    def __init__(self, options: ConformerOptions) -> None:
        super().__init__()
        width = options.width
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, options.kernel, padding=options.kernel // 2, groups=width)
        self.inner_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """One residual branch of `x` (B, F, D)."""
        x = convolve(functional.glu(self.gate(self.norm(x)), dim=-1) * context.real, self.depthwise)
        mixed: Tensor = self.dropout(self.out(functional.silu(self.inner_norm(x))))
        return mixed


class Block(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, norm."""

    def __init__(self, options: ConformerOptions) -> None:
        super().__init__()
        self.first = FeedForward(options)
        self.attention = Attention(options)
        self.convolution = Convolution(options)
        self.second = FeedForward(options)
        self.norm = nn.LayerNorm(options.width)
        self.layer_drop = options.layer_drop

    def _kept(self) -> bool:
        return not (self.training and self.layer_drop) or bool(torch.rand(()) >= self.layer_drop)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Transform `x` (B, F, D)."""
        x = torch.add(x, self.first(x), alpha=0.5) if self._kept() else x
        x = x + self.attention(x, context) if self._kept() else x
        x = x + self.convolution(x, context) if self._kept() else x
        x = torch.add(x, self.second(x), alpha=0.5) if self._kept() else x
        normed: Tensor = self.norm(x)
        return normed


class Conformer(nn.Module):
    """Normalised log-mel features (B, F', M) to CTC logits (B, F, V)."""

    def __init__(self, options: ConformerOptions) -> None:
        super().__init__()
        self.options = options
        self.features = nn.Identity()  # a site: what speakers may transform before anything else
        self.subsampling = Subsampling(options)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.blocks))
        self.output = nn.Linear(options.width, options.tokens)
        if options.conditions:
            inner = options.phones or options.tokens
            self.inner = nn.Linear(options.width, inner)
            self.feedback = nn.Linear(inner, options.width)
        half = options.width // options.heads // 2
        frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float32) / half)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def _context(self, x: Tensor, lengths: Tensor) -> Context:
        """What the blocks need to know about a batch of encoder frames `x` (B, F, D)."""
        real = mask(lengths, x.shape[1])
        bias = torch.zeros(real.shape, device=x.device, dtype=x.dtype).masked_fill_(~real, -torch.inf)
        frequencies: Tensor = self.frequencies  # type: ignore[assignment]
        return Context(real[:, :, None].to(x.dtype), bias[:, None, None, :], angles_of(x.shape[1], frequencies))

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Encode a padded batch.

        Args:
            x: (B, F', M) normalised features.
            lengths: (B,) true frame counts.

        Returns:
            Logits (B, F, V), frame counts (B,), and the logits (B, F, P) of the inner outputs.
        """
        x, lengths = self.subsampling(self.features(x), lengths)
        context = self._context(x, lengths)
        inner = []
        for index, block in enumerate(self.blocks, 1):
            x = block(x, context)
            if index in self.options.conditions:
                inner.append(self.inner(x))
                x = x + self.feedback(inner[-1].softmax(-1))
        return self.output(x), lengths, inner

    def first(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The logits (B, F, P) of the first inner output alone, and frame counts (B,); arguments as `forward`."""
        x, lengths = self.subsampling(self.features(x), lengths)
        context = self._context(x, lengths)
        for block in self.blocks[: min(self.options.conditions)]:
            x = block(x, context)
        logits: Tensor = self.inner(x)
        return logits, lengths

    def sites(self) -> tuple[Site, ...]:
        """Where a speaker may change the network, from the input to the output."""
        width, wide = self.options.width, self.options.width * self.options.expansion
        found = [Site("features", "input", self.options.mels, self.options.mels)]
        for index in range(self.options.blocks):
            path = f"blocks.{index}"
            for half in ("first", "second"):
                found.append(Site(f"{path}.{half}.norm", "norm", width, width))
                found.append(Site(f"{path}.{half}.up", "feed_forward", width, wide))
                found.append(Site(f"{path}.{half}.down", "feed_forward", wide, width))
            found.append(Site(f"{path}.attention.norm", "norm", width, width))
            found.append(Site(f"{path}.attention.qkv", "attention", width, 3 * width))
            found.append(Site(f"{path}.attention.out", "attention", width, width))
            found.append(Site(f"{path}.convolution.norm", "norm", width, width))
            found.append(Site(f"{path}.norm", "block", width, width))
        found.append(Site("output", "output", width, self.options.tokens))
        return tuple(found)


def up_to_first(network: Conformer) -> Conformer:
    """A copy of the blocks up to the first inner output: its `first` is that of the network."""
    blocks = min(network.options.conditions)
    lower = Conformer(replace(network.options, blocks=blocks, conditions=(blocks,)))
    held = network.state_dict()
    lower.load_state_dict({name: held[name] for name in lower.state_dict()})
    return lower
