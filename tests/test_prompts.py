"""The sentences to read aloud, their order, and the choice of the next ones."""

from __future__ import annotations

import random
import re
import statistics
from collections.abc import Sequence

import pytest

from asradapt.errors import UnknownName, UsageError
from asradapt.prompts import LEVELS, PHONES, Prompt, choose_prompts, coverage, load_prompts, order_prompts

# The phones of about ten sentences: one minute of reading.
BUDGET = 260


def _words(prompt: Prompt) -> tuple[str, ...]:
    return tuple(re.sub(r"[^a-z' ]", " ", prompt.text.lower()).split())


def _within(prompts: Sequence[Prompt], budget: int) -> list[Prompt]:
    """The first prompts that can be read with a budget of phones (time, that is)."""
    chosen: list[Prompt] = []
    for prompt in prompts:
        budget -= len(prompt.phones)
        if budget < 0:
            break
        chosen.append(prompt)
    return chosen


def _shuffled(seed: int) -> list[Prompt]:
    prompts = list(load_prompts())
    random.Random(seed).shuffle(prompts)
    return prompts


def _first_with_all_phones(prompts: Sequence[Prompt]) -> int:
    return next(n for n in range(1, len(prompts) + 1) if coverage(prompts[:n]).phones == len(PHONES))


def test_many_sentences_none_twice() -> None:
    prompts = load_prompts()
    assert len(prompts) >= 240
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    assert len({_words(prompt) for prompt in prompts}) == len(prompts)
    assert sum(prompt.level == "easy" for prompt in prompts) >= 50


def test_sentences_are_easy_to_read_and_to_write() -> None:
    for prompt in load_prompts():
        assert re.fullmatch(r"p\d{3,}", prompt.id), prompt
        assert prompt.level in LEVELS, prompt
        assert re.fullmatch(r"[A-Z][A-Za-z' ,]+[.?!]", prompt.text), prompt
        assert 4 <= len(_words(prompt)) <= 14, prompt
        assert set(prompt.phones) <= PHONES, prompt


def test_pronunciations_follow_the_words() -> None:
    # A shifted or merged row would give far too many or too few phones for the letters.
    for prompt in load_prompts():
        letters = sum(map(len, _words(prompt)))
        assert 0.6 < len(prompt.phones) / letters < 1.1, prompt


def test_six_sentences_have_all_phones() -> None:
    assert coverage(load_prompts()[:6]).missing == ()


def test_stored_order_is_the_greedy_one() -> None:
    assert choose_prompts() == load_prompts()
    assert tuple(order_prompts(reversed(load_prompts()))) == load_prompts()


@pytest.mark.parametrize("key", ["id", "text"])
def test_order_covers_sounds_faster_than_the_alphabet(key: str) -> None:
    ours, sorted_ones = load_prompts(), sorted(load_prompts(), key=lambda prompt: str(getattr(prompt, key)))
    assert _first_with_all_phones(ours) < _first_with_all_phones(sorted_ones)
    assert coverage(_within(ours, BUDGET)).diphones > coverage(_within(sorted_ones, BUDGET)).diphones


def test_order_covers_sounds_faster_than_chance() -> None:
    shuffled = [_shuffled(seed) for seed in range(20)]
    needed = statistics.mean(_first_with_all_phones(prompts) for prompts in shuffled)
    assert _first_with_all_phones(load_prompts()) < needed / 2
    for budget in (BUDGET, 4 * BUDGET):
        by_chance = statistics.mean(coverage(_within(prompts, budget)).diphones for prompts in shuffled)
        assert coverage(_within(load_prompts(), budget)).diphones > 1.1 * by_chance


def test_choice_of_easy_sentences_only() -> None:
    easy = choose_prompts(20, level="easy")
    assert len(easy) == 20
    assert {prompt.level for prompt in easy} == {"easy"}
    assert coverage(easy[:8]).missing == ()
    by_id = sorted((prompt for prompt in load_prompts() if prompt.level == "easy"), key=lambda p: p.id)
    assert coverage(easy).diphones > coverage(by_id[:20]).diphones


def test_skipped_sentences_do_not_return_and_count_as_heard() -> None:
    first = choose_prompts(10)
    # Going on after ten is the same as never having stopped.
    assert first + choose_prompts(10, skip=[prompt.id for prompt in first]) == choose_prompts(20)


def test_after_other_sentences_the_missing_sounds_come_first() -> None:
    read = sorted(load_prompts(), key=lambda prompt: prompt.id)[:10]
    missing = set(coverage(read).missing)
    assert missing
    following = choose_prompts(4, skip=[prompt.id for prompt in read])
    assert missing <= {phone for prompt in following for phone in prompt.phones}


def test_more_than_there_are() -> None:
    everything = {prompt.id for prompt in load_prompts()}
    assert len(choose_prompts(10_000)) == len(everything)
    assert choose_prompts(5, skip=everything) == ()


def test_coverage_of_nothing_and_of_everything() -> None:
    nothing, everything = coverage([]), coverage(load_prompts())
    assert (nothing.phones, nothing.diphones, set(nothing.missing)) == (0, 0, PHONES)
    assert everything.phones == everything.phones_total == 39
    assert everything.diphones == everything.diphones_total


def test_impossible_wishes() -> None:
    with pytest.raises(UsageError, match="1 or more"):
        choose_prompts(0)
    with pytest.raises(UnknownName, match="easy, plain"):
        choose_prompts(level="hard")
    with pytest.raises(UnknownName, match="p9999"):
        choose_prompts(skip=["p9999"])
