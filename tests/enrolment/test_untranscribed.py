"""A person who says one letter between two others, and a language model that knows the words."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import soundfile
import torch
from samples import store_speaker
from tones import RATE, WORDS, spoken

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.mixed import IDENTITY
from asradapt.audio import load_audio
from asradapt.decoding import Decoder, Heard, Word
from asradapt.enrolment import (
    EnrolmentOptions,
    SelfTraining,
    Setting,
    enroll,
    enroll_untranscribed,
    heard_gate,
    heard_texts,
    learners,
    pseudo,
    untranscribed,
)
from asradapt.enrolment.heard_gate import finish, first_passes
from asradapt.enrolment.heard_texts import learn_texts
from asradapt.enrolment.learners import Learner, agreement, prefer_clearly
from asradapt.enrolment.objective import encode_pairs
from asradapt.enrolment.past import Past, Start, split_of
from asradapt.enrolment.people import make_person
from asradapt.enrolment.retention import RetentionCheck
from asradapt.enrolment.selection import Choice
from asradapt.enrolment.self_training import self_train
from asradapt.enrolment.training import APART, Task, Trainer, train
from asradapt.errors import StoreError, UsageError
from asradapt.evaluation import heard_before
from asradapt.models.base import fingerprint
from asradapt.pcm import digest
from asradapt.scoring import ErrorCounts
from asradapt.store import SpeakerRecord
from asradapt.test_time import EachOptions, depth_shares, uncertainty
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance
from asradapt.voice import everywhere, pieces

OPTIONS = EnrolmentOptions(method="input")
PLAN = SelfTraining(steps=6, rate=1.0, each=None)  # a few tones are too little to adapt to
BETWEEN = 1.3  # bands: nearer to the next letter than to its own


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Records somebody whose c is shifted: `record("ann", 9)`; the texts are there, and wrong."""

    def make(name, count, shift=BETWEEN):
        folder, chance, found = tmp_path_factory.mktemp("people"), random.Random(name), []
        for number in range(count):
            text = " ".join(chance.choices(WORDS, k=2))
            path = folder / f"{name}{number}.wav"
            sound = torch.cat([spoken(letter, shift * (letter == "c"), number) for letter in text])
            soundfile.write(path, sound.numpy(), RATE)
            found.append(Utterance(path, "not this", name, fields={"said": text}))
        return found

    return make


@pytest.fixture(scope="module")
def ann(record):
    return record("ann", 9)


def learner(model, clips, teacher, name="ann"):
    """Somebody whose recordings were heard by the source."""
    cut = pseudo.cut_recordings(model, clips).usable
    heard = pseudo.hear(model, None, [(0, one) for one in cut], teacher, OPTIONS.training)
    lessons = [pseudo.labelled(model, example, text) for example, text in zip(cut, heard, strict=True)]
    person = replace(make_person(name, lessons, OPTIONS), settings=(Setting("input", PLAN.rate),))
    return Learner(person, tuple(heard))


def doubt(model, bank, examples):
    """The loss that was learned from, on average."""
    with torch.no_grad():
        logits, frames = encode_pairs(model, bank, [(0, example) for example in examples])
    return float(uncertainty(logits, frames, temperature=2.5, share=0.3).mean())


def test_learning_from_some_recordings_makes_the_model_surer_of_others(tone_model, ann, teacher, record):
    one = learner(tone_model, ann, teacher)
    before = fingerprint(tone_model.module)
    self_train(tone_model, [one], OPTIONS, PLAN, lambda share: None)
    others = pseudo.cut_recordings(tone_model, record("others", 5)).usable
    doubts = [doubt(tone_model, None, others)]
    for state in one.first.states[: PLAN.rounds]:
        bank = SpeakerBank(tone_model, create("input"))
        bank.load(0, state)
        doubts.append(doubt(tone_model, bank, others))
    assert doubts == sorted(doubts, reverse=True)
    assert [choice.steps for choice in one.first.seen] == [2, 4, 6, 6, 6]
    assert [choice.strength for choice in one.first.seen] == [1.0, 1.0, 1.0, *OPTIONS.strengths[1:]]
    assert fingerprint(tone_model.module) == before


def test_no_row_learns_from_what_it_is_judged_on(tone_model, ann, teacher):
    one = learner(tone_model, ann, teacher)
    self_train(tone_model, [one], OPTIONS, PLAN, lambda share: None)
    learned = {row: {id(e) for e in task.train} for row, task in zip(one.rows, one.tasks(), strict=True)}
    assert all(id(example) not in learned[row] for row, example in one.tests(one.rows))
    assert sorted(id(example) for _, example in one.tests(one.rows)) == sorted(learned[one.rows[-1]])


LONG = replace(PLAN, texts_from=0.0, texts_steps=6, texts_passes=1, rounds=2)


def twice(model, learners, teacher, options=OPTIONS):
    """Both halves of learning."""
    found = self_train(model, learners, options, LONG, lambda share: None)
    told: list[float] = []
    learn_texts(model, learners, found, teacher, options, LONG, told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_the_second_half_learns_the_texts_that_the_first_one_hears(tone_model, ann, teacher):
    one = learner(tone_model, ann, teacher)
    options = replace(OPTIONS, fits=2)
    first = self_train(tone_model, [one], options, LONG, lambda share: None)
    learn_texts(tone_model, [one], first, teacher, options, LONG, lambda share: None)
    new = one.second.seen
    assert len(one.second.states) == len(new)
    assert [(choice.steps, choice.strength) for choice in new] == [
        (steps, strength) for steps in (3, 6) for strength in OPTIONS.strengths
    ]
    assert {choice.setting for choice in new} == {Setting("input", OPTIONS.rates[0])}
    pairs = [(one.rows[-1], example) for example in one.person.examples]
    heard = pseudo.hear(tone_model, first, pairs, teacher, options.training)
    texts = [pseudo.labelled(tone_model, example, text) for (_, example), text in zip(pairs, heard, strict=True)]
    alone = []
    for seed in (one.person.seed, one.person.seed + APART):
        bank = SpeakerBank(tone_model, create("input"))
        train(Trainer(tone_model, bank, [Task(tuple(texts), 1.0, seed)], options.training), [6])
        alone.append(bank)
    for name, tensor in one.second.states[3].items():  # all updates, at full strength
        mean = sum(bank.tensors[name].detach() for bank in alone) / 2
        torch.testing.assert_close(tensor, mean, rtol=0, atol=3e-4)
        assert float(tensor.abs().max()) > 1e-3


def test_a_person_alone_learns_texts_as_in_company(tone_model, ann, teacher, record):
    alone, other, again = (
        learner(tone_model, clips, teacher, name)
        for name, clips in (("ann", ann), ("other", record("other", 4)), ("ann", ann))
    )
    twice(tone_model, [alone], teacher)
    twice(tone_model, [other, again], teacher)
    assert alone.second.seen == again.second.seen
    for name, tensor in alone.second.states[-1].items():
        torch.testing.assert_close(tensor, again.second.states[-1][name], rtol=0, atol=1e-4)


def test_no_fold_learns_from_what_it_is_judged_on_nor_from_who_has(tone_model, ann, teacher, monkeypatch):
    """Its texts are those that its own row of the first half hears, which has not learned from them either."""
    one = learner(tone_model, ann, teacher)
    one.phrases = ("abcd",)
    made, asked = [], []

    class Noting(Trainer):
        def __init__(self, model, bank, tasks, options):
            super().__init__(model, bank, tasks, options)
            made.append(tasks)

    def noting(model, bank, pairs, decoder, options, phrases=None):
        asked.append((pairs, phrases))
        return pseudo.hear(model, bank, pairs, decoder, options, phrases)

    monkeypatch.setattr(heard_texts, "Trainer", Noting)
    monkeypatch.setattr(heard_texts, "hear", noting)
    twice(tone_model, [one], teacher)
    (tasks,) = made
    assert len(tasks) == len(one.person.folds) + 4  # little speech: four trainings are averaged
    sounds = [{example.digest for example in task.train} for task in tasks]
    everything = {example.digest for example in one.person.examples}
    for row, fold in enumerate(one.person.folds):
        assert sounds[row] == everything - {one.person.examples[index].digest for index in fold}
    assert sounds[-1] == everything
    for pairs, phrases in asked:
        assert {row: ("abcd",) for row, _ in pairs}.items() <= phrases.items()
    *learned, judged = asked
    assert [{row for row, _ in pairs} for pairs, _ in learned] == [{row} for row in one.rows]
    assert judged[0] == one.tests(one.rows)


def test_texts_are_those_that_each_row_hears(tone_model, ann, teacher):
    one = learner(tone_model, ann, teacher)
    first = self_train(tone_model, [one], OPTIONS, LONG, lambda share: None)
    with torch.no_grad():  # so that every row hears something else
        for row in one.rows:
            first.tensors[next(iter(first.tensors))][row] += 0.4 * row
    found = heard_texts._texts(tone_model, one, first, teacher, OPTIONS)
    for row, task, texts in zip(one.rows, one.tasks(), found, strict=True):
        pairs = [(row, example) for example in task.train]
        heard = pseudo.hear(tone_model, first, pairs, teacher, OPTIONS.training)
        assert [text.text for text in texts] == [one.text for one in heard if one.text]
    assert len({tuple(text.text for text in texts) for texts in found}) > 1


def test_an_update_moves_every_tensor_as_far_as_its_depth_says(tone_model, ann, teacher):
    one = learner(tone_model, ann, teacher)
    one.person = replace(one.person, settings=(Setting("input+affine", 0.6),))
    plan = replace(PLAN, method="input+affine", steps=1, rounds=1, last=0.5)
    bank = self_train(tone_model, [one], OPTIONS, plan, lambda share: None)
    shares = depth_shares(bank, tone_model, 0.5)
    own = {method.name: method.rate for method in bank.methods}
    assert len(set(shares.values())) > 2
    still = 0
    for name, tensor in bank.tensors.items():
        rate = 0.6 * own[name.split("/")[0]] * shares[name]
        sizes = tensor.flatten(1).square().mean(1).sqrt()
        if not sizes.any():  # nothing that is heard depends on it
            still += 1
        else:
            torch.testing.assert_close(sizes, torch.full_like(sizes, rate), rtol=1e-4, atol=0)
    assert len(shares) - still >= 4


def test_recordings_count_alike_however_large_their_gradients(tone_model, ann, teacher, monkeypatch):
    plan = replace(PLAN, steps=1, rounds=1)
    steps = []
    for factor in (1.0, 1000.0):

        def larger(logits, frames, *, temperature, share, factor=factor):
            losses = uncertainty(logits, frames, temperature=temperature, share=share)
            return losses * torch.where(torch.arange(len(losses)) % 2 == 0, factor, 1.0)

        monkeypatch.setattr("asradapt.enrolment.self_training.uncertainty", larger)
        one = learner(tone_model, ann, teacher)
        self_train(tone_model, [one], OPTIONS, plan, lambda share: None)
        steps.append(one.first.states[0])
    for name, tensor in steps[0].items():
        torch.testing.assert_close(steps[1][name], tensor)
    alone = learner(tone_model, ann[:3], teacher)  # and every one of them does count
    self_train(tone_model, [alone], OPTIONS, plan, lambda share: None)
    assert any(not torch.allclose(alone.first.states[0][name], tensor) for name, tensor in steps[0].items())


@pytest.mark.parametrize(("seconds", "passes"), [(0.0, True), (0.0, False), (1e9, True)])
def test_with_less_speech_texts_are_learned_where_the_first_half_passes_the_gate(
    tone_model, ann, teacher, monkeypatch, seconds, passes
):
    asked, learned = [], []
    monkeypatch.setattr(untranscribed, "first_passes", lambda work, one, counts: asked.append(counts) or passes)
    monkeypatch.setattr(untranscribed, "learn_texts", lambda model, people, *rest: learned.extend(people))
    plan = replace(PLAN, texts_from=1e9, texts_earlier=seconds)
    (one,) = enroll_untranscribed(tone_model, {"ann": ann}, decoder=teacher, options=OPTIONS, plan=plan).speakers
    assert len(asked) == (seconds == 0.0)
    assert [person.person.name for person in learned] == ["ann"] * (passes and seconds == 0.0)
    assert one.record.speaker == "ann"


def test_the_first_half_passes_alone_by_the_gate_of_all(work, tone_model, ann, teacher):
    one = learner(tone_model, ann, teacher)
    full = tuple(ErrorCounts(0, 0, 0, 10, 4, 40) for _ in one.person.examples)
    better, worse = (replace_letters(full, letters) for letters in (1, 7))
    for found, passes in ((better, True), (full, False), (worse, False)):
        one.first.seen = [Choice(one.person.settings[0], 1, 1.0, 1.0, found, ())]
        assert first_passes(work, one, full) is passes


def replace_letters(counts, letters):
    """The same with another number of wrong letters."""
    return tuple(ErrorCounts(0, 0, 0, 10, letters, 40) for _ in counts)


def test_adaptations_are_judged_by_what_the_source_adapted_to_each_recording_hears(
    tone_model, ann, teacher, monkeypatch
):
    learners = []
    monkeypatch.setattr(untranscribed, "_learn", lambda work, able, before, report: learners.append(able))
    strong = EachOptions(methods="input", rate=40.0, searched=1.0, trusted=1.0)
    for each in (None, strong):
        plan = replace(PLAN, each=each)
        enroll_untranscribed(tone_model, {"ann": ann}, decoder=teacher, options=OPTIONS, plan=plan)
    (plain,), (adapted,) = learners
    expected = Transcriber(tone_model, None, TranscriberOptions(adapt_each=strong), teacher).transcribe(ann)
    texts = [one.text for one in expected if isinstance(one, Transcript) and one.text]
    assert [heard.text for heard in adapted.heard] == texts
    assert [heard.text for heard in plain.heard] != texts


def test_a_person_without_texts_learns_twice_and_is_stored(tone_model, ann, teacher, store):
    options, plan = replace(OPTIONS, rates=(3.0,)), replace(LONG, rate=0.15, texts_steps=80)
    done = enroll_untranscribed(tone_model, {"ann": ann}, decoder=teacher, options=options, plan=plan, store=store)
    (one,) = done.speakers
    assert one.record.decision == "adapted", one.explanation
    tried = one.record.gate["tried"]
    assert (tried["method"], tried["rate"], tried["fits"]) == ("input", 3.0, 4)
    assert tried["steps"] in (40, 80)
    assert one.record.gate["self_training"]["texts_steps"] == 80
    kept = store.load("ann").tensors
    assert kept.keys() == one.state.keys()
    assert all(torch.equal(kept[name], tensor) for name, tensor in one.state.items())


def test_who_brings_no_more_speech_is_told_before_any_work(work, tone_model, ann, teacher, store, monkeypatch):
    one = learner(tone_model, ann, teacher)
    one.first.add(
        Choice(Setting("input"), 1, 1.0, 1.0, tuple(agreement(h, h.text) for h in one.heard), ()),
        SpeakerBank(tone_model, create("input")).state(0),
    )
    enrolled = heard_gate.finish(work, one, tuple(agreement(heard, "") for heard in one.heard))
    store.save(enrolled.record, enrolled.state)
    monkeypatch.setattr(untranscribed, "hear", lambda *_: pytest.fail("nothing is to be heard"))
    again = enroll_untranscribed(tone_model, {"ann": ann}, decoder=teacher, options=OPTIONS, store=store)
    assert again.speakers == ()
    assert "ann: version 1 stays in use" in again.warnings[0]
    assert store.versions("ann") == [1]
    with pytest.raises(pytest.fail.Exception):  # without it, or with more speech, there is work
        enroll_untranscribed(tone_model, {"bob": ann}, decoder=teacher, options=OPTIONS, store=store)


def test_the_first_half_is_used_where_the_second_does_not_pass(tone_model, ann, teacher, work):
    one = learner(tone_model, ann, teacher)
    count = len(one.person.examples)

    def choice(steps, errors, missed=()):
        counts = tuple(ErrorCounts(errors, 0, 0, 20, 3 * errors, 60) for _ in range(count))
        return Choice(one.person.settings[0], steps, float(steps), 1.0, counts, (), missed=missed)

    before = choice(0, 4).counts
    state = {name: tensor[:1] for name, tensor in SpeakerBank(tone_model, create("input")).tensors.items()}
    one.first.add(choice(6, 1), state)
    one.second.add(choice(80, 5, (0,) * count), state)
    kept = heard_gate.finish(work, one, before)
    assert (kept.record.gate["tried"]["steps"], kept.record.gate["tried"]["fits"]) == (6, 1)
    one.second.seen[0] = choice(80, 2, (0,) * count)
    kept = heard_gate.finish(work, one, before)
    assert (kept.record.gate["tried"]["steps"], kept.record.gate["tried"]["fits"]) == (80, 4)


def test_a_person_alone_learns_the_same_as_in_company(tone_model, ann, teacher, record):
    alone, other, again = (
        learner(tone_model, clips, teacher, name)
        for name, clips in (("ann", ann), ("other", record("other", 4)), ("ann", ann))
    )
    self_train(tone_model, [alone], OPTIONS, PLAN, lambda share: None)
    self_train(tone_model, [other, again], OPTIONS, PLAN, lambda share: None)
    assert alone.first.seen == again.first.seen
    for name, tensor in alone.first.states[2].items():
        torch.testing.assert_close(tensor, again.first.states[2][name], rtol=0, atol=1e-4)
        assert float(tensor.abs().max()) > 1e-3


@pytest.fixture
def work(tone_model, teacher):
    check = RetentionCheck(tone_model, OPTIONS.training)
    return heard_gate.Work(tone_model, teacher, OPTIONS, PLAN, None, check)


def test_a_candidate_that_finds_the_sure_words_is_kept_and_the_record_says_how(work, tone_model, ann, teacher):
    one = learner(tone_model, ann, teacher)
    missed = tuple(agreement(heard, "") for heard in one.heard)
    found = tuple(agreement(heard, heard.text) for heard in one.heard)
    one.first.seen = [
        Choice(Setting("input"), steps, 1.0, 1.0, counts, ()) for steps, counts in ((1, missed), (2, found))
    ]
    one.first.states = [SpeakerBank(tone_model, create("input")).state(0) for _ in range(2)]
    enrolled = heard_gate.finish(work, one, missed)
    assert enrolled.state is one.first.states[1]
    record = SpeakerRecord.from_json(replace(enrolled.record, version=1).to_json())
    assert (record.decision, record.method, record.transcribed) == ("adapted", "input", False)
    assert record.split["texts"] == []
    assert not any(clip.fields["said"] in record.to_json() for clip in ann)
    assert sorted(index for fold in record.split["folds"] for index in fold) == list(range(9))
    assert record.gate["self_training"]["steps"] == PLAN.steps
    assert 0 < record.gate["confidence_of_texts"] <= 1
    assert "language model" in record.folds["reference"]
    assert enrolled.as_dict()["transcribed"] is False
    told = "misses 100.0% of the words that are heard with the language model before and 0.0% after"
    assert told in enrolled.explanation
    assert enrolled.explanation.count(". ") == 0


def test_a_candidate_that_finds_fewer_is_refused(work, tone_model, ann, teacher):
    one = learner(tone_model, ann, teacher)
    missed = tuple(agreement(heard, "") for heard in one.heard)
    found = tuple(agreement(heard, heard.text) for heard in one.heard)
    one.first.seen, one.first.states = [Choice(Setting("input"), 1, 1.0, 1.0, missed, ())], [{}]
    enrolled = heard_gate.finish(work, one, found[:4] + missed[4:])
    assert (enrolled.record.decision, enrolled.record.method, enrolled.state) == ("source", "identity", {})
    assert "no improvement" in enrolled.explanation


def test_an_enrolment_with_texts_is_known_as_one(tone_model, speak):
    (one,) = enroll(tone_model, {"bob": speak("bob", utterances=3)}, options=OPTIONS).speakers
    assert one.record.transcribed
    assert one.as_dict()["transcribed"] is True


def test_the_source_is_kept_where_the_language_model_changes_nothing(tone_model, teacher, record):
    clear = record("clear", 4, shift=0.0)
    (one,) = enroll_untranscribed(tone_model, {"clear": clear}, decoder=teacher, options=OPTIONS).speakers
    assert (one.record.decision, one.state) == ("source", {})
    assert "teach nothing" in one.explanation


def test_the_source_is_kept_and_stored_where_the_method_cannot_learn(tone_model, teacher, ann, store):
    options = replace(OPTIONS, method="lowrank")  # its sites pass nothing on in the tone model
    found = enroll_untranscribed(
        tone_model, {"ann": ann}, decoder=teacher, options=options, plan=PLAN, store=store
    )
    assert found.speakers[0].record.decision == "source"
    assert "no improvement" in found.speakers[0].explanation
    stored = store.load("ann")
    assert stored.tensors == {}
    assert not stored.record.transcribed
    assert stored.record.gate["tried"]["method"] == "lowrank"


def test_who_was_stored_meanwhile_is_not_overtaken(tone_model, teacher, ann, store, monkeypatch):
    run = untranscribed._run_job

    def meanwhile(*arguments):
        store_speaker(store, tone_model, "ann", IDENTITY)
        return run(*arguments)

    monkeypatch.setattr(untranscribed, "_run_job", meanwhile)
    options = replace(OPTIONS, method="lowrank")  # its sites pass nothing on in the tone model
    with pytest.raises(StoreError, match="another version of ann was stored meanwhile"):
        enroll_untranscribed(tone_model, {"ann": ann}, decoder=teacher, options=options, plan=PLAN, store=store)
    assert store.versions("ann") == [1]


def test_unsure_words_are_no_ground_to_judge_by(tone_model, teacher, ann, monkeypatch):
    monkeypatch.setattr(learners, "UNSURE", 1.1)
    (one,) = enroll_untranscribed(tone_model, {"ann": ann}, decoder=teacher, options=OPTIONS).speakers
    assert one.record.decision == "source"
    assert "no word in these recordings is sure enough" in one.explanation


def test_too_few_recordings_keep_the_source_and_say_so(tone_model, teacher, ann):
    (one,) = enroll_untranscribed(tone_model, {"ann": ann[:2]}, decoder=teacher, options=OPTIONS).speakers
    assert one.record.decision == "source"
    assert "2 usable recordings are too few" in one.explanation


def test_a_recording_is_known_again_by_its_samples(work, tone_model, ann, teacher):
    one = learner(tone_model, ann, teacher)
    named = [digest(load_audio(clip.audio, tone_model.sample_rate).samples) for clip in ann]
    assert [example.digest for example in one.person.examples] == named
    full = tuple(ErrorCounts(0, 0, 0, 10, 4, 40) for _ in ann)
    better = Choice(one.person.settings[0], 1, 1.0, 1.0, replace_letters(full, 1), ())
    one.first.add(better, SpeakerBank(tone_model, create("input")).state(0))
    record = finish(work, one, full).record
    (told,) = heard_before(record, [""] * len(ann), named)
    assert f"{len(ann)} of {len(ann)} recordings" in told


def test_silence_and_missing_files_are_told_and_the_rest_is_used(tone_model, teacher, ann, tmp_path):
    silent = Utterance(tmp_path / "silent.wav", None, "ann")
    soundfile.write(silent.audio, torch.zeros(RATE).numpy(), RATE)
    missing = Utterance(tmp_path / "missing.wav", None, "ann")
    found = enroll_untranscribed(
        tone_model, {"ann": [*ann[:2], silent, missing], "nobody": [silent]}, decoder=teacher, options=OPTIONS
    )
    assert [one.record.utterances for one in found.speakers] == [2]
    assert {failure.item for failure in found.failed} == {str(silent.audio), str(missing.audio), "nobody"}


def test_long_recordings_are_cut(tone_model, ann, tmp_path, monkeypatch):
    path = tmp_path / "long.wav"
    parts = [torch.from_numpy(soundfile.read(clip.audio, dtype="float32")[0]) for clip in ann]
    soundfile.write(path, torch.cat(parts * 2).numpy(), RATE)
    whole = soundfile.info(path).duration
    monkeypatch.setattr(pseudo, "pieces", lambda *given: pieces(*given, everywhere))  # tones are no voice
    found = pseudo.cut_recordings(tone_model, [Utterance(path)]).usable
    assert len(found) > 1
    assert max(one.seconds for one in found) <= 20.0
    assert sum(one.seconds for one in found) == pytest.approx(whole, abs=1.0)
    known = digest(load_audio(path, tone_model.sample_rate).samples)
    assert {one.whole for one in found} == {known}
    split = split_of(found, [[0]], Past(), Start())
    assert split["digests"] == [found[0].digest, known, *(one.digest for one in found[1:])]
    monkeypatch.setattr(pseudo, "pieces", lambda *given: pieces(*given, lambda *asked: [(0, 5 * RATE)]))
    (warning,) = pseudo.cut_recordings(tone_model, [Utterance(path)]).warnings
    assert "do not seem to be speech" in warning
    assert "files of 20 seconds or less are heard whole" in warning
    monkeypatch.setattr(pseudo, "pieces", lambda *given: [])
    (failure,) = pseudo.cut_recordings(tone_model, [Utterance(path)]).failed
    assert "nobody speaks" in failure.reason


def test_what_was_learned_from_transcripts_is_not_replaced(tone_model, teacher, ann, store):
    assert store_speaker(store, tone_model, "ann", "input").transcribed
    found = enroll_untranscribed(
        tone_model, {"ann": ann}, decoder=teacher, options=OPTIONS, plan=PLAN, store=store
    )
    assert found.speakers == ()
    assert "learned from transcripts and stays in use" in found.warnings[0]
    assert store.versions("ann") == [1]


def test_a_later_one_replaces_an_earlier_one_only_with_more_speech(work, tone_model, ann, teacher, store):
    one = learner(tone_model, ann, teacher)
    missed = tuple(agreement(heard, "") for heard in one.heard)
    one.first.seen = [Choice(Setting("input"), 1, 1.0, 1.0, tuple(agreement(h, h.text) for h in one.heard), ())]
    one.first.states = [SpeakerBank(tone_model, create("input")).state(0)]
    enrolled = heard_gate.finish(work, one, missed)
    assert enrolled.record.decision == "adapted"
    assert untranscribed._unless_less(store, enrolled) is enrolled
    store.save(enrolled.record, enrolled.state)
    again = untranscribed._unless_less(store, enrolled)
    assert (again.stays, again.record.version) == (1, 1)
    assert "version 1 stays in use" in again.explanation
    more = replace(enrolled, record=replace(enrolled.record, seconds=enrolled.record.seconds + 1))
    assert untranscribed._unless_less(store, more) is more


def test_a_damaged_vocabulary_costs_its_help_and_nothing_else(tone_model, store):
    store_speaker(store, tone_model, "ann", "input")
    store.set_vocabulary("ann", ["abcd"])
    next(store.root.rglob("vocabulary.json")).write_text("{")
    warnings = []
    assert pseudo.phrases_of(store, "ann", warnings) == ()
    assert "vocabulary.json" in warnings[0]


def test_without_a_language_model_there_is_nothing_to_judge_by(tone_model, ann):
    with pytest.raises(UsageError, match="comes without a language model"):
        enroll_untranscribed(tone_model, {"ann": ann})
    with pytest.raises(UsageError, match="needs beam search with a language model"):
        enroll_untranscribed(tone_model, {"ann": ann}, decoder=Decoder(tone_model.tokens, 0.04))


def test_words_count_by_their_confidence_and_unsure_or_added_ones_do_not():
    heard = Heard((Word("ab", 0, 1, 0.9), Word("cde", 1, 2, 0.5), Word("e", 2, 3, 0.2), Word("da", 3, 4, 1.0)))
    same = agreement(heard, "ab cde e da")
    assert (same.errors, same.words, same.character_errors, same.characters) == (0, 24, 0, 53)
    other = agreement(heard, "ab e d da bad")
    assert (other.words, other.characters, other.insertions) == (24, 53, 0)
    assert (other.errors, other.character_errors) == (5, 15)
    assert agreement(heard, "").errors == 24
    assert agreement(Heard(()), "ab").words == 0


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"steps": 0}, {"rate": 0.0}, {"step_seconds": 0.0}, {"last": 1.5}, {"share": 2.0}]
)
def test_plans_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError):
        SelfTraining(**wrong)


def test_texts_are_chosen_among_by_what_the_first_half_hears(tone_model, ann, teacher):
    one = learner(tone_model, ann, teacher)
    first = self_train(tone_model, [one], OPTIONS, LONG, lambda share: None)
    learn_texts(tone_model, [one], first, teacher, OPTIONS, LONG, lambda share: None)
    expected = {}
    for row, fold in zip(one.rows, one.person.folds, strict=False):
        pairs = [(row, one.person.examples[index]) for index in fold]
        expected |= dict(zip(fold, pseudo.hear(tone_model, first, pairs, teacher, OPTIONS.training), strict=True))
    assert one.heard_again == tuple(expected[index] for index in range(len(one.person.examples)))
    assert all(len(choice.missed) == len(one.heard) for choice in one.second.seen)
    assert not any(choice.missed for choice in one.first.seen)


def test_the_last_candidate_is_used_unless_another_is_clearly_better():
    def choice(steps, strength, errors, missed=()):
        counts = tuple(ErrorCounts(0, 0, 0, 9, count, 9) for count in errors)
        return Choice(Setting("input"), steps, float(steps), strength, counts, (), missed=missed)

    full, half = choice(80, 1.0, [5, 5, 5], (3, 2, 3)), choice(80, 0.5, [1, 1, 1], (3, 3, 3))
    better = choice(40, 1.0, [5, 5, 5], (1, 0, 1))
    assert prefer_clearly([full, half], range(3)) is full
    assert prefer_clearly([full, half, better], range(3)) is better
