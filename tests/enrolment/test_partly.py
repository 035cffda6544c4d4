"""Recordings without texts beside some with texts: heard by what has learned from these, and judged by them."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
import soundfile
import torch
from test_enroll import INPUT
from tones import RATE, spoken

from asradapt.audio import load_audio
from asradapt.decoding import GREEDY, Decoder, DecoderOptions, Heard, Word
from asradapt.enrolment import enroll, fitting, hearing, selection
from asradapt.enrolment.gate import Verdict
from asradapt.enrolment.hearing import Teacher, learn_rest
from asradapt.enrolment.held import hold
from asradapt.enrolment.judging import Judged
from asradapt.enrolment.people import gather
from asradapt.enrolment.planning import keeps_folds
from asradapt.enrolment.pseudo import hear
from asradapt.errors import StoreError, UsageError
from asradapt.language import read_arpa
from asradapt.scoring import ErrorCounts, Interval, total
from asradapt.types import Utterance

WORDS = ("abcd", "bdce", "caeb", "deac", "ebda", "acbe")
SHIFT = 1.0  # bands: nothing that the source knows


@pytest.fixture(scope="module")
def teacher(tone_model, tmp_path_factory):
    """Beam search with a language model that knows the six words."""
    path = tmp_path_factory.mktemp("language") / "words.arpa"
    grams = ["-99\t<s>", "-1.0\t</s>", "-9.0\t<unk>", *(f"-0.8\t{word}" for word in WORDS)]
    path.write_text("\n".join(["\\data\\", f"ngram 1={len(grams)}", "", "\\1-grams:", *grams, "", "\\end\\", ""]))
    return Decoder(tone_model.tokens, tone_model.frame_seconds, read_arpa(path), DecoderOptions())


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Records somebody whose tones are shifted: `record("ann", 6, 8)`, six with texts and eight without."""

    def make(name, told, untold, shift=SHIFT):
        folder, chance, found = tmp_path_factory.mktemp("people"), random.Random(name), []
        pairs = [f"{one} {other}" for one in WORDS for other in WORDS]
        for number, text in enumerate(chance.sample(pairs, told + untold)):
            path = folder / f"{name}{number}.wav"
            soundfile.write(path, spoken(text, shift, number).numpy(), RATE)
            found.append(Utterance(path, text if number < told else None, name, fields={"said": text}))
        return found

    return make


@pytest.fixture(scope="module", autouse=True)
def soon():
    """Tones are learned in fewer updates than speech."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hearing, "LEAST_STEPS", 30)
        yield


@pytest.fixture(scope="module")
def ann(record):
    return record("ann", 6, 8)


@pytest.fixture(scope="module")
def done(tone_model, ann, teacher, tmp_path_factory):
    """Ann enrolled from both, and the store."""
    from asradapt.store import SpeakerStore

    store = SpeakerStore(tmp_path_factory.mktemp("partly") / "store")
    return enroll(tone_model, {"ann": ann}, options=INPUT, store=store, teacher=teacher), store


def wrong(*, few=0):
    """A `hear` whose texts are all the same wrong letter, or nothing for the first so many."""

    def heard(model, bank, pairs, decoder, options, phrases=None, each=None):
        words = (Word("a", 0.0, 0.1, 0.5),)
        return [Heard(() if row < few else words) for row, _ in pairs]

    return heard


def test_who_has_texts_for_some_recordings_learns_from_all_of_them(done, ann):
    (one,), store = done[0].speakers, done[1]
    assert one.record.decision == "adapted", one.explanation
    assert one.partly is not None
    assert one.partly.used
    assert (one.partly.pieces, one.record.utterances) == (8, 6)
    assert one.partly.having == total(one.record.folds and [one.after])
    assert one.partly.having.errors <= one.partly.without.errors < one.before.errors
    assert "learned from what was heard in 8 pieces without texts" in one.explanation
    record = store.record("ann")
    assert record.transcribed
    assert record.gate["partly"] == json.loads(json.dumps(one.as_dict()["partly"]))
    assert record.split["texts"] == [row.text for row in ann[:6]]  # what was heard may be private talk
    assert len(record.split["digests"]) == 14
    assert one.forecast is None


def test_what_they_say_is_learned(tone_model, ann, teacher, monkeypatch):
    """Each fold has heard the recordings without texts itself, and learned nothing that it is judged on."""
    learned, fitted, banks = [], [], []

    class Noting(selection.Trainer):
        def __init__(self, model, bank, tasks, options):
            super().__init__(model, bank, tasks, options)
            learned.append(tasks)

    class Fitting(fitting.Trainer):
        def __init__(self, model, bank, tasks, options):
            super().__init__(model, bank, tasks, options)
            fitted.append(tasks)

    def noting(model, bank, pairs, *rest):
        banks.append((bank, pairs))
        return hear(model, bank, pairs, *rest)

    monkeypatch.setattr(selection, "Trainer", Noting)
    monkeypatch.setattr(fitting, "Trainer", Fitting)
    monkeypatch.setattr(hearing, "hear", noting)
    (one,) = enroll(tone_model, {"ann": ann}, options=replace(INPUT, fits=1), teacher=teacher).speakers
    first, second = learned
    said = {row.audio: row.fields["said"] for row in ann}
    folds = one.record.split["folds"]
    (bank, pairs), (last,) = banks[0], fitted
    assert bank.speakers == len(folds) + 1
    assert {row for row, _ in pairs} == set(range(len(folds) + 1))
    for tasks, pieces in ((first, 0), (second, 8)):
        for task, fold in zip(tasks, folds, strict=True):
            heard = [e for e in task.train if e.utterance.text is None]
            own = {e.text for e in task.train if e.utterance.text is not None}
            assert len(heard) == pieces
            assert own == {row.text for i, row in enumerate(ann[:6]) if i not in fold}
            right = [e.text == said[e.utterance.audio] for e in heard]
            assert sum(right) >= 0.7 * pieces  # the source hears none of it
    (task,) = last
    assert len(task.train) == 14
    (plain,) = {tuple(t.seed for t in tasks) for tasks in (first, second)}
    assert task.seed not in plain


def test_what_does_not_help_is_not_learned(tone_model, ann, teacher, monkeypatch):
    monkeypatch.setattr(hearing, "hear", wrong())
    (one,) = enroll(tone_model, {"ann": ann}, options=INPUT, teacher=teacher).speakers
    (alone,) = enroll(tone_model, {"ann": ann[:6]}, options=INPUT).speakers
    assert not one.partly.used
    assert "is not learned, as it does not help" in one.explanation
    assert one.state.keys() == alone.state.keys()
    assert all(torch.equal(one.state[name], tensor) for name, tensor in alone.state.items())
    assert one.after == alone.after
    assert one.record.split == alone.record.split
    assert one.record.gate["partly"]["used"] is False


def test_a_fold_that_hears_nothing_teaches_nothing(tone_model, ann, teacher, monkeypatch):
    monkeypatch.setattr(hearing, "hear", wrong(few=1))
    found = enroll(tone_model, {"ann": ann}, options=INPUT, teacher=teacher)
    assert any("no word was heard" in told for told in found.warnings)
    assert found.speakers[0].record.decision == "adapted"
    assert found.speakers[0].partly is None


def test_without_a_teacher_they_are_failures_as_before(tone_model, ann):
    found = enroll(tone_model, {"ann": ann}, options=INPUT)
    assert len(found.failed) == 8
    assert all(one.reason.startswith("the text is empty") for one in found.failed)
    assert found.speakers[0].partly is None


def test_people_with_and_without_such_recordings_in_one_job(tone_model, ann, teacher, record, done):
    bob = record("bob", 6, 0)
    found = enroll(tone_model, {"bob": bob, "ann": ann}, options=INPUT, teacher=teacher)
    assert [one.record.speaker for one in found.speakers] == ["bob", "ann"]
    assert found.speakers[0].partly is None
    (alone,) = done[0].speakers
    for name, tensor in alone.state.items():
        torch.testing.assert_close(found.speakers[1].state[name], tensor, rtol=0, atol=2e-3)


def test_who_has_no_text_at_all_is_told(tone_model, ann, teacher):
    found = enroll(tone_model, {"ann": ann[6:]}, options=INPUT, teacher=teacher)
    assert not found.speakers
    assert found.failed[-1].reason.startswith("no usable recording with a text")


def test_recordings_that_cannot_be_used_and_copies_are_told(tone_model, ann, teacher, tmp_path):
    silent, copy = tmp_path / "silent.wav", tmp_path / "copy.wav"
    soundfile.write(silent, torch.zeros(RATE).numpy(), RATE)
    copy.write_bytes(ann[0].audio.read_bytes())
    rows = [*ann[:7], Utterance(silent, "  "), Utterance(copy), Utterance(tmp_path / "missing.wav")]
    failed, warnings, screened = [], [], {}
    (person,) = gather(tone_model, {"ann": rows}, INPUT, None, failed, warnings, screened, hears=True)
    assert [one.utterance.audio for one in person.untranscribed] == [ann[6].audio]
    assert len(person.examples) == 6
    assert {one.item for one in failed} == {str(silent), str(tmp_path / "missing.wav")}
    (told,) = warnings
    assert "copy.wav" in told
    assert "used once, with its text" in told


def test_kept_recordings_and_new_ones_without_texts(tone_model, ann, teacher, store):
    enroll(tone_model, {"ann": ann[:6]}, options=INPUT, store=store, keep_audio=True)
    (second,) = enroll(tone_model, {"ann": ann[6:]}, options=INPUT, store=store, teacher=teacher).speakers
    assert (second.record.version, second.record.utterances, second.partly.pieces) == (2, 6, 8)
    assert second.partly.used
    assert second.kept is not None
    assert len(second.kept.recordings) == 6  # those without texts are not kept
    again = enroll(tone_model, {"ann": ann[6:]}, options=INPUT, store=store, teacher=teacher).speakers[0]
    assert again.stays == 2  # it has learned from all of it
    assert "nothing new here" in again.explanation


def test_pieces_of_longer_recordings_that_are_in_memory_are_heard(tone_model, ann, teacher):
    pieces = [hold(one.audio, None, "ann", load_audio(one.audio, RATE).samples, RATE) for one in ann[6:]]
    (one,) = enroll(tone_model, {"ann": [*ann[:6], *pieces]}, options=INPUT, teacher=teacher).speakers
    assert one.partly.pieces == 8
    assert one.partly.used


def test_a_version_stays_where_only_its_own_texts_come_again(tone_model, ann, teacher, store, monkeypatch):
    enroll(tone_model, {"ann": ann[:6]}, options=INPUT, store=store)
    monkeypatch.setattr(hearing, "hear", wrong())
    one = enroll(tone_model, {"ann": ann}, options=INPUT, store=store, teacher=teacher).speakers[0]
    assert one.stays == 1
    assert "nothing new here" in one.explanation
    assert "is not learned" in one.explanation


def judged(person, before, after, *, accepted, chance):
    words = Interval(-0.1, -0.2, 0.0, 0.95, 0.01)
    return Judged(person, before, None, Verdict(accepted, before, after, words, chance, "said"))


@pytest.mark.parametrize(
    ("first", "letters", "second", "chance", "used"),
    [
        (True, 3, True, 0.09, True),  # the texts alone passed: no more errors is enough
        (True, 5, True, 0.001, False),
        (True, 3, False, 0.2, False),
        (False, 9, True, 0.04, True),  # a second chance at the gate: in half as many cases by chance
        (False, 3, True, 0.06, False),
        (False, 3, False, 0.01, False),
    ],
)
def test_which_of_the_two_is_used(tone_model, ann, teacher, first, letters, second, chance, used):
    (person,) = gather(tone_model, {"ann": ann}, INPUT, None, [], [], {}, hears=True)
    before, four, more = ((ErrorCounts(0, 0, 0, 10, n, 40),) * 6 for n in (9, 4, letters))
    alone = judged(person, before, four, accepted=first, chance=0.05 if first else 0.5)
    learned = replace(person, heard=(person.untranscribed,) * 4, untranscribed=())
    both = judged(learned, before, more, accepted=second, chance=chance)
    found = hearing._better(alone, both, 0.5, INPUT)
    assert found.partly.used is used
    assert found.person is (learned if used else person)
    assert found.after == (more if used else four)
    assert str(found.partly).startswith("it has learned" if used else "what was heard in 8 pieces")


def test_with_much_speech_folds_that_have_heard_are_not_in_the_mean(tone_model, ann, teacher, monkeypatch):
    (person,) = gather(tone_model, {"ann": ann}, INPUT, None, [], [], {}, hears=True)
    assert keeps_folds(person)
    long = replace(person, examples=tuple(replace(e, seconds=60.0) for e in person.examples))
    choice = selection.Choice(person.settings[0], 1, 1.0, 1.0, (), (), learned={"input/x": torch.ones(3)})
    one = judged(long, (), (), accepted=True, chance=0.01)
    assert hearing._alone(replace(one, choice=choice)).choice.learned == {}
    assert hearing._alone(replace(one, person=person, choice=choice)).choice.learned


def test_phrases_of_the_person_help_to_hear(tone_model, ann, teacher, store, monkeypatch):
    enroll(tone_model, {"ann": ann[:6]}, options=INPUT, store=store)
    store.set_vocabulary("ann", ["abcd"])
    asked = []

    def noting(model, bank, pairs, decoder, options, phrases):
        asked.append(phrases)
        return wrong()(model, bank, pairs, decoder, options)

    monkeypatch.setattr(hearing, "hear", noting)
    enroll(tone_model, {"ann": ann}, options=INPUT, store=store, teacher=teacher, fresh=True)
    assert asked == [dict.fromkeys(range(4), ("abcd",))]

    def damaged(name):
        raise StoreError("ann: vocabulary.txt is damaged")

    monkeypatch.setattr(store, "vocabulary", damaged)
    found = enroll(tone_model, {"ann": ann}, options=INPUT, store=store, teacher=teacher, fresh=True)
    assert any("nobody's phrases help to hear ann" in told for told in found.warnings)


def test_what_does_not_go_with_a_teacher_is_refused_before_any_work(tone_model, ann, teacher):
    greedy = Decoder(tone_model.tokens, tone_model.frame_seconds, teacher.language, DecoderOptions(beams=GREEDY))
    nothing = Decoder(tone_model.tokens, tone_model.frame_seconds)
    for options, decoder, said in (
        (replace(INPUT, strict=True), teacher, "strict and budget"),
        (replace(INPUT, budget=30.0), teacher, "strict and budget"),
        (replace(INPUT, method="encoder"), teacher, "changes a whole encoder"),
        (INPUT, greedy, "beam search with a language model"),
        (INPUT, nothing, "beam search with a language model"),
    ):
        with pytest.raises(UsageError, match=said):
            enroll(tone_model, {"ann": ann}, options=options, teacher=decoder)


def test_progress_is_told(tone_model, ann, teacher):
    told = []
    enroll(tone_model, {"ann": ann}, options=INPUT, teacher=teacher, progress=lambda *one: told.append(one))
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert {"cross-validating", "learning what is heard", "fitting"} <= {stage for stage, _ in told}
    assert learn_rest(tone_model, [], Teacher(teacher), INPUT, lambda share: None, []) == []
