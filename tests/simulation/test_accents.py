from itertools import pairwise
from pathlib import Path

import pytest

from asradapt.errors import UnknownName
from asradapt.simulation.accent_rules import Rule, parse_rules, spelt_vowel
from asradapt.simulation.accent_tables import TABLES
from asradapt.simulation.accents import ACCENTS, Accent, accented, find_accent, words_of
from asradapt.simulation.phones import ARPABET, is_vowel, plain, stress
from asradapt.simulation.pronunciations import read_dictionary
from asradapt.simulation.voices import PseudoSpeaker

WORDS = read_dictionary(Path(__file__).parent / "words.dict")
LINES = [(name, line.strip()) for name, table in TABLES.items() for line in table.strip().splitlines()]


def say(accent: str, word: str, *, strength: float = 1.0, seed: str = "0") -> str:
    return " ".join(ACCENTS[accent].pronounce(word, WORDS[word], strength=strength, seed=seed))


def variants(accent: str, word: str) -> set[str]:
    return {say(accent, word, seed=str(seed)) for seed in range(60)}


@pytest.mark.parametrize(("name", "line"), LINES, ids=lambda text: text[:24])
def test_every_rule_changes_the_word_that_stands_behind_it(name, line):
    always = tuple(Rule(r.phone, r.results, r.left, r.right, 1.0, r.word) for r in parse_rules(line))
    word = always[0].word
    assert Accent(name, always).pronounce(word, WORDS[word], strength=1.0, seed="0") != WORDS[word]


@pytest.mark.parametrize(
    ("accent", "word", "said"),
    [
        ("mandarin", "think", "S IH1 NG K"),
        ("mandarin", "cold", "K OW1 L"),
        ("mandarin", "bed", "B EH1 T"),
        ("mandarin", "very", "W EH1 R IY0"),
        ("spanish", "street", "EH0 S T R IY1 T"),
        ("spanish", "very", "B EH1 R IY0"),
        ("spanish", "sit", "S IY1 T"),
        ("spanish", "zoo", "S UW1"),
        ("german", "wine", "V AY1 N"),
        ("german", "think", "S IH1 NG K"),
        ("german", "love", "L AH1 F"),
        ("french", "house", "AW1 S"),
        ("french", "this", "Z IY1 S"),
        ("hindi", "three", "T R IY1"),
        ("hindi", "wine", "V AY1 N"),
        ("japanese", "love", "R AA1 B UW0"),
        ("japanese", "street", "S UW0 T OW0 R IY1 T OW0"),
        ("korean", "fish", "P IH1 SH IY0"),
        ("russian", "bed", "B EH1 T"),
        ("italian", "this", "D IY1 S AH0"),
        ("arabic", "pen", "B EH1 N"),
        ("vietnamese", "cold", "K OW1 N"),
    ],
)
def test_some_speaker_of_an_accent_says(accent, word, said):
    assert said in variants(accent, word)


@pytest.mark.parametrize("name", ACCENTS)
def test_an_accent_says_only_what_synthesisers_know(name):
    for word in WORDS:
        for said in variants(name, word):
            phones = said.split()
            assert phones
            assert {plain(phone) for phone in phones} <= ARPABET
            assert all(bool(stress(phone)) == is_vowel(phone) for phone in phones)
            assert any(map(is_vowel, phones))


@pytest.mark.parametrize("name", ACCENTS)
def test_no_strength_changes_nothing_and_more_strength_changes_more(name):
    accent = ACCENTS[name]
    changed = []
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        changed.append(
            {
                (word, place)
                for word, phones in WORDS.items()
                for place in range(len(phones))
                if accent._at(place, word, phones, strength, "s") != (phones[place],)
            }
        )
    assert not changed[0]
    for less, more in pairwise(changed):
        assert less < more


def test_a_speaker_keeps_to_one_pronunciation_and_speakers_differ():
    assert say("mandarin", "think", seed="ann") == say("mandarin", "think", seed="ann")
    assert {"S", "F", "TH"} <= {said.split()[0] for said in variants("mandarin", "think")}
    # TH becomes the same phone in all words of one speaker, where it is changed.
    for seed in range(20):
        assert (
            len({say("mandarin", w, seed=str(seed)).split()[0] for w in ("think", "thick", "things")} - {"TH"}) < 2
        )


def test_phones_keep_their_stress_and_new_vowels_have_none():
    assert parse_rules("IH > IY 1.0 sit")[0].results == (("IY",),)
    rules = parse_rules("S > EH & / # _ CONSONANT   1.0 street\nIY > IH   1.0 street")
    assert Accent("x", rules).pronounce("street", WORDS["street"], strength=1, seed="") == (
        *("EH0", "S", "T", "R"),
        *("IH1", "T"),
    )


@pytest.mark.parametrize(
    "line", ["TH > S", "TH -> S 0.5 think", "TH > Q 0.5 think", "XX > S 0.5 think", "B,D,G > P,T 0.5 bed"]
)
def test_a_line_that_is_no_rule_is_an_error(line):
    with pytest.raises(ValueError, match=r"no rule|no phone|results"):
        parse_rules(line)


def test_reduced_vowels_become_what_is_spelt():
    assert [spelt_vowel(w, WORDS[w], p) for w, p in (("about", 0), ("problem", 5), ("second", 3))] == [
        "AA",
        "EH",
        "AO",
    ]
    assert spelt_vowel("every", ("EH1", "V", "R", "IY0"), 0) is None  # three vowel letters, two vowels


def test_words_that_an_accent_leaves_are_not_named():
    speaker = PseudoSpeaker("ann", "flite", "slt", accent="german", accent_strength=1.0)
    said = accented(words_of("The zoo, we love!"), speaker, WORDS)
    assert "zoo" not in said
    assert all(phones != WORDS[word] for word, phones in said.items())
    assert accented(["think"], PseudoSpeaker("ann", "flite", "slt"), WORDS) == {}


def test_an_unknown_accent_lists_the_known_ones():
    with pytest.raises(UnknownName, match=r"accent named 'klingon'.*french.*spanish"):
        find_accent("klingon")
