"""The vocabulary of a CTC model of transformers, as its own tokenizer reads it: one language or many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asradapt.errors import InputError, UsageError
from asradapt.models.alphabet import Alphabet, make_alphabet
from asradapt.models.hub import read_json


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The tokens of a model folder, in one language.

    Attributes:
        folder: Where they come from.
        numbers: The output of every token.
        added: Outputs of tokens that its settings add; some of them have no output.
        boundary: The token between words.
        language: The chosen language, of a model of many.
        languages: All that it has; empty for a model of one.
        pad: The token that its own decoder takes for the blank, if there is such a one.
    """

    folder: Path
    numbers: Mapping[str, int]
    added: Mapping[str, int]
    boundary: str
    language: str | None = None
    languages: tuple[str, ...] = ()
    pad: str | None = None

    def alphabet(self, outputs: int, blank: int) -> Alphabet:
        """The tokens of an output layer; outputs that no token has are named by their number.

        Raises:
            InputError: If the tokens do not fit the output layer, or cannot be used.
        """
        last = max(self.numbers.values())
        if last >= outputs:
            raise InputError(
                f"the vocabulary of {self.folder} does not fit its weights: {len(self.numbers)} tokens numbered "
                f"up to {last}, and the output layer has {outputs}; vocab.json must be the one of these weights"
            )
        own = [f"<{number}>" for number in range(outputs)]
        for token, number in (*self.numbers.items(), *self.added.items()):
            if number < outputs:
                own[number] = token
        named = {**self.numbers, **self.added}.values()
        if lacking := [number for number in range(outputs) if number not in named]:
            shown = ", ".join(map(str, lacking[:5])) + (" ..." if len(lacking) > 5 else "")
            raise InputError(
                f"the vocabulary of {self.folder} names no token for {len(lacking)} of the {outputs} outputs "
                f"({shown}); vocab.json must be the one of these weights"
            )
        pad = {**self.numbers, **self.added}.get(self.pad or "")
        if pad is not None and pad != blank:
            raise InputError(
                f"the blank of {self.folder} is in doubt: its tokenizer says {self.pad!r}, number {pad}, and "
                f"config.json (pad_token_id) says {blank}; they must agree"
            )
        try:
            return make_alphabet(own, blank=blank, boundary=self.boundary)
        except InputError as error:
            raise InputError(f"the vocabulary of {self.folder} cannot be used: {error}") from error


def read_vocabulary(folder: Path, name: str, language: str | None) -> Vocabulary:
    """The vocabulary of a model folder.

    Args:
        folder: The folder with `vocab.json`.
        name: What the model is called in messages.
        language: The language of `--language`, for a model of many.

    Raises:
        InputError: If there is no tokenizer, or it is damaged.
        UsageError: If a language must be named, is not known, or is of no use.
    """
    path = folder / "vocab.json"
    content = read_json(path, "says what its outputs write; take all files of the model")
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    nested = bool(content) and all(isinstance(value, dict) for value in content.values())
    if nested:
        language = _choose(name, content, language)
    elif language:
        raise UsageError(f"--language is of no use for {name}: it knows one language")
    numbers, added = _usable(path, content[language] if language else content), _added(folder, settings)
    if nested:  # an added token, that of another language perhaps, must not stand for a letter of this one
        added = {token: number for token, number in added.items() if number not in numbers.values()}
    boundary = settings.get("word_delimiter_token") or "|"
    boundary = boundary["content"] if isinstance(boundary, dict) else boundary
    # as the library's tokenizer: the older file counts, and comes first, where the newer one lists no tokens
    special = {} if settings.get("added_tokens_decoder") else _special(folder)
    pad = special.get("pad_token") or settings.get("pad_token") or "<pad>"
    return Vocabulary(
        folder=folder,
        numbers=numbers,
        added=added,
        boundary=str(boundary),
        language=language if nested else None,
        languages=tuple(sorted(content)) if nested else (),
        pad=str(pad["content"] if isinstance(pad, dict) else pad),
    )


def _special(folder: Path) -> Mapping[str, Any]:
    """The special tokens, in the file that older versions wrote."""
    path = folder / "special_tokens_map.json"
    return read_json(path) if path.exists() else {}


def _usable(path: Path, numbers: Mapping[str, Any]) -> dict[str, int]:
    """The numbers, if there is one for each token.

    Raises:
        InputError: If not.
    """
    wrong = [token for token, number in numbers.items() if type(number) is not int or number < 0]
    if wrong or not numbers:
        told = f"; wrong are {', '.join(map(repr, wrong[:5]))}" if wrong else ""
        raise InputError(f"{path} does not give a number for each token{told}")
    return dict(numbers)


def _added(folder: Path, settings: Mapping[str, Any]) -> dict[str, int]:
    """Tokens that stand in the tokenizer's settings, or in the file that older versions wrote.

    Raises:
        InputError: If they are damaged.
    """
    path = folder / "added_tokens.json"
    added = read_json(path) if path.exists() else {}
    for number, entry in (settings.get("added_tokens_decoder") or {}).items():
        try:
            added[entry["content"]] = int(number)
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(
                f"{folder / 'tokenizer_config.json'} holds an added token that cannot be read"
            ) from error
    return _usable(path, added) if added else {}


def _choose(name: str, content: Mapping[str, Any], language: str | None) -> str:
    """The language asked for, or the only one.

    Raises:
        UsageError: With the languages.
    """
    if language is None and len(content) == 1:
        return next(iter(content))
    if language is not None and language in content:
        return language
    known = ", ".join(sorted(content)[:20]) + (" ..." if len(content) > 20 else "")
    asked = f"has no language {language!r}" if language else "writes many languages"
    raise UsageError(f"{name} {asked}; --language takes one of {len(content)}: {known}")
