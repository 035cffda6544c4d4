from __future__ import annotations

import math

import pytest
import torch
from language_samples import ARPA, TOKENS, all_texts, ngrams, word_logprob, write_arpa

from asradapt.cli.decoding_options import DEFAULT_BEAMS
from asradapt.decoding import (
    BEAMS,
    BeamOptions,
    DecoderOptions,
    Fusion,
    Weights,
    beam_search,
    greedy_decode,
    make_hotwords,
)
from asradapt.errors import UsageError
from asradapt.language import make_lexicon, read_arpa

PLAIN = Fusion(1, Weights(language=0.0, word=0.0))
ALL = BeamOptions(beams=400, floor=1e9, skip=2.0, best=400)  # more hypotheses than there are texts


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    return read_arpa(write_arpa(tmp_path_factory.mktemp("arpa")))


@pytest.fixture(scope="module")
def lexicon(language):
    return make_lexicon(language, TOKENS)


def random_logits(seed: int, rows: int = 3, frames: int = 6, scale: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, frames, len(TOKENS), generator=generator, dtype=torch.float64)


def language_worth(text: str, lexicon, weights: Weights) -> float:
    """What the words of a text are worth, by the definition."""
    grams, context, total = ngrams(ARPA), ("<s>",), 0.0
    for word in text.split():
        known = (word,) in grams
        total += weights.language * word_logprob(grams, context, word if known else "<unk>")
        total += weights.word + (0.0 if known else weights.language * spelling_logprob(word, lexicon))
        context = (*context, word if known else "<unk>")[-2:]
    return total + weights.language * word_logprob(grams, context, "</s>")


def spelling_logprob(word: str, lexicon) -> float:
    numbers = [1, 1, *(TOKENS.index(letter) for letter in word), 1]
    return sum(float(lexicon.spelling[tuple(numbers[i : i + 3])]) for i in range(len(numbers) - 2))


@pytest.mark.parametrize("seed", range(8))
def test_probabilities_are_the_sums_over_all_alignments(seed):
    logits, lengths = random_logits(seed), torch.tensor([6, 4, 5])
    for row, found in enumerate(beam_search(logits, lengths, TOKENS, PLAIN, ALL)):
        expected = all_texts(logits[row], int(lengths[row]))
        assert {h.text: h.acoustic for h in found} == pytest.approx(expected, abs=1e-6)
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


@pytest.mark.parametrize("seed", range(8))
def test_the_language_model_ranks_as_the_definition_says(seed, language, lexicon):
    weights = Weights(language=0.7, word=0.4)
    logits, lengths = random_logits(seed), torch.tensor([6, 5, 3])
    fusion = Fusion(1, weights, language, lexicon)
    for row, found in enumerate(beam_search(logits, lengths, TOKENS, fusion, ALL)):
        sounds = all_texts(logits[row], int(lengths[row]))
        expected = {text: value + language_worth(text, lexicon, weights) for text, value in sounds.items()}
        assert {h.text: h.score for h in found} == pytest.approx(expected, abs=1e-4)
        assert found[0].text == max(expected, key=expected.get)


def test_words_that_the_language_model_does_not_know_can_be_heard(language, lexicon):
    path = [3, 3, 0, 3, 2, 0, 1, 2]  # "bba a"; no known word begins with bb
    logits = 12.0 * torch.nn.functional.one_hot(torch.tensor([path]), len(TOKENS)).double()
    ((best,),) = beam_search(logits, torch.tensor([8]), TOKENS, Fusion(1, Weights(), language, lexicon))
    assert best.text == "bba a"


@pytest.mark.parametrize("seed", range(6))
def test_phrases_are_worth_their_tokens_and_only_where_they_are_whole_words(seed):
    weights = Weights(language=0.0, word=0.0, phrase=1.5)
    logits, lengths = random_logits(seed), torch.tensor([6, 6, 6])
    lists = [["AB a", "a"], ["a b a", "b b", "b"], ["b a b", "a b b", "ba"]]
    fusion = Fusion(1, weights, hotwords=make_hotwords(lists, TOKENS))
    for row, found in enumerate(beam_search(logits, lengths, TOKENS, fusion, ALL)):
        sounds = all_texts(logits[row], 6)
        listed = [phrase.lower().split() for phrase in lists[row]]
        expected = {t: value + weights.phrase * phrase_letters(t.split(), listed) for t, value in sounds.items()}
        assert {h.text: h.score for h in found} == pytest.approx(expected, abs=1e-6)


def phrase_letters(words: list[str], phrases: list[list[str]]) -> int:
    """Letters, and spaces inside, of the phrases in a text, read from left to right."""
    total, place = 0, 0
    while place < len(words):
        fits = [p for p in phrases if words[place : place + len(p)] == p]
        phrase = max(fits, key=len, default=[])
        total += len(" ".join(phrase))
        place += len(phrase) or 1
    return total


def test_every_row_has_phrases_of_its_own():
    logits = random_logits(3, rows=1).expand(3, -1, -1)
    lengths = torch.tensor([6, 6, 6])
    lists = [["bab"], [], ["a b"]]
    fusion = Fusion(1, Weights(language=0.0, word=0.0, phrase=20.0), hotwords=make_hotwords(lists, TOKENS))
    texts = [row[0].text for row in beam_search(logits, lengths, TOKENS, fusion, BeamOptions(skip=2.0))]
    assert "bab" in texts[0].split()
    assert "a b" in texts[2]
    assert texts[1] == beam_search(logits[:1], lengths[:1], TOKENS, PLAIN, BeamOptions(skip=2.0))[0][0].text


@pytest.mark.parametrize("skip", [0.6, 2.0])
def test_a_row_does_not_see_the_others(skip, language, lexicon):
    options = BeamOptions(beams=5, tokens=2, skip=skip, best=5)
    logits = random_logits(11, rows=7, frames=12)
    logits[:, ::3, 0] += 6.0
    lengths = torch.tensor([12, 0, 7, 12, 3, 9, 1])
    lists = [["ab"], [], ["b a"], [], ["bb"], ["ab"], []]

    def search(rows: list[int]):
        fusion = Fusion(1, Weights(), language, lexicon, make_hotwords([lists[r] for r in rows], TOKENS))
        return beam_search(logits[rows], lengths[rows], TOKENS, fusion, options)

    together = search(list(range(7)))
    assert search([4, 2, 0, 6, 5, 3, 1]) == [together[r] for r in (4, 2, 0, 6, 5, 3, 1)]
    for row in range(7):
        (alone,) = search([row])
        assert [h.text for h in alone] == [h.text for h in together[row]]
        assert [h.score for h in alone] == pytest.approx([h.score for h in together[row]])


def test_skipping_blank_frames_keeps_doubled_letters_apart():
    path = [2, 0, 0, 2, 2, 0, 3]
    logits = 12.0 * torch.nn.functional.one_hot(torch.tensor([path]), len(TOKENS)).double()
    for skip in (0.9, 2.0):
        ((best,),) = beam_search(logits, torch.tensor([7]), TOKENS, PLAIN, BeamOptions(skip=skip))
        assert best.text == "aab"
        assert best.acoustic == pytest.approx(all_texts(logits[0], 7)["aab"], abs=1e-3)


def test_with_one_beam_and_sure_logits_it_is_greedy():
    logits = 9 * random_logits(5, rows=4, frames=9)
    lengths = torch.tensor([9, 8, 1, 0])
    found = beam_search(logits, lengths, TOKENS, PLAIN, BeamOptions(beams=1))
    assert [row[0].text if row else "" for row in found] == greedy_decode(logits, lengths, TOKENS)


def test_a_row_without_frames_is_the_empty_text_and_no_rows_are_no_texts():
    logits = random_logits(0)
    found = beam_search(logits, torch.tensor([0, 0, 0]), TOKENS, PLAIN, ALL)
    assert [[h.text for h in row] for row in found] == [[""]] * 3
    assert beam_search(logits[:0], torch.tensor([], dtype=torch.int64), TOKENS, PLAIN) == []


def test_scores_are_finite_and_texts_differ_in_a_narrow_beam(language, lexicon):
    fusion = Fusion(1, Weights(), language, lexicon)
    found = beam_search(
        random_logits(2, 4, 40), torch.tensor([40, 30, 2, 1]), TOKENS, fusion, BeamOptions(beams=32, best=32)
    )
    for row in found:
        assert len({h.text for h in row}) == len(row) > 0
        assert all(math.isfinite(h.score) and h.acoustic <= 1e-6 for h in row)


def test_options_that_make_no_sense_are_refused():
    for bad in ({"beams": 0}, {"best": BEAMS + 1}, {"tokens": 0}, {"floor": 0.0}, {"skip": -1.0}):
        with pytest.raises(UsageError):
            BeamOptions(**bad)


@pytest.mark.parametrize(
    ("phrase", "written"),
    [("Anne-Marie", "anne marie"), ("Dr. Smith", "dr smith"), ("O\N{RIGHT SINGLE QUOTATION MARK}Brien", "o'brien"),
     ("José", "jose"), ("St. Mary's", "st mary's")],
)  # fmt: skip
def test_phrases_are_spelled_as_they_are_scored(phrase: str, written: str) -> None:
    tokens = ("", " ", "'", *"abcdefghijklmnopqrstuvwxyz")
    trees = make_hotwords([[phrase]], tokens)
    assert trees is not None
    node = int(trees.roots[0])
    for letter in written:
        node = int(trees.children[node, tokens.index(letter)])
        assert node > 0, f"{phrase!r} is not spelled {written!r}"
    assert bool(trees.ends[node])


def test_the_commands_search_as_wide_as_the_library():
    assert DEFAULT_BEAMS == BEAMS == BeamOptions().beams == DecoderOptions().beams
