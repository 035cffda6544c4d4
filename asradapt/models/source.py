"""The conformer with its features and tokens as a source model, read from a folder or the package.

A model folder holds `NAME.safetensors` (weights, fp16 or fp32) and `NAME.json` (shape, features, tokens,
card). Weights are computed with in fp32. Those whose names begin with `pace.` are of another model: where a model
has them, they hear how fast somebody speaks (`asradapt.pace`).

Letters: B batch, T samples, F frames, M mel bands, V tokens.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from asradapt.errors import InputError, UsageError
from asradapt.feature_options import FeatureOptions
from asradapt.features import log_mel, normalise
from asradapt.models.base import GIVEN, Site, fingerprint, weight_sites
from asradapt.models.conformer import Conformer, ConformerOptions, up_to_first
from asradapt.models.frozen import FrozenSource

FORMATS = (1, 2)
"""Those that are read; the second has weights for the pace, and only models that have some are written so."""
PACER = "pace."


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
        pacer: What hears how fast somebody speaks, if not the network: the lower blocks of the model that it was
            made of (`up_to_first`).
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
        pacer: Conformer | None = None,
    ) -> None:
        parts = nn.ModuleDict({"network": network, "pacer": pacer}) if pacer else network
        super().__init__(name, network, fingerprint(parts))
        parts.eval().requires_grad_(False)
        self.phones, self.pacer = phones, pacer
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

    def to(self, device: torch.device | str) -> Self:
        """Move the network; the fingerprint does not change."""
        if self.pacer:
            self.pacer.to(device)
        return super().to(device)

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

        What follows from them (`asradapt.pace`) is the same whatever precision the rest is computed in, and
        whatever has been merged into the weights.
        """
        return (self.pacer or self._network).first(features, frames)


def with_weights(
    model: ConformerSource,
    name: str,
    weights: Mapping[str, Tensor],
    card: Mapping[str, Any],
    *,
    paced: bool = False,
) -> ConformerSource:
    """A model of the same shape, features and tokens with other weights, and with more on its card.

    Where it is `paced`, the first model's lower blocks go on hearing how fast somebody speaks.
    """
    network = Conformer(model._network.options)
    network.load_state_dict(weights, strict=True)
    own = {**_own(model.card), **card}
    pacer = copy.deepcopy(model.pacer or up_to_first(model._network)).cpu() if paced else None
    return ConformerSource(name, network, model._features, model.tokens, own, phones=model.phones, pacer=pacer)


def _own(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a card says of the model itself, not of how it was loaded."""
    return {key: value for key, value in card.items() if key not in (GIVEN, "precision")}


def save_source(model: ConformerSource, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write `path` (`.safetensors`) and the JSON beside it."""
    pacer = model.pacer.state_dict() if model.pacer else {}
    whole = model.module.state_dict() | {f"{PACER}{name}": value for name, value in pacer.items()}
    save_file({name: value.to(dtype).contiguous() for name, value in whole.items()}, path)
    content = {
        "format": FORMATS[-1] if model.pacer else FORMATS[0],
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
    if not isinstance(content["card"], dict):
        problems.append("a card that is no JSON object")
    if content["format"] not in FORMATS:
        problems.append(f"format {content['format']}, this version reads {' and '.join(map(str, FORMATS))}")
    if len(tokens) != network["tokens"]:
        problems.append(f"{len(tokens)} tokens for {network['tokens']} outputs")
    if content.get("phones") and len(content["phones"]) != network.get("phones"):
        problems.append(f"{len(content['phones'])} phones for {network.get('phones')} inner outputs")
    blocks, conditions = network.get("blocks", 0), network.get("conditions", [])
    if not all(isinstance(place, int) and 1 <= place <= blocks for place in conditions):
        problems.append(f"inner outputs behind {conditions!r} of {blocks} blocks")
    if content.get("phones") and not network.get("conditions"):
        problems.append("phones without inner outputs")
    if content["features"]["mels"] != network["mels"]:
        problems.append(f"{content['features']['mels']} mel bands for {network['mels']} inputs")
    if network["heads"] < 1 or network["width"] % (2 * network["heads"]):
        problems.append(f"width {network['width']} is not a multiple of twice {network['heads']} heads")
    if problems:
        raise ValueError("; ".join(problems))


def _networks(options: ConformerOptions, weights: Mapping[str, Tensor]) -> tuple[Conformer, Conformer | None]:
    """The network and, where there are weights for one, what hears how fast somebody speaks; in fp32.

    Raises:
        RuntimeError: If weights are missing or have no place.
        ValueError: If there are weights for a pacer of a network without inner outputs.
    """
    network = Conformer(options)
    pace = {name.removeprefix(PACER): value.float() for name, value in weights.items() if name.startswith(PACER)}
    own = {name: value.float() for name, value in weights.items() if not name.startswith(PACER)}
    network.load_state_dict(own, strict=True)
    if not pace:
        return network, None
    if not options.conditions:
        raise ValueError(f"weights named {PACER} for a network without inner outputs")
    pacer = up_to_first(network)
    if strange := sorted(_shapes(pace).items() ^ _shapes(pacer.state_dict()).items()):
        raise ValueError(f"{PACER}{strange[0][0]} is missing, unknown or of another shape")
    pacer.load_state_dict(pace, strict=True)
    return network, pacer


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in weights.items()}


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
        weights = load_file(path)
        if broken := [name for name, value in weights.items() if not bool(value.isfinite().all())]:
            raise ValueError(f"{broken[0]} holds numbers that are none (NaN or infinite)")
        network, pacer = _networks(ConformerOptions(**shape), weights)
        features = FeatureOptions(**content["features"])
        own = content["name"], network, features, tuple(content["tokens"]), content["card"]
        return ConformerSource(*own, precision, tuple(content.get("phones", ())), pacer)
    except FileNotFoundError as error:
        raise InputError(f"source model {path}: {error.filename} does not exist; both files are needed") from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"source model {path} cannot be used: {str(error)[:300]}") from error
