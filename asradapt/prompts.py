"""Sentences to read aloud at enrolment, in the order that covers the sounds of English fastest.

The first minutes of speech bring most of the gain, so every sentence should bring sounds that were
not heard yet. Sentences are chosen greedily: all phones first, then pairs of phones (diphones) with
diminishing returns, per phone to be read. Both gains are submodular, so the lazy greedy algorithm
(Minoux, 1978) finds the same order as trying every sentence each time.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import islice, pairwise

from asradapt.errors import UnknownName, UsageError

LEVELS = ("easy", "plain")
_VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
_STOPS = ("B", "CH", "D", "G", "JH", "K", "P", "T")
_FRICATIVES = ("DH", "F", "HH", "S", "SH", "TH", "V", "Z", "ZH")
_SONORANTS = ("L", "M", "N", "NG", "R", "W", "Y")
PHONES = frozenset((*_VOWELS, *_STOPS, *_FRICATIVES, *_SONORANTS))
# A phone that was never heard outweighs whatever diphones a sentence could bring.
_PHONE_WEIGHT = 1000.0

Diphone = tuple[str, str]


@dataclass(frozen=True)
class Prompt:
    """One sentence to read aloud.

    Attributes:
        id: Stays the same when sentences are added (`p001`).
        level: `easy` (short, simple words; for children and tired readers) or `plain`.
        text: As shown to the reader, with capitals and punctuation.
        phones: ARPAbet without stress.
        sounds: The same, word by word.
    """

    id: str
    level: str
    text: str
    phones: tuple[str, ...]
    sounds: tuple[tuple[str, ...], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The words, in lower case."""
        return tuple(re.sub(r"[^a-z' ]", " ", self.text.lower()).split())


@dataclass(frozen=True)
class Coverage:
    """Which sounds some prompts contain.

    Attributes:
        phones: How many of the phones of English they contain.
        phones_total: Number of phones of English (39).
        diphones: How many different pairs of neighbouring phones they contain.
        diphones_total: How many the whole set of prompts contains.
        missing: The phones they do not contain.
    """

    phones: int
    phones_total: int
    diphones: int
    diphones_total: int
    missing: tuple[str, ...]


@lru_cache(maxsize=1)
def load_prompts() -> tuple[Prompt, ...]:
    """Load all prompts, in reading order."""
    table = resources.files("asradapt").joinpath("assets/prompts.tsv").read_text(encoding="utf-8")
    return tuple(_read(line) for line in table.splitlines()[1:])


def _read(line: str) -> Prompt:
    """A line of the table: id, level, text, phones with a bar between words."""
    name, level, text, phones = line.split("\t")
    sounds = tuple(tuple(word.split()) for word in phones.split("|"))
    return Prompt(name, level, text, tuple(phone for word in sounds for phone in word), sounds)


def choose_prompts(
    count: int | None = None, *, level: str | None = None, skip: Collection[str] = ()
) -> tuple[Prompt, ...]:
    """Choose the next prompts to read, best first.

    Args:
        count: How many; all that are left by default.
        level: `easy` or `plain`; both by default.
        skip: Ids of prompts that were already read. They do not come again, and what they cover
            counts as heard.

    Returns:
        At most `count` prompts; fewer when no more are left.

    Raises:
        UsageError: If `count` is below one.
        UnknownName: If there is no such level or prompt.
    """
    if count is not None and count < 1:
        raise UsageError(f"the number of prompts is {count}; it must be 1 or more")
    if level is not None and level not in LEVELS:
        raise UnknownName("level of prompts", level, LEVELS)
    prompts = {prompt.id: prompt for prompt in load_prompts()}
    for name in skip:
        if name not in prompts:
            raise UnknownName("prompt", name, prompts)
    left = [prompt for prompt in prompts.values() if prompt.id not in skip and level in (None, prompt.level)]
    return tuple(islice(order_prompts(left, read=[prompts[name] for name in skip]), count))


def coverage(prompts: Iterable[Prompt]) -> Coverage:
    """Count the phones and diphones that the prompts contain."""
    chosen = list(prompts)
    phones = {phone for prompt in chosen for phone in prompt.phones}
    diphones = {pair for prompt in chosen for pair in pairwise(prompt.phones)}
    return Coverage(
        phones=len(phones & PHONES),
        phones_total=len(PHONES),
        diphones=len(diphones),
        diphones_total=len(diphones | set(_diphone_weights())),
        missing=tuple(sorted(PHONES - phones)),
    )


def order_prompts(
    prompts: Iterable[Prompt],
    *,
    read: Iterable[Prompt] = (),
    weights: Mapping[Diphone, float] | None = None,
) -> Iterator[Prompt]:
    """Yield prompts so that every one brings as much that is new as possible for its length.

    Args:
        prompts: The prompts to order; equally good ones come by id.
        read: Prompts that were already read.
        weights: What hearing a diphone is worth; by default how often it occurs in the whole set.
    """
    heard = _Heard(_diphone_weights() if weights is None else weights)
    for prompt in read:
        heard.add(prompt)
    # A gain only shrinks while others are read: whoever stays on top after an update is the best.
    heap = [(-heard.gain(prompt), prompt.id, prompt) for prompt in prompts]
    heapq.heapify(heap)
    while heap:
        _, name, prompt = heapq.heappop(heap)
        current = (-heard.gain(prompt), name, prompt)
        if heap and heap[0][:2] < current[:2]:
            heapq.heappush(heap, current)
            continue
        heard.add(prompt)
        yield prompt


def diphone_weights(prompts: Iterable[Prompt]) -> dict[Diphone, float]:
    """Weigh diphones by the fourth root of their frequency.

    Without weights rare diphones come too early, with the frequency itself new ones too late; the
    fourth root covers most of the speech that a listener hears, at every amount of reading.
    """
    counts = Counter(pair for prompt in prompts for pair in pairwise(prompt.phones))
    return {pair: count**0.25 for pair, count in counts.items()}


class _Heard:
    """What was read so far, and what one more prompt would add."""

    def __init__(self, weights: Mapping[Diphone, float]) -> None:
        self._weights = weights
        self._phones: set[str] = set()
        self._diphones: Counter[Diphone] = Counter()

    def add(self, prompt: Prompt) -> None:
        """Count a prompt as read."""
        self._phones.update(prompt.phones)
        self._diphones.update(pairwise(prompt.phones))

    def gain(self, prompt: Prompt) -> float:
        """New phones, then the weighted growth of log(1 + count) of the diphones, per phone."""
        fresh = len(set(prompt.phones) - self._phones)
        growth = sum(self._growth(pair, count) for pair, count in _pair_counts(prompt.phones))
        return (_PHONE_WEIGHT * fresh + growth) / max(1, len(prompt.phones))

    def _growth(self, pair: Diphone, count: int) -> float:
        heard = self._diphones[pair]
        return self._weights.get(pair, 1.0) * math.log((1 + heard + count) / (1 + heard))


@lru_cache(maxsize=1)
def _diphone_weights() -> dict[Diphone, float]:
    return diphone_weights(load_prompts())


@lru_cache(maxsize=4096)
def _pair_counts(phones: Sequence[str]) -> tuple[tuple[Diphone, int], ...]:
    return tuple(Counter(pairwise(phones)).items())
