"""Which sentences a person should read next."""

from __future__ import annotations

import pytest

from asradapt.errors import UnknownName, UsageError
from asradapt.next_prompts import advise, known_sounds, unsure_of
from asradapt.prompts import choose_prompts, load_prompts
from asradapt.scoring import normalize

SOUNDS = known_sounds()
READ = [normalize(prompt.text) for prompt in choose_prompts(30)]


def words_with(*sounds):
    """Words of the first thirty prompts that hold one of the sounds."""
    return {word: 1 for text in READ for word in text.split() if set(sounds) & set(SOUNDS[word])}


def test_every_word_of_the_prompts_has_its_sounds():
    for prompt in load_prompts():
        assert len(prompt.words) == len(prompt.sounds)
        assert tuple(phone for word in prompt.sounds for phone in word) == prompt.phones
    assert SOUNDS["blue"] == ("B", "L", "UW")


def test_misheard_sounds_come_first_and_are_named():
    advice, unsure = advise(READ, words_with("TH", "DH"), SOUNDS, count=10)
    assert sorted(unsure.rates, key=lambda sound: -unsure.rates[sound])[:2] in (["TH", "DH"], ["DH", "TH"])
    usual = choose_prompts(10, skip=[prompt.id for prompt in choose_prompts(30)])
    share = [sum(p.phones.count(s) for p in some for s in ("TH", "DH")) / sum(len(p.phones) for p in some)
             for some in ([one.prompt for one in advice], usual)]  # fmt: skip
    assert share[0] > 1.5 * share[1]
    assert all({"TH", "DH"} & set(one.sounds) for one in advice[:5])


def test_what_was_read_does_not_come_again_and_levels_hold():
    advice, _ = advise(READ, words_with("S"), SOUNDS, level="easy")
    texts = {normalize(one.prompt.text) for one in advice}
    assert not texts & set(READ)
    assert {one.prompt.level for one in advice} == {"easy"}
    assert len(texts) == sum(p.level == "easy" and normalize(p.text) not in READ for p in load_prompts())


def test_a_misheard_word_brings_the_sentences_that_hold_it():
    word = "doctor"
    assert any(word in prompt.words for prompt in load_prompts())
    advice, _ = advise(["see the doctor", "my blue hat"], {word: 5}, SOUNDS, count=3)
    assert word in advice[0].prompt.words
    assert advice[0].words == (word,)


def test_the_order_is_always_the_same():
    first, again = (advise(READ, words_with("R", "L"), SOUNDS, count=20)[0] for _ in range(2))
    assert first == again


def test_without_anything_misheard_the_usual_order_goes_on():
    advice, _ = advise(READ, {}, SOUNDS, count=5)
    assert tuple(one.prompt for one in advice) == choose_prompts(35)[30:]
    assert advice[0].sounds == ()


def test_words_without_known_sounds_are_named():
    unsure = unsure_of(["xylophonist plays"], {"xylophonist": 1}, SOUNDS)
    assert unsure.unknown == ("xylophonist",)
    assert unsure_of(["quark"], {"quark": 1}, {"quark": ("K", "W")}).unknown == ()


def test_impossible_wishes():
    with pytest.raises(UsageError, match="1 or more"):
        advise(READ, {}, SOUNDS, count=0)
    with pytest.raises(UnknownName, match="easy, plain"):
        advise(READ, {}, SOUNDS, level="hard")
