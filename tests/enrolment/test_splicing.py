"""Sentences that are made of a person's own words."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.decoding import greedy_decode
from asradapt.enrolment.augmentation import NO_AUGMENTATION
from asradapt.enrolment.splicing import find_words, recombine
from asradapt.enrolment.training import Task, Trainer
from asradapt.enrolment.updates import TrainingOptions

TEXTS = ("abc de cab", "ea bad cede ad", "bed ace dab")
SPLICES = replace(NO_AUGMENTATION, splices=1.0)
FRAMES_A_SECOND = 100


@pytest.fixture
def said(tone_model, examples):
    """Recordings without a shift, with their words."""
    found = examples(len(TEXTS), shift=0.0, texts=TEXTS)
    return list(zip(found, find_words(tone_model, [(0, one) for one in found]), strict=True))


def heard(model, example):
    with torch.no_grad():
        logits, frames = model.encode(example.features[None], torch.tensor([len(example.features)]))
    return greedy_decode(logits, frames, model.tokens)[0]


def test_words_are_cut_in_the_tone_between_them(said):
    for example, words in said:
        assert " ".join(word.text for word in words) == example.text
        assert (words[0].begin, words[-1].end) == (0, len(example.features))
        for word, after, place in zip(words, words[1:], spaces(example.text), strict=False):
            assert word.end == after.begin
            begin = (0.08 + 0.2 * place) * FRAMES_A_SECOND  # where the tone of the space begins
            assert begin - 8 <= word.end <= begin + 20


def spaces(text):
    return [place for place, letter in enumerate(text) if letter == " "]


def test_a_made_sentence_says_its_text(tone_model, said):
    for seed in range(20):
        made = recombine(said, tone_model.tokens.index(" "), SPLICES, random.Random(seed))
        words = made.text.split()
        assert 4 <= len(words) <= 10
        assert set(words) <= {word for text in TEXTS for word in text.split()}
        assert [tone_model.tokens[token] for token in made.target.tolist()] == list(made.text)
        assert made.seconds == pytest.approx(len(made.features) / FRAMES_A_SECOND, rel=0.1)
        assert heard(tone_model, made).replace(" ", "") == made.text.replace(" ", "")


def test_neighbours_stay_together_up_to_the_span(tone_model, said):
    pairs = {pair for text in TEXTS for pair in zip(text.split(), text.split()[1:], strict=False)}
    alone = replace(SPLICES, splice_span=1)
    found = {
        together: [
            pair in pairs
            for seed in range(40)
            for words in [recombine(said, tone_model.tokens.index(" "), options, random.Random(seed)).text.split()]
            for pair in itertools.pairwise(words)
        ]
        for together, options in ((True, SPLICES), (False, alone))
    }
    assert sum(found[True]) / len(found[True]) > 2 * sum(found[False]) / len(found[False])


def test_slow_speech_is_not_made_longer_than_its_recordings(said):
    slow = [(replace(example, seconds=20.0), words) for example, words in said]
    for seed in range(20):
        made = recombine(slow, 1, replace(SPLICES, splice_words=(8, 10)), random.Random(seed))
        assert 0 < made.seconds <= 20.0
        assert made.text


def test_short_commands_and_what_cannot_be_aligned_stay_whole(tone_model, examples):
    commands = examples(2, texts=("ab", "ab cd"))
    assert find_words(tone_model, [(0, one) for one in commands]) == [(), ()]
    (whole,) = examples(1, texts=("abc de cab",))
    hurried = replace(whole, features=whole.features[:20])
    assert find_words(tone_model, [(0, hurried)]) == [()]
    assert recombine([(whole, ())], tone_model.tokens.index(" "), SPLICES, random.Random(0)) is None


def test_words_with_added_characters_keep_them(tone_model, examples):
    (whole,) = examples(1, texts=("abc de cab",), shift=0.0)
    added = len(tone_model.tokens)
    target = torch.cat((whole.target[:3], torch.tensor([added]), whole.target[3:]))
    strange = replace(whole, target=target, text="abcé de cab")
    (words,) = find_words(tone_model, [(0, strange)])
    assert words[0].text == "abcé"
    assert words[0].tokens[-1] == added


def test_training_hears_new_sentences_of_its_own_recordings_only(tone_model, examples):
    own, others = examples(3, texts=TEXTS), examples(3, texts=("dad dad dad",) * 3, seed=1)
    bank = SpeakerBank(tone_model, create("input"), speakers=2)
    options = TrainingOptions(augmentation=SPLICES)
    trainer = Trainer(tone_model, bank, [Task(own, 1.0, 0), Task(others, 1.0, 0)], options)
    made = [one.text for number in range(6) for one in trainer._augmented(own, 0, number)]
    assert len(set(made)) > 12
    assert "dad" not in " ".join(made).split()
    again = Trainer(tone_model, bank, [Task(own, 1.0, 0)], options)
    assert made == [one.text for number in range(6) for one in again._augmented(own, 0, number)]
