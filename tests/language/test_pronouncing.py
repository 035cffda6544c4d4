"""Pronunciations of words by the embedded network."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from asradapt.errors import InputError
from asradapt.language import load_language
from asradapt.language.pronouncing import (
    LETTERS,
    Pronouncer,
    PronouncingNetwork,
    load_pronouncer,
    save_pronouncer,
    spell_words,
)


@pytest.fixture(scope="module")
def embedded() -> Pronouncer:
    return load_pronouncer()


@pytest.fixture
def small() -> Pronouncer:
    torch.manual_seed(0)
    network = PronouncingNetwork(4, width=8, hidden=8)
    torch.nn.init.normal_(network.place)
    torch.nn.init.constant_(network.out.bias[:1], -1.0)  # or it says nothing but the blank
    return Pronouncer(network, ("", "AA", "B", "K"))


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("one", "W AH N"),
        ("the", "DH AH"),
        ("people", "P IY P AH L"),
        ("thought", "TH AO T"),
        ("don't", "D OW N T"),
        ("knife", "N AY F"),
        ("said", "S EH D"),
    ],
)
def test_irregular_words_are_known(embedded: Pronouncer, word: str, phones: str) -> None:
    assert " ".join(embedded.pronounce(word)) == phones


def test_a_name_that_no_dictionary_holds_is_pronounced(embedded: Pronouncer) -> None:
    assert " ".join(embedded.pronounce("brandlin")) in ("B R AE N D L IH N", "B R AE N D L AH N")


@pytest.mark.parametrize("word", ["", "café", "r2d2", "Ann", "a b", "a" * 61])
def test_what_is_no_word_of_letters_has_no_pronunciation(embedded: Pronouncer, word: str) -> None:
    assert embedded.pronounce(word) == ()


def test_a_text_is_numbers_with_boundaries_between_words(embedded: Pronouncer) -> None:
    phones = ("", " ", *sorted(set(embedded.phones[1:])))
    said = [phones[number] for number in embedded.encode("one knife", phones)]
    assert said == ["W", "AH", "N", " ", "N", "AY", "F"]


def test_apostrophes_alone_are_not_heard(embedded: Pronouncer) -> None:
    phones = (" ", *embedded.phones)
    assert embedded.pronounce("'") == embedded.pronounce("''") == ()
    assert embedded.encode("one ' knife ''", phones) == embedded.encode("one knife", phones)


def test_pronunciations_are_those_of_full_precision_inside_a_coarser_computation() -> None:
    words = ("evelyn", "believer", "macaroni", "colonel", "wednesday", "february")
    plain, inside = load_pronouncer(), Pronouncer(load_pronouncer().network, load_pronouncer().phones)
    with torch.autocast("cpu", torch.bfloat16):
        found = [inside.pronounce(word) for word in words]
    assert found == [plain.pronounce(word) for word in words]


def test_words_learned_at_once_are_those_learned_one_by_one(embedded: Pronouncer) -> None:
    words = [word for word in load_language().words if word.isalpha()][::97]
    once, alone = Pronouncer(embedded.network, embedded.phones), Pronouncer(embedded.network, embedded.phones)
    once.learn([*words, "café", "'", ""])
    assert len(once._known) == len(words) > 200
    assert [once.pronounce(word) for word in words] == [alone.pronounce(word) for word in words]


def test_memory_is_bounded(small: Pronouncer, monkeypatch) -> None:
    monkeypatch.setattr("asradapt.language.pronouncing.KEPT", 3)
    said = [small.pronounce(word) for word in ("a", "b", "c", "d", "a")]
    assert said[0] == said[4]
    assert len(small._known) <= 3


@pytest.mark.parametrize("text", ["", "one café", "one 2"])
def test_a_text_with_a_word_that_has_none_is_nothing(embedded: Pronouncer, text: str) -> None:
    assert embedded.encode(text, (" ", *embedded.phones)) == []


def test_a_model_that_lacks_a_phone_is_told_nothing(embedded: Pronouncer) -> None:
    phones = tuple(phone for phone in (" ", *embedded.phones) if phone != "AY")
    assert embedded.encode("one", phones)
    assert embedded.encode("one knife", phones) == []


def test_what_stands_behind_a_word_changes_nothing(small: Pronouncer) -> None:
    together = small.network(*spell_words(["abc", "o'clock"]))[0, :6]
    alone = small.network(*spell_words(["abc"]))[0]
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_letters_have_numbers_of_their_own() -> None:
    numbers, lengths = spell_words([LETTERS, "a"])
    assert sorted(numbers[0].tolist()) == list(range(1, 28))
    assert numbers[1].tolist() == [2, *[0] * 26]
    assert lengths.tolist() == [27, 1]


def test_a_file_gives_back_what_was_written(small: Pronouncer, tmp_path) -> None:
    save_pronouncer(small, tmp_path / "some.safetensors", "nothing")
    again = load_pronouncer(tmp_path / "some.safetensors")
    assert again.phones == small.phones
    words = ["abc", "hello", "o'clock", "x"]
    assert [again.pronounce(word) for word in words] == [small.pronounce(word) for word in words]
    assert any(again.pronounce(word) for word in words)


def test_a_missing_file_says_so(tmp_path) -> None:
    with pytest.raises(InputError, match=r"nothing\.safetensors cannot be used"):
        load_pronouncer(tmp_path / "nothing.safetensors")


def test_weights_that_are_no_numbers_are_refused(small: Pronouncer, tmp_path) -> None:
    with torch.no_grad():
        small.network.out.bias[1] = float("nan")
    save_pronouncer(small, tmp_path / "some.safetensors", "nothing")
    with pytest.raises(InputError, match="numbers that are none"):
        load_pronouncer(tmp_path / "some.safetensors")


@pytest.mark.parametrize(
    "header", [{}, {"format": 2, "phones": ["", "AA", "B", "K"]}, {"format": 1, "phones": ["", "AA"]}]
)
def test_a_file_of_another_kind_is_refused(small: Pronouncer, tmp_path, header) -> None:
    path = tmp_path / "some.safetensors"
    save_pronouncer(small, path, "nothing")
    save_file(load_file(path), path, metadata={"pronouncer": json.dumps(header)})
    with pytest.raises(InputError, match="cannot be used"):
        load_pronouncer(path)
