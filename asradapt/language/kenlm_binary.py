"""KenLM binaries (Heafield 2011), asked through the `kenlm` module, extra `asradapt[lm]`.

The module answers for one word at a time and lists no n-grams, so they are asked for on the CPU, once for every
n-gram, and what was asked is kept. The words stand at the end of the file.

Letters: R rows that are looked up, n words that are looked at together.
"""

from __future__ import annotations

import copy
import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from asradapt.errors import InputError, UsageError
from asradapt.language.base import LN10, NONE, RAREST

MAGIC = b"mmap lm http://kheafield.com/code"
MARKS = ("<s>", "</s>", "<unk>")
_HEAD = 88  # bytes before the fixed part of the header
_FIXED = struct.Struct("<B3xfi?3xI")  # order, multiplier, kind of model, whether it holds its words, version
_HASHED = 2  # kinds below this keep their words in hash tables, the others sorted
_KEPT = 200_000  # answers that are kept
Gram = tuple[int, ...]
Answer = TypeVar("Answer")


class _Kept(dict[Gram, Answer], Generic[Answer]):
    """Answers by n-gram; all are forgotten when there are too many, so that memory is bounded."""

    def __init__(self, ask: Callable[[Gram], Answer]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, gram: Gram) -> Answer:
        if len(self) >= _KEPT:
            self.clear()
        self[gram] = found = self._ask(gram)
        return found


class KenlmModel:
    """A language model in a KenLM binary; a state is the numbers of the last n - 1 words.

    Words are taken as lower case; of two that then are the same, the likelier stays. `LanguageModel` says what
    the attributes are.

    Args:
        path: The file, already checked.
        written: Its words as it writes them.

    Raises:
        UsageError: If the module is not installed.
        InputError: If the module refuses the file, or its words do not fit its probabilities.
    """

    members: tuple[str, ...] = ()
    member_logprob = 0.0
    open_logprob = 0.0

    def __init__(self, path: Path, written: tuple[str, ...]) -> None:
        self._kenlm, self._model = _opened(path)
        self.order = int(self._model.order)
        self._written, alone = self._distinct(written)
        self.words = tuple(word.lower() for word in self._written)
        self.start, self.end, self.unknown = (self.words.index(mark) for mark in MARKS)
        self._lift = (
            0.0  # what a closed vocabulary takes from unknown words: they get the rarest word's probability
        )
        if alone[self.unknown] < RAREST * LN10 - 1:
            self._lift = min(p for p in alone if p > RAREST * LN10 / 2) - alone[self.unknown]
            alone[self.unknown] += self._lift
        self.unigram = torch.tensor(alone)
        self.device = self.unigram.device
        self._states: _Kept[Any] = _Kept(self._state)
        self._values: _Kept[float] = _Kept(self._value)

    def _distinct(self, written: tuple[str, ...]) -> tuple[tuple[str, ...], list[float]]:
        """The words that differ in lower case, and the log probability of each by itself."""
        nothing = self._kenlm.State()
        self._model.NullContextWrite(nothing)
        best: dict[str, tuple[float, str]] = {}
        for word in written:
            value = self._model.BaseScore(nothing, word, self._kenlm.State()) * LN10
            if not -1e4 < value < 1e-4:
                raise ValueError(f"a probability of {word!r} that is none, so the file is damaged")
            key = word.lower()
            if key not in best or (value > best[key][0] and key not in MARKS):
                best[key] = value, word
        return tuple(word for _, word in best.values()), [value for value, _ in best.values()]

    @property
    def size(self) -> int:
        """Number of words, sentence marks and the unknown word included."""
        return len(self.words)

    def to(self, device: torch.device | str) -> KenlmModel:
        """The same model with its states on another device; it is still asked on the CPU."""
        other = copy.copy(self)
        other.unigram = self.unigram.to(device)
        other.device = other.unigram.device
        return other

    def begin(self, rows: int) -> Tensor:
        """States (R, n - 1) behind the sentence start."""
        state = torch.full((rows, self.order - 1), NONE, device=self.device)
        state[:, -1] = self.start
        return state

    def score(self, state: Tensor, word: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities of words after states, and the states behind them.

        Args:
            state: (R, n - 1) numbers of the words before, the last one last; -1 before the beginning.
            word: (R,) numbers of words.

        Returns:
            (R,) float32 and (R, n - 1).
        """
        grams = torch.cat([state, word[:, None]], dim=1)
        values = [self._values[tuple(gram)] for gram in grams.tolist()]
        return torch.tensor(values, dtype=torch.float32, device=grams.device), grams[:, 1:]

    def _state(self, context: Gram) -> Any:
        """KenLM's state behind some words."""
        said = [number for number in context if number != NONE]
        state = self._kenlm.State()
        if said[:1] == [self.start]:
            self._model.BeginSentenceWrite(state)
            said = said[1:]
        else:
            self._model.NullContextWrite(state)
        for number in said:
            before, state = state, self._kenlm.State()
            self._model.BaseScore(before, self._written[number], state)
        return state

    def _value(self, gram: Gram) -> float:
        word = self._written[gram[-1]]
        value = float(self._model.BaseScore(self._states[gram[:-1]], word, self._kenlm.State())) * LN10
        return value + self._lift if gram[-1] == self.unknown else value


def _opened(path: Path) -> tuple[Any, Any]:
    """The module and its model."""
    try:
        import kenlm
    except ImportError as error:
        raise UsageError(
            f"{path} is a KenLM binary, which needs kenlm: pip install 'asradapt[lm]'; or give the ARPA file that "
            "it was built from"
        ) from error
    config = kenlm.Config()
    config.show_progress = False
    return kenlm, kenlm.Model(str(path), config)


def read_kenlm(path: Path) -> KenlmModel:
    """Open a KenLM binary.

    Header, size and words are checked before the file is used: KenLM itself reads it unchecked.

    Raises:
        UsageError: If the module `kenlm` is not installed.
        InputError: If the file is truncated, damaged, of another version, or holds no words.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            words = _words(data)
        if missing := {"<s>", "</s>"}.difference(words):
            raise ValueError(f"it has no {' and '.join(sorted(missing))}; build it with sentence marks")
        if len(words) <= len(MARKS):
            raise ValueError("it knows no word; build it from sentences")
        return KenlmModel(path, words)
    except (OSError, RuntimeError, ValueError, struct.error, UnicodeError) as error:
        raise InputError(f"the KenLM binary {path} cannot be used: {str(error)[:300]}") from error


def _words(data: mmap.mmap) -> tuple[str, ...]:
    """The words at the end of a binary, in the order of KenLM's numbers."""
    count = _count(data)
    first = data.rfind(b"<unk>\0")  # which is always the first word
    found = data[first:].split(b"\0") if first >= 0 else []
    if len(found) != count + 1 or found[-1]:
        raise ValueError(
            f"{count} words are to stand at its end, {max(0, len(found) - 1)} do; it may have been copied in part"
        )
    return tuple(word.decode() for word in found[:-1])


def _count(data: mmap.mmap) -> int:
    """The number of words that the header promises; KenLM would believe any number and read or divide by it."""
    if len(data) < _HEAD + _FIXED.size:
        raise ValueError(f"it ends after {len(data)} bytes; it may have been copied in part")
    order, multiplier, kind, has_words, _ = _FIXED.unpack_from(data, _HEAD)
    known = 2 <= order <= 20 and 1 < multiplier < 1000 and 0 <= kind <= 5 and has_words <= 1
    grams = struct.unpack_from(f"<{order}Q", data, _HEAD + _FIXED.size) if known else (0,)
    if not all(0 < count < len(data) for count in grams):
        raise ValueError("its header is damaged, or of a version of KenLM that is not known")
    if not has_words:
        raise ValueError(
            "it holds no words (build_binary -v left them out); build it with them, or give the ARPA file"
        )
    table = _HEAD + _FIXED.size + 8 * order
    table += -table % 8
    if kind < _HASHED:
        count = int(struct.unpack_from("<4xI", data, table)[0])
    else:
        count = int(struct.unpack_from("<Q", data, table)[0]) + 1  # the unknown word is not counted
    if count - grams[0] not in (0, 1):  # an ARPA file need not have the unknown word
        raise ValueError(f"it has {count} words in one place and {grams[0]} in another")
    return count
