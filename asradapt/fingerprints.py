"""Which texts were met before, in 33 bytes for each of them, however long they are."""

from __future__ import annotations

from array import array
from bisect import insort
from hashlib import blake2b

START = 1024  # slots of an empty table; a power of two
FULL = 2 / 3  # share of the slots that may be taken: above it, searches grow long


class Fingerprints:
    """Texts with a number each, kept as 64 bits of their hash in a table with open addressing.

    Two texts are taken for one with a probability of n²/2^65: 3e-8 for a million of them.
    """

    def __init__(self) -> None:
        self._count = 0
        self._make(START)

    def _make(self, size: int) -> None:
        self._marks = array("Q", bytes(8 * size))  # 0 where the slot is free
        self._numbers = array("I", bytes(4 * size))

    def __len__(self) -> int:
        return self._count

    def __contains__(self, text: str) -> bool:
        return self._marks[self._slot(_mark(text))] != 0

    def get(self, text: str) -> int | None:
        """The number of a text; None where it was never set."""
        slot = self._slot(_mark(text))
        return self._numbers[slot] if self._marks[slot] else None

    def __setitem__(self, text: str, number: int) -> None:
        if self._count >= FULL * len(self._marks):
            self._grow()
        self._put(_mark(text), number)

    def add(self, text: str) -> bool:
        """Whether the text is new; from now on it is not."""
        if text in self:
            return False
        self[text] = 0
        return True

    def _put(self, mark: int, number: int) -> None:
        slot = self._slot(mark)
        self._count += not self._marks[slot]
        self._marks[slot], self._numbers[slot] = mark, number

    def _slot(self, mark: int) -> int:
        """Where a mark is, or would be."""
        marks, last = self._marks, len(self._marks) - 1
        slot = mark & last
        while marks[slot] and marks[slot] != mark:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        marks, numbers = self._marks, self._numbers
        self._make(2 * len(marks))
        self._count = 0
        for mark, number in zip(marks, numbers, strict=True):
            if mark:
                self._put(mark, number)


def _mark(text: str) -> int:
    """64 bits of a text's hash, never 0."""
    content = text.encode("utf-8", "surrogatepass")  # names of files need not be UTF-8
    return int.from_bytes(blake2b(content, digest_size=8).digest()) or 1


class Distinct:
    """How many different texts there are, and the first few of them in sorted order.

    Args:
        most: So many are kept.
    """

    def __init__(self, most: int = 10) -> None:
        self._most, self._seen = most, Fingerprints()
        self.first: list[str] = []

    def add(self, text: str) -> None:
        """Take note of a text."""
        if self._seen.add(text):
            insort(self.first, text)
            del self.first[self._most :]

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, text: str) -> bool:
        return text in self._seen

    def __str__(self) -> str:
        more = len(self) - len(self.first)
        return (", ".join(self.first) or "none") + (f" and {more} more" if more else "")
