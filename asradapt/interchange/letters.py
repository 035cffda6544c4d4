"""New characters in a folder of a transformers CTC model: outputs behind those of its own, and their names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asradapt.adaptation import Method
from asradapt.errors import InputError, StoreError
from asradapt.models.base import SourceModel
from asradapt.models.ctc_vocabulary import read_vocabulary

VOCABULARY_FILE = "vocab.json"


def added_characters(methods: Iterable[Method]) -> tuple[str, ...]:
    """The characters that methods append to those of the model, in the order of their outputs."""
    return tuple(character for method in methods for character in method.added)


def as_written(model: SourceModel, characters: Sequence[str], folder: Path) -> list[str]:
    """The characters in the case of a vocabulary, of which capitals alone are shown small.

    Raises:
        StoreError: If the model is no folder of transformers, one has no capital of its own, or its tokenizer has
            names for outputs that are not there.
    """
    if not characters:
        return []
    language = model.card.get("language")
    try:
        vocabulary = read_vocabulary(folder, model.name, language)
    except InputError as error:
        raise StoreError(f"the vocabulary in {folder} cannot be read again: {error}") from error
    outputs = len(model.tokens)
    if beyond := [
        token for token, number in {**vocabulary.numbers, **vocabulary.added}.items() if number >= outputs
    ]:
        raise StoreError(
            f"the tokenizer in {folder} has tokens without an output ({', '.join(map(repr, beyond[:5]))}), in the "
            "place of the new characters; they cannot be merged"
        )
    letters = [token for token in vocabulary.numbers if len(token) == 1 and token.isalpha()]
    if not any(letter not in model.tokens for letter in letters):
        return list(characters)
    capitals = [character.upper() for character in characters]
    if lost := [one for one, large in zip(characters, capitals, strict=True) if large.lower() != one]:
        raise StoreError(f"the model writes capitals, and there is none for {' '.join(lost)}: it cannot be merged")
    return capitals


def widen(network: Any, count: int) -> None:
    """Give the output layer of a transformers CTC network so many more outputs, still without a meaning."""
    if not count:
        return
    old = network.lm_head
    new = nn.Linear(old.in_features, old.out_features + count, device=old.weight.device, dtype=old.weight.dtype)
    with torch.no_grad():
        new.weight[: old.out_features].copy_(old.weight)
        new.bias[: old.out_features].copy_(old.bias)
    network.lm_head = new
    network.config.vocab_size = new.out_features


def name_outputs(folder: Path, characters: Sequence[str], first: int) -> None:
    """Write new characters into the vocabulary of a folder, numbered from `first`."""
    if not characters:
        return
    path = folder / VOCABULARY_FILE
    content = json.loads(path.read_text(encoding="utf-8"))
    new = {character: first + place for place, character in enumerate(characters)}
    nested = all(isinstance(value, Mapping) for value in content.values())  # of one language: the others are gone
    content = {name: {**own, **new} for name, own in content.items()} if nested else {**content, **new}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
