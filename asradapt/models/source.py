"""The conformer with its features and tokens as a source model, read from a folder or the package.

A model folder holds `NAME.safetensors` (weights, fp16 or fp32) and `NAME.json` (shape, features, tokens,
card). Weights are computed with in fp32.

Letters: B batch, T samples, F frames, M mel bands, V tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asradapt.errors import InputError, UsageError
from asradapt.feature_options import FeatureOptions
from asradapt.features import log_mel, normalise
from asradapt.models.base import GIVEN, Site, fingerprint, weight_sites
from asradapt.models.conformer import Conformer, ConformerOptions
from asradapt.models.frozen import FrozenSource

FORMAT = 1


class ConformerSource(FrozenSource[Conformer]):
    """A trained conformer as a `SourceModel`: frozen, in `eval()` mode, row-independent.

    Args:
        name: What `--model` calls it.
        network: The network.
        features: How waveforms become features.
        tokens: The V output tokens, the blank first.
        card: What is known of it.
        precision: What the network multiplies in, `fp32` or `bf16`.
        phones: The P tokens of its inner outputs, the blank first; empty where it has none, or they are unknown.
    """

    def __init__(
        self,
        name: str,
        network: Conformer,
        features: FeatureOptions,
        tokens: tuple[str, ...],
        card: dict[str, Any],
        precision: str = "fp32",
        phones: tuple[str, ...] = (),
    ) -> None:
        super().__init__(name, network, fingerprint(network))
        self.phones = phones
        self._coarse = precision == "bf16"
        card = {key: value for key, value in card.items() if key != "precision"}  # only what is computed with
        card |= {"precision": precision} if self._coarse else {}
        self._features, self._tokens, self.card = features, tokens, card

    @property
    def sample_rate(self) -> int:
        """Samples per second of its waveforms."""
        return self._features.sample_rate

    @property
    def tokens(self) -> tuple[str, ...]:
        """The V output tokens, the blank first."""
        return self._tokens

    @property
    def frame_seconds(self) -> float:
        """Seconds from output frame to output frame."""
        return 4 * self._features.hop / self._features.sample_rate

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Where a speaker may change the network."""
        return self._network.sites()

    @cached_property
    def weights(self) -> tuple[Site, ...]:
        """The parameters that a method may change."""
        return weight_sites(self._network, self.sites)

    @property
    def spectral(self) -> bool:
        """True: normalised log-mel bands."""
        return True

    def prepare(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, T) to normalised log-mel features (B, F', M) and frame counts (B,)."""
        features, frames = log_mel(waveforms, lengths, self._features)
        return normalise(features, frames), frames

    def encode(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F', M) to logits (B, F, V) and frame counts (B,)."""
        logits, lengths, _ = self.encode_inner(features, frames)
        return logits, lengths

    def encode_inner(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The same with the logits (B, F, P) of the inner outputs."""
        with torch.autocast(self.device.type, torch.bfloat16) if self._coarse else nullcontext():
            logits, lengths, inner = self._network(features, frames)
        return logits.float(), lengths, [one.float() for one in inner]

    def encode_first(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The logits (B, F, P) of the first inner output alone and frame counts (B,), always in fp32.

        What follows from them (`asradapt.pace`) is the same whatever precision the rest is computed in.
        """
        return self._network.first(features, frames)


def with_weights(
    model: ConformerSource, name: str, weights: Mapping[str, Tensor], card: Mapping[str, Any]
) -> ConformerSource:
    """A model of the same shape, features and tokens with other weights, and with more on its card."""
    network = Conformer(model._network.options)
    network.load_state_dict(weights, strict=True)
    own = {**_own(model.card), **card}
    return ConformerSource(name, network, model._features, model.tokens, own, phones=model.phones)


def _own(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a card says of the model itself, not of how it was loaded."""
    return {key: value for key, value in card.items() if key not in (GIVEN, "precision")}


def save_source(model: ConformerSource, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write `path` (`.safetensors`) and the JSON beside it."""
    save_file({k: v.to(dtype).contiguous() for k, v in model.module.state_dict().items()}, path)
    content = {
        "format": FORMAT,
        "name": model.name,
        "network": asdict(model._network.options),
        "features": asdict(model._features),
        "tokens": list(model.tokens),
        **({"phones": list(model.phones)} if model.phones else {}),
        "card": _own(model.card),
    }
    path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _check(content: dict[str, Any]) -> None:
    """Refuse a description whose parts do not fit each other.

    Raises:
        ValueError: With everything that is wrong.
    """
    network, tokens = content["network"], content["tokens"]
    problems = []
    if content["format"] != FORMAT:
        problems.append(f"format {content['format']}, this version reads {FORMAT}")
    if len(tokens) != network["tokens"]:
        problems.append(f"{len(tokens)} tokens for {network['tokens']} outputs")
    if content.get("phones") and len(content["phones"]) != network.get("phones"):
        problems.append(f"{len(content['phones'])} phones for {network.get('phones')} inner outputs")
    if content.get("phones") and not network.get("conditions"):
        problems.append("phones without inner outputs")
    if content["features"]["mels"] != network["mels"]:
        problems.append(f"{content['features']['mels']} mel bands for {network['mels']} inputs")
    if network["heads"] < 1 or network["width"] % (2 * network["heads"]):
        problems.append(f"width {network['width']} is not a multiple of twice {network['heads']} heads")
    if problems:
        raise ValueError("; ".join(problems))


def load_source(path: Path, precision: str = "fp32") -> ConformerSource:
    """Read a source model from its `.safetensors` file and the JSON beside it.

    Args:
        path: The weights.
        precision: What the network multiplies in, `fp32` or `bf16`; weights and speakers' tensors stay in fp32.

    Raises:
        UsageError: For another precision.
        InputError: If a file is missing or damaged, or the weights do not fit the stated shape.
    """
    if precision not in ("fp32", "bf16"):
        raise UsageError(f"--precision {precision} is of no use for the model {path.stem}: it takes fp32 or bf16")
    description = path.with_suffix(".json")
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
        _check(content)
        shape = content["network"] | {"conditions": tuple(content["network"].get("conditions", ()))}
        network = Conformer(ConformerOptions(**shape))
        weights = {name: value.float() for name, value in load_file(path).items()}
        network.load_state_dict(weights, strict=True)
        features = FeatureOptions(**content["features"])
        own = content["name"], network, features, tuple(content["tokens"]), content["card"]
        return ConformerSource(*own, precision, tuple(content.get("phones", ())))
    except FileNotFoundError as error:
        raise InputError(f"source model {path}: {error.filename} does not exist; both files are needed") from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"source model {path} cannot be used: {str(error)[:300]}") from error
