from __future__ import annotations

import random

import pytest
import torch

from asradapt.decoding import Decoder, DecoderOptions, Fusion, Weights, beam_search, make_hotwords
from asradapt.language import load_language
from asradapt.phrases import Phrases

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


def test_every_row_has_its_own_strength_in_the_table():
    lists = (["zoe miller", "riga"], ["riga"], ["riga"], [])
    trees = make_hotwords(lists, TOKENS, factors=(1.0, 1.0, 2.5, 1.0))
    plain = make_hotwords(lists, TOKENS)
    assert trees is not None
    assert plain is not None
    assert plain.roots[1] == plain.roots[2]  # the same list, one tree
    assert len(set(trees.roots.tolist())) == 4
    table = make_hotwords([lists[2]], TOKENS)
    assert table is not None
    first, size = int(trees.roots[2]), len(table.gain) - 1
    for name in ("gain", "rest", "depth"):
        assert torch.equal(getattr(trees, name)[first : first + size], 2.5 * getattr(table, name)[1:])
        assert torch.equal(getattr(trees, name)[:first], getattr(plain, name)[:first])


def test_a_row_s_strength_decides_for_this_row_alone():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 30, len(TOKENS), generator=generator)
    frames = torch.tensor([30, 30, 30])
    decoder = Decoder(TOKENS, 0.04, None, DecoderOptions(beams=16))
    (weak, usual, strong) = decoder(
        logits[:1].expand(3, -1, -1), frames, [Phrases(["ab"], s) for s in (0, None, 5)]
    )
    assert "ab" in strong.text.split()
    assert "ab" not in weak.text.split()
    alone = [decoder(logits[:1], frames[:1], [Phrases(["ab"], s)])[0] for s in (0, None, 5)]
    assert [one.text for one in alone] == [weak.text, usual.text, strong.text]
    assert weak.text == decoder(logits[:1], frames[:1])[0].text


def test_strength_zero_is_as_if_nothing_were_listed_with_a_language_model_too():
    generator = torch.Generator().manual_seed(5)
    logits, frames = 2 * torch.randn(12, 24, len(TOKENS), generator=generator), torch.full((12,), 24)
    decoder = Decoder(TOKENS, 0.04, load_language(), DecoderOptions(beams=8))
    plain = decoder(logits, frames)
    none = decoder(logits, frames, [Phrases(["zoe", "be", "qx"], 0.0)] * 12)
    usual = decoder(logits, frames, [Phrases(["zoe", "be", "qx"])] * 12)
    assert [one.text for one in none] == [one.text for one in plain]
    assert [one.text for one in usual] != [one.text for one in plain]
