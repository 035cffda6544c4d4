"""Enrolling further: from kept recordings or from the version in use, and never to something worse."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from samples import store_speaker
from test_enroll import INPUT, files_of

from asradapt.adaptation import create
from asradapt.adaptation.mixed import IDENTITY
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.enrolment.compare import judge_pair, worse_than_source
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.past import Past, begin, learned_from, standing_bank
from asradapt.enrolment.people import make_person
from asradapt.enrolment.screening import screen
from asradapt.enrolment.training import Trainer
from asradapt.enrolment.updates import evaluate_pairs
from asradapt.scoring import score, total
from asradapt.store import SpeakerStore
from asradapt.types import Utterance


@pytest.fixture(scope="module")
def rounds(speak):
    """Five small rounds of one person, every one with other sentences."""
    return [speak("ann", shift=1.0, utterances=5, seed=number) for number in range(5)]


@pytest.mark.parametrize("removed", [False, True])
def test_who_is_stored_or_removed_meanwhile_is_not_overtaken(tone_model, rounds, tmp_path, removed):
    store = SpeakerStore(tmp_path)
    store_speaker(store, tone_model, "ann", IDENTITY)
    store_speaker(store, tone_model, "bob", "affine")

    def meanwhile(stage: str, share: float) -> None:
        if stage == "cross-validating" and store.versions("bob") == [1]:
            store_speaker(store, tone_model, "bob", "affine", seed=3)
            if removed:
                store.remove("ann")
            else:
                store_speaker(store, tone_model, "ann", IDENTITY, seed=3)

    options = EnrolmentOptions(method="affine", passes=1, least_steps=2, forecast=False)
    people = {"ann": rounds[0], "cleo": rounds[1]}
    done = enroll(tone_model, people, options=options, store=store, progress=meanwhile, fresh=True)
    assert [one.record.speaker for one in done.speakers] == ["cleo"]
    (failure,) = done.failed
    assert ("removed meanwhile" if removed else "another version of ann") in failure.reason
    assert ("ann" in store, "cleo" in store) == (not removed, True)


@pytest.fixture(scope="module")
def unheard(tone_model, speak):
    """Recordings of the same person that nobody learns from."""
    return prepare_examples(tone_model, speak("ann", shift=1.0, utterances=12, seed=99)).usable


def errors(model, store, examples) -> int:
    """Wrong letters of the version in use."""
    current = store.load("ann")
    bank = standing_bank(model, current) if current.record.decision == "adapted" else None
    scores = evaluate_pairs(model, bank, [(0, one) for one in examples], INPUT.training)[0]
    return total(list(scores.counts.values())).character_errors


def once(model, store, utterances, **how):
    (one,) = enroll(model, {"ann": utterances}, options=INPUT, store=store, **how).speakers
    return one


@pytest.mark.parametrize("keep", [False, True])
def test_no_round_of_five_makes_it_worse(tone_model, store, rounds, unheard, keep):
    found = []
    for part in rounds:
        one = once(tone_model, store, part, keep_audio=keep)
        found.append(errors(tone_model, store, unheard))
    scores = evaluate_pairs(tone_model, None, [(0, one) for one in unheard], INPUT.training)[0]
    assert found[0] < total(list(scores.counts.values())).character_errors
    assert all(later <= earlier for earlier, later in pairwise(found)), found
    assert ("20 kept and" if keep else "trained from version") in one.start
    assert bool(list(store.root.rglob("*.flac"))) is keep


def test_wrong_texts_in_a_second_round_do_not_replace_what_works(tone_model, store, rounds, unheard):
    once(tone_model, store, rounds[0])
    before = errors(tone_model, store, unheard)
    texts = [one.text for one in rounds[1]]
    swapped = [replace(one, text=text) for one, text in zip(rounds[1], texts[1:] + texts[:1], strict=True)]
    one = once(tone_model, store, swapped)
    assert one.stays == 1
    assert "version 1 stays in use" in one.explanation
    assert store.current("ann") == 1
    assert errors(tone_model, store, unheard) == before


def test_the_record_remembers_all_that_its_tensors_have_learned_from(tone_model, store, rounds):
    for part in rounds[:3]:
        once(tone_model, store, part)
    digests, _, count = learned_from(store.record("ann"))
    assert (len(digests), count) == (5 * store.current("ann"), 5 * store.current("ann"))


def test_recordings_that_were_learned_from_are_not_held_out_from_a_start_that_knows_them(
    tone_model, store, rounds
):
    once(tone_model, store, rounds[0])
    again = once(tone_model, store, [*rounds[0][:1], *rounds[1]])
    assert "learned from 1 of these recordings" in again.start
    assert "earlier" not in again.record.split
    assert again.record.gate["current"]["utterances"] == 5


def test_fewer_of_the_same_recordings_do_not_replace_a_version_and_fresh_does(tone_model, store, rounds):
    once(tone_model, store, [*rounds[0], *rounds[1]])
    less = once(tone_model, store, rounds[0])
    assert less.stays == 1
    assert "nothing new" in less.explanation
    fresh = once(tone_model, store, rounds[0], fresh=True)
    assert (fresh.stays, fresh.start, fresh.record.version) == (0, "", 2)


def test_the_same_recordings_again_bring_nothing_and_other_texts_for_them_do(
    tone_model, store, rounds, monkeypatch
):
    once(tone_model, store, rounds[0], keep_audio=True)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", lambda *_: pytest.fail("nothing is to be learned"))
        again = once(tone_model, store, rounds[0])
    assert (again.stays, again.record.version) == (1, 1)
    assert again.explanation.startswith("version 1 stays in use, this enrolment does not replace it: nothing new")
    corrected = [*rounds[0][:4], replace(rounds[0][4], text=rounds[0][4].text + " a")]
    assert "nothing new" not in once(tone_model, store, corrected).explanation


def test_who_gives_only_recordings_that_are_left_out_is_not_trained_for(tone_model, store, rounds, monkeypatch):
    once(tone_model, store, rounds[0], keep_audio=True)
    module, new = sys.modules["asradapt.enrolment.people"], {one.text for one in rounds[1]}

    def none_of_the_new(model, examples, options, added):
        found = screen(model, examples, options)
        return replace(found, kept=tuple(one for one in found.kept if one.text not in new))

    monkeypatch.setattr(module, "screen", none_of_the_new)
    result = enroll(tone_model, {"ann": rounds[1]}, options=INPUT, store=store)
    assert result.speakers == ()
    assert "no usable recording" in result.failed[-1].reason
    assert store.versions("ann") == [1]


def test_what_was_learned_without_transcripts_is_no_start(tone_model, store, rounds):
    first = store_speaker(store, tone_model, "ann", "input")
    stored = store.load("ann")
    store.save(replace(first, split={"folds": [[0], [1]], "texts": [], "transcribed": False}), stored.tensors)
    result = enroll(tone_model, {"ann": rounds[0]}, options=INPUT, store=store)
    assert "learned without transcripts: training starts from the source" in " ".join(result.warnings)
    assert result.speakers[0].start == ""
    assert "earlier" not in result.speakers[0].record.split


def test_auto_goes_on_with_the_size_that_is_there_unless_another_is_wanted(tone_model, rounds):
    record = SimpleNamespace(version=1, method="lowrank", options={"lowrank": {"rank": 2}}, split={"texts": []})
    current = SimpleNamespace(record=record, tensors={})
    data = prepare_examples(tone_model, rounds[0]).usable
    assert begin(Past(current), data, "auto", {}).version == 1
    assert begin(Past(current), data, "auto", {"lowrank": {"rank": 2}, "head": {}}).version == 1
    assert "lowrank with other options" in begin(Past(current), data, "auto", {"lowrank": {"rank": 3}}).said
    assert "lowrank with other options" in begin(Past(current), data, "lowrank", {}).said
    person = make_person("ann", data, EnrolmentOptions(), Past(current))
    assert [one.methods({}) for one in person.settings] == [create("lowrank", record.options)]
    record.method, record.options = "encoder", {"encoder": {}}
    assert "auto does not try" in begin(Past(current), data, "auto", {}).said


def test_another_method_starts_from_the_source_and_says_so(tone_model, store, rounds):
    once(tone_model, store, rounds[0])
    options = replace(INPUT, method="head")
    (one,) = enroll(tone_model, {"ann": rounds[1]}, options=options, store=store).speakers
    assert "trained from the source: version 1 is input" in one.start


def test_agreement_is_remembered_until_the_audio_is_forgotten(tone_model, store, rounds):
    assert len(once(tone_model, store, rounds[0], keep_audio=True).kept.recordings) == 5
    assert len(once(tone_model, store, rounds[1]).kept.recordings) == 10
    store.recordings("ann").forget()
    assert once(tone_model, store, rounds[2]).kept is None
    assert not [name for name in files_of(store) if "recordings" in name]


def test_a_new_text_replaces_the_one_that_was_kept(tone_model, store, rounds):
    once(tone_model, store, rounds[0], keep_audio=True)
    changed = Utterance(rounds[0][0].audio, "a b c", "ann")
    result = enroll(tone_model, {"ann": [changed]}, options=INPUT, store=store)
    assert any("new text replaces" in warning for warning in result.warnings)
    assert result.speakers[0].record.utterances == 5
    texts = [one.text for one in store.recordings("ann").kept().recordings]
    assert "a b c" in texts
    assert rounds[0][0].text not in texts


def test_kept_recordings_are_trained_on_as_the_files_were(tone_model, store, rounds):
    first = once(tone_model, store, rounds[0], keep_audio=True)
    again = once(tone_model, store, rounds[0][:1])
    assert again.record.utterances == 5
    assert sorted(again.record.split["digests"]) == sorted(first.record.split["digests"])
    for name, tensor in again.state.items():
        torch.testing.assert_close(tensor.isfinite().all(), torch.tensor(True), msg=name)


def test_not_worse_means_neither_more_wrong_letters_nor_more_wrong_words():
    right, letter, word = score("ab cd", "ab cd"), score("ab cd", "ab ce"), score("ab cd", "a c")
    assert judge_pair(3, [letter], [letter], 0).accepted
    assert judge_pair(3, [word], [letter], 0).accepted
    verdict = judge_pair(3, [right], [letter], 0)
    assert not verdict.accepted
    assert verdict.explanation.startswith("worse than version 3 on 1 new recording:")


def test_a_version_that_stays_and_is_worse_than_the_source_is_told(tone_model, store, speak):
    store_speaker(store, tone_model, "ann", "input")  # random: as if her microphone were another now
    record = store.record("ann")
    store.save(replace(record, split={"folds": [[0], [1]], "texts": ["x"], "digests": ["x"]}), _strong(store))
    plain = speak("ann", shift=0.0, utterances=4, seed=7)  # as the source knows speech: nothing is to be gained
    one = once(tone_model, store, plain)
    assert one.stays == 2
    assert "on 4 new recordings version 2 is worse than the source (wrong letters" in one.explanation
    few = once(tone_model, store, plain[:2])  # too few to try anything, and to say anything
    assert "too few to check" in few.explanation
    assert "worse than the source" not in few.explanation


def _strong(store):
    return {name: 4 * tensor for name, tensor in store.load("ann").tensors.items()}


def test_worse_than_the_source_means_more_wrong_letters_than_chance_and_no_fewer_wrong_words():
    right, wrong = score("ab cd", "ab cd"), score("ab cd", "ax xx")
    told = worse_than_source(2, [right] * 4, [wrong] * 4, confidence=0.9, seed=0)
    assert told == (
        "on 4 new recordings version 2 is worse than the source (wrong letters 60.0%, the source 0.0%; word "
        "errors 100.0% and 0.0%)"
    )
    assert worse_than_source(2, [right] * 3, [wrong] * 3, confidence=0.9, seed=0) == ""
    assert worse_than_source(2, [wrong] * 4, [right] * 4, confidence=0.9, seed=0) == ""
    assert worse_than_source(2, [], [], confidence=0.9, seed=0) == ""
    letters, words = score("ab cd", "axxxxx cd"), score("ab cd", "ax cx")
    assert worse_than_source(2, [words] * 4, [letters] * 4, confidence=0.9, seed=0) == ""
