"""Which sentences a person should read next: those with sounds and words that were misheard and seldom read.

How often a sound is misheard is counted from the misheard words of the held-out recordings of the enrolment, every
sound of a misheard word alike: in which of its sounds a word went wrong is not known. Over many words the sounds
that are to blame stand out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from asradapt.errors import UnknownName, UsageError
from asradapt.prompts import LEVELS, Prompt, choose_prompts, load_prompts
from asradapt.scoring import normalize
from asradapt.store import SpeakerRecord

Sounds = Mapping[str, Sequence[str]]

SMOOTHING = 10.0
"""So many sounds misheard at the usual rate are added to the counts of every sound."""
SHARPNESS = 2.0
"""A sound that is misheard twice as often as usual is worth so much to the power of two."""
WORD_WORTH = 2.0
"""A misheard word in a sentence is worth so many sounds of the usual rate, for every time it was misheard."""
REASONS = 3
"""So many sounds and words are named for a sentence."""


@dataclass(frozen=True)
class Advice:
    """A sentence to read, and why.

    Attributes:
        prompt: The sentence.
        sounds: Its sounds that are worth most, the best first.
        words: Its words that were misheard, the most frequent first.
    """

    prompt: Prompt
    sounds: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Unsure:
    """What the model is unsure of for a person.

    Attributes:
        said: How often each sound was read.
        rates: How often it stood in a misheard word, as a share (fraction), smoothed.
        usual: The share over all sounds.
        words: How often each word was misheard.
        unknown: Words whose sounds are not known.
    """

    said: Mapping[str, int]
    rates: Mapping[str, float]
    usual: float
    words: Mapping[str, int]
    unknown: tuple[str, ...]

    def worth(self, sound: str) -> float:
        """What reading a sound is worth; 1 for one that is misheard as often as all are."""
        return (self.rates.get(sound, self.usual) / self.usual) ** SHARPNESS if self.usual else 1.0


def read_texts(record: SpeakerRecord) -> list[str]:
    """The texts of an enrolment, normalised."""
    texts = record.split.get("texts")
    return [str(text) for text in texts] if isinstance(texts, list) else []


def misheard_words(record: SpeakerRecord) -> dict[str, int] | None:
    """How often each word was misheard; None where the record does not say."""
    words = record.folds.get("misheard")
    if not isinstance(words, dict):
        return None
    return {str(word): count for word, count in words.items() if isinstance(count, int) and count > 0}


def known_sounds() -> dict[str, tuple[str, ...]]:
    """The pronunciations of the words of all prompts."""
    return {word: sounds for p in load_prompts() for word, sounds in zip(p.words, p.sounds, strict=True)}


def unsure_of(texts: Sequence[str], misheard: Mapping[str, int], sounds: Sounds) -> Unsure:
    """Counts how often every sound was read, and how often it stood in a misheard word.

    Args:
        texts: What was read, normalised.
        misheard: How often each word was misheard.
        sounds: Pronunciations, ARPAbet without stress.
    """
    read = Counter(word for text in texts for word in text.split())
    said, wrong = Counter[str](), Counter[str]()
    for word, count in read.items():
        for sound in sounds.get(word, ()):
            said[sound] += count
            wrong[sound] += min(count, misheard.get(word, 0))
    usual = wrong.total() / said.total() if said else 0.0
    rates = {one: (wrong[one] + SMOOTHING * usual) / (said[one] + SMOOTHING) for one in said}
    return Unsure(said, rates, usual, misheard, tuple(sorted(word for word in misheard if word not in sounds)))


def advise(
    texts: Sequence[str],
    misheard: Mapping[str, int],
    sounds: Sounds,
    *,
    count: int | None = None,
    level: str | None = None,
) -> tuple[list[Advice], Unsure]:
    """The sentences to read next, best first, without those that were read.

    Greedy: what its sounds and words are worth, with diminishing returns, for each sound to be read; equally good
    ones come by id. Without anything misheard the order is that of `choose_prompts`.

    Args:
        texts: What was read, normalised.
        misheard: How often each word was misheard.
        sounds: Pronunciations of words, ARPAbet without stress.
        count: How many; all by default.
        level: `easy` or `plain`; both by default.

    Raises:
        UsageError: If `count` is below one.
        UnknownName: If there is no such level.
    """
    if count is not None and count < 1:
        raise UsageError(f"the number of prompts is {count}; it must be 1 or more")
    if level is not None and level not in LEVELS:
        raise UnknownName("level of prompts", level, LEVELS)
    unsure = unsure_of(texts, misheard, sounds)
    read = {prompt.id for prompt in load_prompts() if normalize(prompt.text) in set(texts)}
    if not unsure.usual and not misheard:
        return [Advice(prompt, (), ()) for prompt in choose_prompts(count, level=level, skip=read)], unsure
    left = [prompt for prompt in load_prompts() if prompt.id not in read and level in (None, prompt.level)]
    return _greedy(left, unsure, len(left) if count is None else count), unsure


def _greedy(left: Collection[Prompt], unsure: Unsure, count: int) -> list[Advice]:
    said, words = Counter(unsure.said), Counter[str]()
    waiting = sorted(left, key=lambda prompt: prompt.id)
    found: list[Advice] = []

    def worth(prompt: Prompt) -> float:
        return sum(_gains(prompt, unsure, said, words).values()) / len(prompt.phones)

    while waiting and len(found) < count:
        best = max(waiting, key=worth)
        found.append(_explained(best, unsure, said, words))
        waiting.remove(best)
        said.update(best.phones)
        words.update(best.words)
    return found


def _gains(prompt: Prompt, unsure: Unsure, said: Mapping[str, int], words: Mapping[str, int]) -> dict[str, float]:
    """What each sound (upper case) and each misheard word (lower case) of a sentence would bring."""
    gains = {
        sound: unsure.worth(sound) * math.log((1 + said.get(sound, 0) + more) / (1 + said.get(sound, 0)))
        for sound, more in Counter(prompt.phones).items()
    }
    for word in set(prompt.words) & unsure.words.keys():
        gains[word] = WORD_WORTH * unsure.words[word] / (1 + words.get(word, 0)) ** 2
    return gains


def _explained(prompt: Prompt, unsure: Unsure, said: Mapping[str, int], words: Mapping[str, int]) -> Advice:
    gains = _gains(prompt, unsure, said, words)
    ordered = sorted(gains, key=lambda name: (-gains[name], name))
    sounds = tuple(name for name in ordered if name.isupper())[:REASONS]
    return Advice(prompt, sounds, tuple(name for name in ordered if not name.isupper())[:REASONS])
