from __future__ import annotations

import gzip
import itertools
import math

import pytest
import torch
from language_samples import ARPA, TOKENS, ngrams, word_logprob, write_arpa
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from asradapt.errors import InputError
from asradapt.language import EMBEDDED_LANGUAGE, load_language, make_lexicon, read_arpa, save_packed
from asradapt.language.lexicon import OFF

WORDS = ("a", "ab", "ba", "<unk>")


@pytest.fixture
def model(tmp_path):
    return read_arpa(write_arpa(tmp_path))


def sentence_logprob(words: tuple[str, ...]) -> float:
    grams, context, total = ngrams(), ("<s>",), 0.0
    for word in (*words, "</s>"):
        total += word_logprob(grams, context, word)
        context = (*context, word)[-2:]
    return total


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_arpa_files_score_as_back_off_models_are_defined(model, length):
    for words in itertools.product(WORDS, repeat=length):
        assert model.sentence_logprob(words) == pytest.approx(sentence_logprob(words), abs=1e-5)


def test_words_that_are_not_known_count_as_the_unknown_word(model):
    assert model.sentence_logprob(["xyz", "a"]) == model.sentence_logprob(["<unk>", "a"])


def test_the_compact_file_holds_the_same_model(model, tmp_path):
    path = tmp_path / "small.safetensors"
    save_packed(model, path, {"made": "here"})
    again = load_language(path)
    assert again.words == model.words
    assert all(torch.equal(a, b) for a, b in zip(again.keys, model.keys, strict=True))
    for words in itertools.product(WORDS, repeat=2):
        assert again.sentence_logprob(words) == pytest.approx(model.sentence_logprob(words), abs=0.3)


def test_gzip_and_upper_case_are_read(tmp_path):
    path = tmp_path / "small.arpa.gz"
    path.write_bytes(gzip.compress(ARPA.lstrip().replace("ab", "AB").encode()))
    assert load_language(path).sentence_logprob(["a", "ab"]) == pytest.approx(sentence_logprob(("a", "ab")))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", "line 1: there is no line such as"),
        (ARPA.replace("\\end\\", ""), "line 25: it does not end"),
        (ARPA.replace("-0.3\t<s> a\t-0.3", "-0.3\t<s> x\t-0.3"), "line 15: a word that has no 1-gram: <s> x"),
        (ARPA.replace("-0.2\ta a", "oops\ta a"), "line 19: 'oops' is no number"),
        (ARPA.replace("a ab\t-0.15", "a ab\t1-"), "line 16: '1-' is no number"),
        (ARPA.replace("-0.2\ta a", "0.2\ta a"), "line 19: 0.2 is no logarithm"),
        (ARPA.replace("-0.2\ta a", "-0.2\ta"), "line 19: 2 cells for a 2-gram"),
        (ARPA.replace("\\2-grams", "\\3-grams"), "line 15: 3-grams without 2-grams"),
        ("\\1-grams:\n-1.0\ta\n\\end\\", "no <s> and </s>"),
    ],
)
def test_broken_arpa_files_are_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(InputError, match=reason):
        load_language(write_arpa(tmp_path, text))


def test_a_line_that_is_no_text_and_the_end_of_half_a_file_have_numbers_too(tmp_path):
    path = tmp_path / "small.arpa"
    path.write_bytes(ARPA.lstrip().encode().replace(b"a ab </s>", b"a \xff </s>"))
    with pytest.raises(InputError, match=r"line 23: .*utf-8"):
        load_language(path)
    half = tmp_path / "half.arpa.gz"
    half.write_bytes(gzip.compress(ARPA.lstrip().encode(), compresslevel=0)[:-60])
    with pytest.raises(InputError, match=r"line \d+: Compressed file ended"):
        load_language(half)


def test_other_files_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be used"):
        load_language(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="no language model 'lm_xx'"):
        load_language("lm_xx")


def test_a_damaged_compact_file_is_refused(model, tmp_path):
    path = tmp_path / "small.safetensors"
    save_packed(model, path, {})
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    content = load_file(path)
    save_file(content | {"last2": content["last2"][:-1]}, path, metadata=metadata)
    with pytest.raises(InputError, match="2-grams do not fit"):
        load_language(path)


def test_the_lexicon_knows_every_word_and_the_best_below_each_beginning(model):
    lexicon = make_lexicon(model, TOKENS)
    for word in ("a", "ab", "ba"):
        node, number = 0, model.words.index(word)
        for letter in word:
            node = int(lexicon.children[node, TOKENS.index(letter)])
            below = [w for w in ("a", "ab", "ba") if w.startswith(word[: word.index(letter) + 1])]
            if word != "aa":
                best = max(float(model.logprob[0][model.words.index(w)]) for w in below)
                assert float(lexicon.ahead[node]) == pytest.approx(best)
        assert int(lexicon.number[node]) == number
    assert int(lexicon.children[0, TOKENS.index(" ")]) == OFF
    assert lexicon.children[OFF].tolist() == [OFF] * len(TOKENS)
    assert float(lexicon.ahead[OFF]) == -math.inf


def test_spelling_is_a_distribution_over_letters_and_the_end(model):
    lexicon = make_lexicon(model, TOKENS)
    assert lexicon.spelling.exp().sum(-1) == pytest.approx(1.0, abs=1e-5)
    likely, unlikely = (float(lexicon.spelling[2, 3, TOKENS.index(t)]) for t in (" ", "b"))
    assert likely > unlikely  # "ab" ends, "abb" was never seen


def test_models_without_letters_are_refused(model):
    with pytest.raises(InputError, match="single characters and a space"):
        make_lexicon(model, ("", "ab", "cd"))
    with pytest.raises(InputError, match="none of the 3 words"):
        make_lexicon(model, ("", " ", "x"))


@pytest.fixture(scope="module")
def embedded():
    return load_language(EMBEDDED_LANGUAGE)


def test_the_embedded_model_prefers_sentences_to_the_same_words_in_disorder(embedded):
    for sentence in ("i would like to order a coffee", "the cat is on the table", "what time is it"):
        words = sentence.split()
        assert embedded.sentence_logprob(words) > embedded.sentence_logprob(words[::-1]) + 5


def test_probabilities_of_the_embedded_model_sum_to_one(embedded):
    state = embedded.begin(1)
    for word in ("i", "like", "the"):
        number = torch.tensor([embedded.words.index(word)])
        _, state = embedded.score(state, number)
        every = torch.arange(embedded.size)
        every = every[every != embedded.start]
        logprob, _ = embedded.score(state.expand(len(every), -1), every)
        assert float(logprob.exp().sum()) == pytest.approx(1.0, abs=0.03)  # probabilities are bytes


def test_the_embedded_model_is_small_and_knows_no_sentence_marks_as_words(embedded):
    assert embedded.order == 3
    assert math.isfinite(embedded.sentence_logprob([]))
    assert not {"<s>", "</s>", "<unk>"} & set(embedded.members)


def test_an_arpa_file_that_has_lost_lines_is_refused(tmp_path):
    path = write_arpa(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if line.startswith("\\2-grams")) + 1
    path.write_text("".join(lines[:place] + lines[place + 1 :]))
    with pytest.raises(InputError, match="2-grams are promised at its beginning"):
        read_arpa(path)
