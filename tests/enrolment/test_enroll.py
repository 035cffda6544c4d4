from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.affine import Affine
from asradapt.adaptation.lowrank import LowRank
from asradapt.adaptation.mixed import IDENTITY
from asradapt.decoding import greedy_decode
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.enrolment.enroll import job_size
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.options import Setting
from asradapt.enrolment.people import auto_settings
from asradapt.enrolment.training import Trainer
from asradapt.enrolment.updates import TrainingOptions
from asradapt.errors import InvalidSpeakerName, StoreError, UnknownMethod, UsageError
from asradapt.models.base import fingerprint
from asradapt.store import SpeakerStore
from asradapt.types import Utterance

# The tones of a person with shift 1 lie in the bands that mean nothing to the source; moving them back needs
# changes of the order of 1, hence the rate.
INPUT = EnrolmentOptions(
    method="input", rates=(10.0,), passes=30, least_steps=30, checkpoints=2, training=TrainingOptions(bf16=False)
)

# The same person alone and in company: rounding of differently batched sums, through 20 steps of Adam.
# Measured 2e-7 where the tensors reach 0.4.
SAME = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def people(speak):
    """Two whose tones are shifted and one whom the source understands."""
    return {
        "ann": speak("ann", shift=1.0, utterances=9),
        "anna": speak("anna", shift=-1.0, utterances=6),
        "bob": speak("bob", utterances=4),
    }


def files_of(store: SpeakerStore) -> dict[str, bytes]:
    return {str(p.relative_to(store.root)): p.read_bytes() for p in store.root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def enrolled(tone_model, people):
    """All three from one job, by name."""
    return {one.record.speaker: one for one in enroll(tone_model, people, options=INPUT).speakers}


@pytest.mark.parametrize("method", ["input", "head"])
def test_a_planted_difference_is_found_and_the_stored_adaptation_undoes_it(tone_model, people, store, method):
    before = fingerprint(tone_model.module)
    options = replace(INPUT, method=method)
    (one,) = enroll(tone_model, {"ann": people["ann"]}, options=options, store=store).speakers
    assert one.record.decision == "adapted"
    assert one.before.wer > 0.8
    assert one.after.wer < 0.2
    assert one.explanation.startswith("adapted: on held-out recordings")
    assert one.interval.high is not None
    assert one.interval.high < 0

    stored = store.load("ann")
    assert stored.record == one.record
    bank = SpeakerBank(tone_model, create(stored.record.method, stored.record.options))
    bank.load(0, stored.tensors)
    examples = prepare_examples(tone_model, people["ann"]).usable
    right = 0
    with torch.no_grad(), bank.attach(tone_model, torch.tensor([0])):
        for example in examples:
            logits, frames = tone_model.encode(example.features[None], torch.tensor([len(example.features)]))
            right += greedy_decode(logits, frames, tone_model.tokens) == [example.text]
    assert right >= len(examples) - 1
    assert fingerprint(tone_model.module) == before


def test_the_source_is_kept_where_it_makes_no_error(tone_model, people, store):
    (one,) = enroll(tone_model, {"bob": people["bob"]}, options=INPUT, store=store).speakers
    assert (one.record.decision, one.record.method, one.state) == ("source", IDENTITY, {})
    assert (one.before.wer, one.after.wer) == (0.0, 0.0)
    assert "makes no error" in one.explanation
    assert store.load("bob").tensors == {}


def test_the_source_is_kept_where_the_method_cannot_help(tone_model, people, store):
    options = replace(INPUT, method="lowrank")  # its sites pass nothing on in the tone model
    (one,) = enroll(tone_model, {"ann": people["ann"]}, options=options, store=store).speakers
    assert one.record.decision == "source"
    assert "no improvement" in one.explanation
    assert one.record.gate["tried"]["method"] == "lowrank"
    assert store.load("ann").tensors == {}


def test_the_record_says_how_it_came_about(tone_model, people, store):
    (one,) = enroll(tone_model, {"anna": people["anna"]}, options=replace(INPUT, seed=4), store=store).speakers
    record = one.record
    assert (record.speaker, record.utterances, record.seed, record.version) == ("anna", 6, 4, 1)
    assert record.source == {"name": "tones", "fingerprint": tone_model.fingerprint}
    assert record.seconds == pytest.approx(
        sum(e.seconds for e in prepare_examples(tone_model, people["anna"]).usable)
    )
    assert sorted(index for fold in record.split["folds"] for index in fold) == list(range(6))
    assert record.split["texts"] == [utterance.text for utterance in people["anna"]]
    assert record.folds["before"]["wer"] == one.before.wer
    assert record.folds["after"]["wer"] == one.after.wer
    assert (record.folds["low"], record.folds["high"]) == (one.interval.low, one.interval.high)
    assert record.folds["normalizer"] == "asradapt-basic-1"
    assert set(record.gate) == {"confidence", "budget", "chance", "tried", "retention"}
    assert record.gate["confidence"] == 0.9
    assert 0 < record.gate["chance"] <= 0.05
    assert record.gate["tried"]["rate"] == 10.0
    assert json.loads(json.dumps(one.as_dict()))["folds"]["after"] == one.after.wer


def test_a_person_alone_is_the_same_as_in_company(tone_model, people, enrolled):
    assert [one.record.decision for one in enrolled.values()] == ["adapted", "adapted", "source"]
    for name, one in enrolled.items():
        (alone,) = enroll(tone_model, {name: people[name]}, options=INPUT).speakers
        assert alone.record == one.record
        assert (alone.before, alone.after, alone.explanation) == (one.before, one.after, one.explanation)
        assert alone.state.keys() == one.state.keys()
        for key, tensor in one.state.items():
            torch.testing.assert_close(tensor, alone.state[key], **SAME)
            assert float(tensor.abs().max()) > 0.1


def test_the_order_and_size_of_jobs_do_not_matter(tone_model, people, enrolled):
    backwards, options = dict(reversed(people.items())), replace(INPUT, speakers_at_once=2)
    for one in enroll(tone_model, backwards, options=options).speakers:
        other = enrolled[one.record.speaker]
        assert one.record == other.record
        for name, tensor in one.state.items():
            torch.testing.assert_close(tensor, other.state[name], **SAME)


def test_the_seed_makes_an_enrolment_repeatable(tone_model, people):
    options = replace(INPUT, rates=(20.0,), passes=1)  # 16 updates
    first, again, other = (
        enroll(tone_model, {"anna": people["anna"]}, options=replace(options, seed=seed)).speakers[0]
        for seed in (3, 3, 4)
    )
    assert first.record == again.record
    assert first.state
    assert all(torch.equal(first.state[name], again.state[name]) for name in first.state)
    assert first.record.split["folds"] != other.record.split["folds"]


def test_people_whose_names_begin_alike_are_kept_apart(tone_model, people, store):
    enroll(tone_model, {name: people[name] for name in ("ann", "anna")}, options=INPUT, store=store)
    ann, anna = store.load("ann"), store.load("anna")
    assert ann.tensors.keys() == anna.tensors.keys()
    matrix = "input/features/matrix"
    assert not torch.allclose(ann.tensors[matrix], anna.tensors[matrix], atol=0.1)
    store.remove("ann")
    assert torch.equal(store.load("anna").tensors[matrix], anna.tensors[matrix])


def test_one_name_typed_in_two_ways_is_one_person(tone_model, people):
    halves = {"Zo\u00eb": people["ann"][:5], "Zoe\u0308": people["ann"][5:]}
    (one,) = enroll(tone_model, halves, options=replace(INPUT, passes=1)).speakers
    assert one.record.utterances == 9


@pytest.mark.parametrize("moment", [0, 2, 32], ids=["first step", "cross-validation", "final fit"])
def test_an_interruption_leaves_the_store_as_it_was(tone_model, people, store, monkeypatch, moment):
    enroll(tone_model, {"ann": people["ann"][:2]}, options=INPUT, store=store)
    before, weights, steps = files_of(store), fingerprint(tone_model.module), []
    step = Trainer.step

    def interrupted(self, number, active):
        steps.append(number)
        if len(steps) > moment:
            raise KeyboardInterrupt
        step(self, number, active)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        enroll(tone_model, people, options=replace(INPUT, fits=1), store=store)
    assert steps[-1] == (moment if moment < 30 else moment - 30)  # the final fit counts from 0 again
    assert files_of(store) == before
    assert store.versions("ann") == [1]
    assert fingerprint(tone_model.module) == weights


def test_people_of_finished_jobs_stay_when_a_later_one_is_interrupted(tone_model, people, store, monkeypatch):
    step = Trainer.step

    def interrupted(self, number, active):
        if [len(task.train) for task in self.tasks] == [4, 4, 4]:  # anna in three folds
            raise KeyboardInterrupt
        step(self, number, active)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        enroll(tone_model, people, options=replace(INPUT, speakers_at_once=1), store=store)
    assert store.speakers() == ["ann"]
    assert store.load("ann").record.decision == "adapted"


def test_a_person_without_usable_recordings_is_reported_and_the_others_enrolled(
    tone_model, people, store, tmp_path
):
    nobody = [Utterance(tmp_path / "missing.wav", "abc"), Utterance(people["bob"][0].audio, "xyz")]
    result = enroll(tone_model, {"nobody": nobody, "bob": people["bob"]}, options=INPUT, store=store)
    assert [one.record.speaker for one in result.speakers] == ["bob"]
    assert [failure.item for failure in result.failed] == [*(str(u.audio) for u in nobody), "nobody"]
    assert "no usable recording" in result.failed[-1].reason
    assert store.speakers() == ["bob"]


def test_bad_recordings_are_left_out_of_the_enrolment(tone_model, people, enrolled, tmp_path):
    mixed = [people["anna"][0], Utterance(tmp_path / "missing.wav", "abc"), *people["anna"][1:]]
    result = enroll(tone_model, {"anna": mixed}, options=INPUT)
    assert len(result.failed) == 1
    assert result.speakers[0].record == enrolled["anna"].record


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_recordings_keep_the_source_and_say_how_many_are_needed(tone_model, people, store, count):
    (one,) = enroll(tone_model, {"ann": people["ann"][:count]}, options=INPUT, store=store).speakers
    assert one.record.decision == "source"
    assert f"{count} usable recording" in one.explanation
    assert "too few" in one.explanation
    assert "at least 4" in one.explanation
    assert one.record.folds["low"] is None
    gate = {"confidence": 0.9, "budget": None, "chance": None, "tried": {}, "retention": None}
    assert one.record.gate == gate
    assert one.before == one.after
    assert store.load("ann").record.method == IDENTITY
    assert json.loads(json.dumps(one.as_dict()))["folds"]["high"] is None


def test_one_sentence_again_and_again_cannot_be_checked(tone_model, speak):
    spoken = speak("eve", shift=1.0, utterances=4)
    same = [replace(utterance, text="a b c d") for utterance in spoken]
    (one,) = enroll(tone_model, {"eve": same}, options=INPUT).speakers
    assert one.record.decision == "source"
    assert "different sentences" in one.explanation


def test_no_people_are_nothing_to_do(tone_model, store):
    result = enroll(tone_model, {}, options=INPUT, store=store)
    assert (result.speakers, result.failed, result.warnings) == ((), (), ())
    assert not store.root.exists()


def test_several_rates_are_tried_and_the_best_is_kept(tone_model, people):
    options = replace(INPUT, rates=(0.01, 10.0, 0.1))
    (one,) = enroll(tone_model, {"anna": people["anna"]}, options=options).speakers
    assert one.record.gate["tried"]["rate"] == 10.0
    assert one.record.decision == "adapted"


def test_methods_that_take_one_speaker_a_batch_can_be_enrolled_too(tone_model, people):
    options = replace(INPUT, method="encoder", passes=1, least_steps=4)
    together = enroll(tone_model, {name: people[name] for name in ("ann", "anna")}, options=options).speakers
    for one in together:
        (alone,) = enroll(tone_model, {one.record.speaker: people[one.record.speaker]}, options=options).speakers
        assert alone.record == one.record
        assert alone.record.gate["tried"]["method"] == "encoder"


def test_auto_tries_more_where_there_is_more_speech(tone_model, people):
    seconds = (0.0, 5.0, 19.9, 20.0, 59.0, 60.0, 299.0, 300.0, 3600.0)
    tried = [setting.methods({}) for length in seconds for setting in auto_settings(length)]
    assert tried == [(Affine(),)] * 3 + [(LowRank(4),)] * 2 + [(LowRank(32),)] * 4
    (setting,) = auto_settings(300.0)
    assert setting.methods({"lowrank": {"rank": 3}}) == (LowRank(3),)  # what the user wants comes first
    (one,) = enroll(
        tone_model, {"anna": people["anna"]}, options=EnrolmentOptions(passes=1, least_steps=2)
    ).speakers
    assert one.record.gate["tried"]["method"] == "affine"


def test_progress_goes_from_reading_to_done(tone_model, people):
    told: list[tuple[str, float]] = []
    options = replace(INPUT, speakers_at_once=2, passes=4, fits=1)
    enroll(tone_model, people, options=options, progress=lambda stage, share: told.append((stage, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert told[-1] == ("done", 1.0)
    assert {stage for stage, _ in told} == {"reading", "cross-validating", "fitting", "done"}
    fitting = [share for stage, share in told if stage == "fitting" and share <= 0.5]  # of the first job
    assert len(fitting) >= 3
    assert fitting[0] < fitting[1] < fitting[-1] == pytest.approx(0.5)
    told.clear()
    alone = replace(options, fits=0, speakers_at_once=9)  # the folds alone are kept: nothing more is trained
    enroll(tone_model, people, options=alone, progress=lambda stage, share: told.append((stage, share)))
    assert told[-2:] == [("fitting", pytest.approx(1.0)), ("done", 1.0)]


def test_wrong_names_are_told_before_any_work(tone_model, people, store):
    with pytest.raises(UnknownMethod, match="affine"):
        enroll(tone_model, people, options=EnrolmentOptions(method="magic"), store=store)
    with pytest.raises(InvalidSpeakerName, match=r"\.\./bob"):
        enroll(tone_model, people | {"../bob": []}, options=INPUT, store=store)
    assert not store.root.exists()


def test_options_out_of_range_are_all_told_at_once():
    with pytest.raises(UsageError) as caught:
        EnrolmentOptions(folds=1, rates=(0.0,), strengths=(), confidence=1.0, passes=0)
    for part in ("folds", "rates", "strengths", "confidence", "passes"):
        assert part in str(caught.value)
    for strengths in ((0.7, 0.4), (1.0, 0.0), (1.0, 1.1)):
        with pytest.raises(UsageError, match=r"strengths must lie above 0 and up to 1, with 1 among them"):
            EnrolmentOptions(strengths=strengths)


def test_jobs_hold_one_person_where_a_row_is_a_whole_encoder(tone_model, monkeypatch):
    assert job_size(tone_model, EnrolmentOptions(speakers_at_once=5)) == 5
    assert job_size(tone_model, EnrolmentOptions(method="affine+lowrank", speakers_at_once=5)) == 5
    assert job_size(tone_model, EnrolmentOptions(method="encoder", speakers_at_once=5)) == 1
    one = SpeakerBank(tone_model, create("lowrank", {"lowrank": {"rank": 32}})).bytes_a_speaker()
    monkeypatch.setattr(sys.modules["asradapt.enrolment.enroll"], "BANK_BYTES", 2 * one * 4 * 7)
    assert job_size(tone_model, EnrolmentOptions(speakers_at_once=5)) == 2
    assert job_size(tone_model, EnrolmentOptions(speakers_at_once=5, folds=9)) == 1
    assert job_size(tone_model, EnrolmentOptions(method="lowrank", speakers_at_once=5)) == 5


def test_a_short_and_a_long_person_with_other_ranks_are_each_as_alone(tone_model, people, monkeypatch):
    small, wide = (Setting("lowrank", 1.0, {"lowrank": {"rank": rank}}) for rank in (1, 3))
    monkeypatch.setattr("asradapt.enrolment.people.AUTO_SETTINGS", ((0.0, (small,)), (10.0, (wide,))))
    options = replace(INPUT, method="auto", passes=1, least_steps=4)
    seconds = {
        name: sum(e.seconds for e in prepare_examples(tone_model, one).usable) for name, one in people.items()
    }
    together = enroll(tone_model, people, options=options).speakers
    ranks = {one.record.speaker: one.record.gate["tried"]["options"]["lowrank"]["rank"] for one in together}
    assert ranks == {name: 3 if length >= 10 else 1 for name, length in seconds.items()}
    for one in together:
        (alone,) = enroll(tone_model, {one.record.speaker: people[one.record.speaker]}, options=options).speakers
        assert alone.record == one.record


def test_options_of_no_method_are_refused():
    with pytest.raises(UsageError, match="lowrnk"):
        EnrolmentOptions(method_options={"lowrnk": {"rank": 3}})


def block(store: SpeakerStore, speaker: str) -> None:
    """Make it impossible to store a person: a file lies where the folder must be."""
    (store.root / "speakers").mkdir(parents=True, exist_ok=True)
    (store.root / "speakers" / speaker).write_text("in the way")


def test_who_cannot_be_stored_loses_nobody_else(tone_model, people, store, enrolled):
    block(store, "anna")
    result = enroll(tone_model, people, options=INPUT, store=store)
    assert [one.record.speaker for one in result.speakers] == ["ann", "bob"]
    (failure,) = result.failed
    assert failure.item == "anna"
    assert "anna" in failure.reason
    for one in result.speakers:
        assert store.load(one.record.speaker).record == one.record
        assert one.record.version == 1
        assert one.record.folds == enrolled[one.record.speaker].record.folds


def test_if_nobody_of_a_job_can_be_stored_that_is_an_error_and_earlier_jobs_stay(tone_model, people, store):
    block(store, "bob")
    crowd = {"ann": people["ann"], "bob": people["bob"]}
    with pytest.raises(StoreError, match="bob"):
        enroll(tone_model, crowd, options=replace(INPUT, speakers_at_once=1), store=store)
    assert store.load("ann").record.decision == "adapted"


def test_a_recording_given_twice_counts_once(tone_model, people, enrolled):
    (one,) = (
        result := enroll(tone_model, {"anna": [*people["anna"], *people["anna"][:2]]}, options=INPUT)
    ).speakers
    assert one.record == enrolled["anna"].record
    assert len(result.warnings) == 2
    assert all("used once" in warning for warning in result.warnings)


def test_an_adaptation_that_stands_is_not_replaced_by_an_enrolment_without_success(tone_model, people, store):
    (first,) = enroll(tone_model, {"anna": people["anna"]}, options=INPUT, store=store).speakers
    assert first.record.decision == "adapted"
    (second,) = enroll(tone_model, {"anna": people["anna"][:1]}, options=INPUT, store=store).speakers
    assert second.record.decision == "source"
    assert second.record.version == 1
    assert "version 1 stays in use" in second.explanation
    assert store.versions("anna") == [1]
    assert store.load("anna").record == first.record


def test_an_adaptation_of_another_source_does_not_stand(tone_model, people, store):
    (first,) = enroll(tone_model, {"anna": people["anna"]}, options=INPUT, store=store).speakers
    other = replace(first.record, source={"name": "tones", "fingerprint": "0" * 64})
    store.save(other, first.state)
    (second,) = enroll(tone_model, {"anna": people["anna"][:1]}, options=INPUT, store=store).speakers
    assert second.record.version == 3
    assert store.load("anna").record.decision == "source"
