"""`adapter_config.json` of a LoRA adapter of PEFT: what of it can be taken over exactly, and what is refused.

A key that is not known here and says anything is refused by its name: a new kind of LoRA would otherwise be read
as the old one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asradapt.errors import StoreError

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MOST_BYTES = 1024**2
READ = frozenset({"peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"})
HARMLESS = frozenset(
    {
        "task_type",
        "auto_mapping",
        "peft_version",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
        "target_modules",  # the tensors say it
        "exclude_modules",
        "layers_to_transform",
        "layers_pattern",
        "lora_dropout",  # of training only
        "fan_in_fan_out",  # of layers that are not nn.Linear, which the shapes would show
        "megatron_core",
        "loftq_config",  # how it began
        "eva_config",
        "corda_config",
        "lora_ga_config",
        "qalora_group_size",  # of no effect without use_qalora
        "ensure_weight_tying",
        "runtime_config",
    }
)
WHY = {
    "use_dora": "DoRA rescales the whole weight, which a low-rank change cannot say",
    "lora_bias": "it trains a bias beside the low-rank matrices",
    "bias": "it changes biases of the model",
    "modules_to_save": "it replaces whole layers",
    "trainable_token_indices": "it changes embeddings",
    "target_parameters": "it changes parameters that are no linear layers",
    "layer_replication": "it repeats layers of the model",
}
BEGINNINGS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Values of `init_lora_weights` that leave the model's own weights as they are."""
_PLAIN = re.compile(r"[\w.^$\\-]{1,300}")  # what module names are written with; anything wilder may never end


@dataclass(frozen=True)
class LoraConfig:
    """What is needed of an adapter's settings.

    Attributes:
        rank: Inner width, where no pattern says another.
        alpha: What the change is multiplied by, divided by the rank, where no pattern says another.
        ranks: Ranks by pattern of a module's path.
        alphas: The same for alpha.
        root: Whether alpha is divided by the square root of the rank (rsLoRA).
        said: What the record keeps of it.
    """

    rank: int
    alpha: float
    ranks: Mapping[str, int]
    alphas: Mapping[str, float]
    root: bool
    said: Mapping[str, object]

    def rank_of(self, path: str) -> int:
        """The rank at a module."""
        return self.ranks.get(_pattern(self.ranks, path), self.rank)

    def scale_of(self, path: str) -> float:
        """What the product of the matrices is multiplied by at a module."""
        alpha, rank = self.alphas.get(_pattern(self.alphas, path), self.alpha), self.rank_of(path)
        return alpha / (math.sqrt(rank) if self.root else rank)


def _pattern(patterns: Mapping[str, object], path: str) -> str:
    """The first pattern that a path ends with, as PEFT looks for it."""
    return next((key for key in patterns if re.match(rf"(.*\.)?({key})$", path)), "")


def read_config(folder: Path) -> LoraConfig:
    """The settings of an adapter.

    Raises:
        StoreError: If they are missing, damaged, or say what cannot be taken over; all of that is named.
    """
    content = _read(folder / CONFIG_FILE)
    kind = content.get("peft_type")
    if kind != "LORA":
        raise StoreError(f"{folder} holds an adapter of the type {kind!r}; only LoRA (LORA) can be imported")
    if problems := _refused(content):
        raise StoreError(f"{folder} cannot be taken over exactly: {'; '.join(problems)}")
    try:
        ranks = {_checked(key): int(value) for key, value in dict(content.get("rank_pattern") or {}).items()}
        alphas = {_checked(key): float(value) for key, value in dict(content.get("alpha_pattern") or {}).items()}
        rank, alpha = int(content["r"]), float(content.get("lora_alpha", 8))
        if min([rank, *ranks.values()]) < 1 or not all(math.isfinite(one) for one in (alpha, *alphas.values())):
            raise ValueError("a rank below 1, or an alpha that is not finite")
    except (KeyError, TypeError, ValueError, OverflowError, re.error) as error:
        raise StoreError(f"{folder / CONFIG_FILE} cannot be used: {error}") from error
    said = {key: str(content.get(key) or "")[:200] for key in ("base_model_name_or_path", "peft_version")}
    return LoraConfig(rank, alpha, ranks, alphas, bool(content.get("use_rslora")), said)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        content = json.loads(data)
        if not isinstance(content, dict):
            raise ValueError("it holds no JSON object")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(f"{path.parent} is no folder of a PEFT adapter: it has no {path.name}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    return content


def _refused(content: Mapping[str, Any]) -> list[str]:
    """Everything in the settings that changes what the adapter does in a way that is not known here."""
    problems = []
    if content.get("bias", "none") not in ("none", None):
        problems.append(f"bias={content['bias']!r}: {WHY['bias']}")
    if (begun := content.get("init_lora_weights", True)) not in BEGINNINGS:
        problems.append(f"init_lora_weights={begun!r}: it changed the weights of the model it was trained on")
    for key, value in content.items():
        if value and key not in READ | HARMLESS | {"bias", "init_lora_weights"}:
            if key == "megatron_config" or not isinstance(value, bool | int | float | str):
                value = "..."
            problems.append(f"{key}={value!r}: {WHY.get(key, 'what that does is not known here')}")
    return problems


def _checked(pattern: str) -> str:
    if not _PLAIN.fullmatch(pattern):
        raise ValueError(f"the pattern {pattern[:80]!r} is more than a module's path")
    re.compile(pattern)
    return pattern


def config_text(sites: Sequence[str], rank: int, base: str | None) -> str:
    """The settings of an adapter of one rank at the given paths, its matrices taken as they are."""
    content: dict[str, object] = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "target_modules": list(sites),
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "modules_to_save": None,
        "use_rslora": False,
        "use_dora": False,
        "rank_pattern": {},
        "alpha_pattern": {},
    }
    return json.dumps(content, indent=2) + "\n"
