from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from asradapt.language import load_language
from kneser_ney import count, estimate, find, keys, lookup, prune
from sentences_of import measured, plain, prompts, sentences

RECIPE = Path(__file__).parents[2] / "recipes" / "lm_en" / "train_lm.py"
START, END = 4, 5
TEXT = [[0, 1, 2], [0, 1, 3], [0, 2], [1, 2, 0, 1, 2], [3, 3, 0, 1], [2, 2, 1], [0, 1, 2, 3, 3, 1], [1], [2, 0]]


@pytest.fixture
def levels():
    found = count(TEXT, 3, START, END)
    estimate(found, START, 5)
    return found


def total(levels, context: tuple[int, ...]) -> float:
    grams = np.array([(*context, word) for word in (0, 1, 2, 3, END)])
    return float(np.exp(lookup(levels, grams)).sum())


CONTEXTS = [(), (0,), (START,), (0, 1), (START, 0), (3, 3), (2, 1), (3, 2)]


@pytest.mark.parametrize("context", CONTEXTS)
def test_probabilities_sum_to_one_before_and_after_pruning(levels, context):
    assert total(levels, context) == pytest.approx(1.0)
    prune(levels, {2: 9, 3: 5})
    assert total(levels, context) == pytest.approx(1.0)


def test_what_was_seen_often_is_likely_and_nothing_is_impossible(levels):
    seen, unseen = lookup(levels, np.array([[START, 0, 1], [START, 0, 3]]))
    assert seen > unseen > -np.inf


def test_lower_orders_count_contexts_not_words(levels):
    pairs = levels[1]
    place = int(find(pairs, np.array([[0, 1]]), 6)[0])
    assert int(pairs.seen[place]) == 5
    assert int(pairs.counts[place]) == 3  # behind the start, behind 2 and behind 3


def test_pruning_keeps_the_contexts_of_what_it_keeps(levels):
    prune(levels, {2: 1, 3: 4})
    assert len(levels[2].grams) == 4
    assert (find(levels[1], levels[2].grams[:, :2], 6) >= 0).all()
    assert (np.diff(keys(levels[1].grams, 6)) > 0).all()


def test_sentences_that_are_measured_and_prompts_are_left_out(tmp_path):
    speech, text = tmp_path / "speech" / "corpus", tmp_path / "text"
    speech.mkdir(parents=True)
    text.mkdir()
    rows = [{"text": "The cat sat.", "part": "test"}, {"text": "A dog ran", "part": "train"}]
    (speech / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "prompts.tsv").write_text("id\tlevel\ttext\np1\teasy\tMy hat is blue.\n")
    (text / "some.txt").write_text("the cat sat\na dog ran\nmy hat is blue\nsomething else\n")
    without = measured(tmp_path / "speech") | prompts([tmp_path / "prompts.tsv"])
    assert [" ".join(words) for words in sentences(text, without)] == ["a dog ran", "something else"]
    assert plain("Don\N{RIGHT SINGLE QUOTATION MARK}t  STOP!") == "don't stop"


def test_the_recipe_writes_a_model_that_prefers_its_own_text(tmp_path):
    text, speech = tmp_path / "text", tmp_path / "speech"
    text.mkdir()
    speech.mkdir()
    lines = ["the cat sat on the mat", "the dog sat on the cat", "a cat is here", "a dog is there", "the zebra"]
    (text / "some.txt").write_text("\n".join(lines * 2 + ["one rare word"]))
    (text / "cmudict.dict").write_text("quince K W IH1 N S\n'bout B AW1 T\nzebra(2) Z\n")
    out = tmp_path / "small.safetensors"
    done = subprocess.run(
        [sys.executable, str(RECIPE), str(text), "--speech", str(speech), "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    model = load_language(out)
    assert model.sentence_logprob(["the", "cat", "sat"]) > model.sentence_logprob(["cat", "the", "sat"])
    assert set(model.members) == {"quince", "one", "rare", "word"}
    every = torch.tensor([number for number in range(model.size) if number != model.start])
    logprob, _ = model.score(model.begin(len(every)), every)
    assert float(logprob.exp().sum()) == pytest.approx(1.0, abs=0.1)  # probabilities are bytes
