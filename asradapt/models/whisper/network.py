"""The network of a Whisper model with a place for the features, and what its decoder looks at.

Letters: B batch, W frames of a whole window, M mel bands, D width, A heads, L tokens, F encoder frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from asradapt.models.base import Site
from asradapt.models.turns import hooked

Heads = Sequence[tuple[int, int]]  # decoder layer and head


class WhisperNetwork(nn.Module):
    """A `WhisperForConditionalGeneration` behind an identity that passes on the features.

    Args:
        whisper: The library's model.

    Attributes:
        prefix: What stands before the library's own paths in the names of sites and weights.
    """

    prefix = "whisper."

    def __init__(self, whisper: Any) -> None:
        super().__init__()
        self.features = nn.Identity()  # a site: what speakers may transform before anything else
        self.whisper = whisper

    def encode(self, window: Tensor) -> Tensor:
        """Features of whole windows (B, W, M) to states (B, W/2, D)."""
        states: Tensor = self.whisper.model.encoder(window.transpose(1, 2)).last_hidden_state
        return states

    def decode(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, L, V) behind every one of the tokens (B, L), given the encoder's states."""
        logits: Tensor = self.whisper(encoder_outputs=(states,), decoder_input_ids=tokens, use_cache=False).logits
        return logits

    def sites(self) -> tuple[Site, ...]:
        """Where a speaker may change the network, from the input to the output.

        They are listed, not found by trying: a pass with gradients over whole windows takes gigabytes for the
        larger models. That each of them fires and is reached by a gradient is tested.
        """
        config = self.whisper.config
        width, mels = int(config.d_model), int(config.num_mel_bins)
        found = [Site("features", "input", mels, mels)]
        for part, count, inner, attentions in (
            ("encoder", config.encoder_layers, config.encoder_ffn_dim, ("self_attn",)),
            ("decoder", config.decoder_layers, config.decoder_ffn_dim, ("self_attn", "encoder_attn")),
        ):
            for number in range(int(count)):
                found += _layer(f"whisper.model.{part}.layers.{number}", width, int(inner), attentions)
            found.append(Site(f"whisper.model.{part}.layer_norm", "norm", width, width))
        found.append(Site("whisper.proj_out", "output", width, int(config.vocab_size)))
        return tuple(found)

    def alignment_heads(self) -> list[tuple[int, int]]:
        """The heads that follow the speech: those of the checkpoint, else all of the decoder's upper half."""
        config = self.whisper.config
        given = getattr(self.whisper.generation_config, "alignment_heads", None) or []
        most = (config.decoder_layers, config.decoder_attention_heads)
        # a distilled model may name those of its teacher, which had more layers
        if there := [(int(layer), int(head)) for layer, head in given if layer < most[0] and head < most[1]]:
            return there
        layers = range(config.decoder_layers // 2, config.decoder_layers)
        return [(layer, head) for layer in layers for head in range(config.decoder_attention_heads)]

    @contextmanager
    def watched(self, heads: Heads) -> Iterator[dict[tuple[int, str], Tensor]]:
        """Keep queries and keys (B, steps, D) of the cross-attention, as adapted, until the context ends.

        Args:
            heads: Those whose layers are of interest.

        Yields:
            What was seen in the last pass, by layer and `q` or `k`.
        """
        seen: dict[tuple[int, str], Tensor] = {}
        stack = ExitStack()
        for layer in sorted({layer for layer, _ in heads}):
            attention = self.whisper.model.decoder.layers[layer].encoder_attn
            for name in ("q", "k"):

                def keep(
                    _: nn.Module, given: object, output: Tensor, key: tuple[int, str] = (layer, name)
                ) -> None:
                    seen[key] = output.detach()

                stack.enter_context(hooked(getattr(attention, f"{name}_proj"), keep))
        with stack:
            yield seen

    def looks(self, seen: dict[tuple[int, str], Tensor], heads: Heads, row: int) -> Tensor:
        """The cross-attention weights (A, L, F) of one row, from what was seen."""
        size = self.whisper.config.d_model // self.whisper.config.decoder_attention_heads
        weights = []
        for layer, head in heads:
            part = slice(head * size, (head + 1) * size)
            queries, keys = (seen[layer, name][row, :, part].float() for name in ("q", "k"))
            weights.append((size**-0.5 * queries @ keys.T).softmax(dim=-1))
        return torch.stack(weights)


def _layer(path: str, width: int, inner: int, attentions: Sequence[str]) -> Iterator[Site]:
    """The places of one block of encoder or decoder."""
    for attention in attentions:
        yield Site(f"{path}.{attention}_layer_norm", "norm", width, width)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield Site(f"{path}.{attention}.{name}", "attention", width, width)
    yield Site(f"{path}.final_layer_norm", "norm", width, width)
    yield Site(f"{path}.fc1", "feed_forward", width, inner)
    yield Site(f"{path}.fc2", "feed_forward", inner, width)
    yield Site(path, "block", width, width)
