from __future__ import annotations

import random

import pytest
import torch

from asradapt.decoding import Fusion, Weights, beam_search, make_hotwords

TOKENS = ("", " ", *"abcdefghijklmnopqrstuvwxyz")


def gained(phrases: list[str], text: str) -> int:
    """Tokens of phrases in a text, by the table of one row."""
    trees = make_hotwords([phrases], TOKENS)
    assert trees is not None
    root = node = int(trees.roots[0])
    total = 0
    for letter in text + " ":
        token = TOKENS.index(letter)
        total += int(trees.gain[node, token])
        node = int(trees.children[node, token]) or (root if letter == " " else 0)
    return total + int(trees.rest[node])


def expected(phrases: list[str], text: str) -> int:
    """The same from left to right, the longest phrase at every place."""
    words, total, place = text.split(), 0, 0
    while place < len(words):
        fits = [p for p in map(str.split, phrases) if words[place : place + len(p)] == p]
        phrase = max(fits, key=len, default=[])
        total += len(" ".join(phrase))
        place += len(phrase) or 1
    return total


@pytest.mark.parametrize(
    ("phrases", "text", "found"),
    [
        (["zoe miller", "kaliningrad"], "zoe kaliningrad", "kaliningrad"),
        (["zoe miller", "kaliningrad"], "zoe mill kaliningrad", "kaliningrad"),
        (["zoe miller", "zoe kalin"], "zoe zoe miller", "zoe miller"),
        (["a b c d", "b c"], "a b c e", "b c"),
        (["a b c d", "b c"], "a b c", "b c"),
        (["a b c d", "b c", "b c e f"], "a b c e f", "b c e f"),
        (["a b c d", "b c"], "a b c d", "a b c d"),
        (["a b", "a b c d", "b c"], "a b c", "a b"),  # what is found is not part of another one
        (["zoe miller"], "zoe mill", ""),
        (["zoe miller"], "azoe miller", ""),
    ],
)
def test_a_phrase_inside_one_that_is_not_finished_is_found(phrases, text, found):
    assert gained(phrases, text) == expected(phrases, text) == len(found)


def test_the_table_finds_what_reading_from_left_to_right_finds():
    source = random.Random(0)

    def words(most: int) -> str:
        return " ".join(source.choice(("a", "b", "ab", "ba")) for _ in range(source.randint(1, most)))

    for _ in range(400):
        phrases = [words(4) for _ in range(source.randint(1, 6))]
        for _ in range(10):
            text = words(10)
            assert gained(phrases, text) == expected(phrases, text), (phrases, text)


def test_the_search_prefers_a_phrase_that_begins_inside_another_one():
    logits = torch.full((1, 16, len(TOKENS)), -20.0)
    for frame, letter in enumerate("zoe kaliningrad "):
        logits[0, frame, TOKENS.index(letter)] = 0.0
    logits[0, 4, TOKENS.index("g")] = 0.5  # "goliningrad" is what it sounds like
    logits[0, 5, TOKENS.index("o")] = 0.5
    weights = Weights(language=0.0, word=0.0)
    for phrases, heard in (
        (["zoe miller"], "zoe goliningrad"),
        (["zoe miller", "kaliningrad"], "zoe kaliningrad"),
    ):
        fusion = Fusion(1, weights, hotwords=make_hotwords([phrases], TOKENS))
        ((best,),) = beam_search(logits, torch.tensor([16]), TOKENS, fusion)
        assert best.text == heard
