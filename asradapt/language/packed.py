"""The compact file of an n-gram model: sorted n-grams as lists of successors, probabilities as bytes.

A safetensors file: nothing in it can run code. For every length n it holds, in the order of the contexts, how many
n-grams follow each context, their last words, and log probabilities and back-off weights as bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from asradapt.errors import InputError
from asradapt.language.ngram import NgramModel

FORMAT = 1
DEEPEST = 20.0  # nats; what is less likely is rounded up to this
WIDEST = 6.0  # nats of back-off weights, from -WIDEST to 0.5
Bytes = npt.NDArray[np.uint8]


def _as_bytes(values: torch.Tensor, low: float, high: float) -> Bytes:
    scaled = (values.double().numpy() - low) / (high - low) * 255
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _as_floats(data: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return data.float() * ((high - low) / 255) + low


def _joined(words: tuple[str, ...]) -> Bytes:
    return np.frombuffer("\n".join(words).encode(), dtype=np.uint8)


def _split(data: torch.Tensor) -> tuple[str, ...]:
    text = data.numpy().tobytes().decode()
    return tuple(text.split("\n")) if text else ()


def save_packed(model: NgramModel, path: Path, about: dict[str, Any]) -> None:
    """Write a model of at most 65,536 words that its n-grams tell apart.

    Args:
        model: The model, on the CPU.
        path: The file.
        about: What it was made of, kept in the file's header.

    Raises:
        InputError: If the model has too many words.
    """
    if model.size > 2**16:
        raise InputError(
            f"the compact format holds 65536 words, the model has {model.size}; raise the least count"
        )
    content: dict[str, npt.NDArray[Any]] = {"words": _joined(model.words), "members": _joined(model.members)}
    for level, logprob in enumerate(model.logprob):
        content[f"logprob{level + 1}"] = _as_bytes(logprob, -DEEPEST, 0.0)
        if level < len(model.backoff):
            content[f"backoff{level + 1}"] = _as_bytes(model.backoff[level], -WIDEST, 0.5)
    for level, keys in enumerate(model.keys):
        contexts = np.bincount(keys.numpy() // model.size, minlength=len(model.logprob[level]))
        content[f"count{level + 2}"] = contexts.astype(np.uint16 if contexts.max() < 2**16 else np.uint32)
        content[f"last{level + 2}"] = (keys.numpy() % model.size).astype(np.uint16)
    numbers = {"start": model.start, "end": model.end, "unknown": model.unknown}
    shares = {"member_logprob": model.member_logprob, "open_logprob": model.open_logprob}
    header = {"format": FORMAT, "order": model.order, **numbers, **shares, "about": about}
    save_file(content, path, metadata={"ngram": json.dumps(header)})


def load_packed(path: Path) -> NgramModel:
    """Read a compact n-gram file.

    Raises:
        InputError: If it is missing, damaged or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["ngram"])
            if header["format"] != FORMAT:
                raise ValueError(f"format {header['format']}, this version reads {FORMAT}")
            return _unpacked(header, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError, SafetensorError) as error:
        raise InputError(f"language model {path} cannot be used: {str(error)[:300]}") from error


def _unpacked(header: dict[str, Any], content: dict[str, torch.Tensor]) -> NgramModel:
    words, order = _split(content["words"]), int(header["order"])
    keys = []
    for length in range(2, order + 1):
        counts, last = content[f"count{length}"].long(), content[f"last{length}"].long()
        above = len(content[f"logprob{length - 1}"])
        if len(counts) != above or int(counts.sum()) != len(last) or len(content[f"logprob{length}"]) != len(last):
            raise ValueError(f"its {length}-grams do not fit its {length - 1}-grams")
        if len(last) and int(last.max()) >= len(words):
            raise ValueError(f"its {length}-grams name words that it does not have")
        keys.append(torch.repeat_interleave(torch.arange(above), counts) * len(words) + last)
    logprob = [_as_floats(content[f"logprob{n}"], -DEEPEST, 0.0) for n in range(1, order + 1)]
    backoff = [_as_floats(content[f"backoff{n}"], -WIDEST, 0.5) for n in range(1, order)]
    if len(logprob[0]) != len(words) or any(len(b) != len(p) for b, p in zip(backoff, logprob, strict=False)):
        raise ValueError("its probabilities do not fit its words")
    return NgramModel(
        words,
        _split(content["members"]),
        int(header["start"]),
        int(header["end"]),
        int(header["unknown"]),
        float(header["member_logprob"]),
        float(header["open_logprob"]),
        tuple(keys),
        tuple(logprob),
        tuple(backoff),
    )
