"""Recordings without texts beside some with texts: heard by what has learned from these, and judged by them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from test_enroll import INPUT
from tones import RATE, WORDS

from asradapt.audio import load_audio
from asradapt.decoding import GREEDY, Decoder, DecoderOptions, Heard, Word
from asradapt.enrolment import enroll, fitting, hearing, selection
from asradapt.enrolment.hearing import Teacher, learn_rest
from asradapt.enrolment.pseudo import hear
from asradapt.errors import StoreError, UsageError
from asradapt.held import hold

pytestmark = pytest.mark.usefixtures("alike")


@pytest.fixture(scope="module")
def done(tone_model, ann, teacher, alike, tmp_path_factory):
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
    assert one.partly.having == one.after
    assert one.partly.having.errors <= one.partly.without.errors < one.before.errors
    assert str(one.partly).startswith(
        "what was heard in 8 pieces of recordings without texts (15 s) is learned too (word"
    )
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


def test_every_fold_learns_what_it_has_heard_itself(tone_model, ann, teacher, monkeypatch):
    learned, found = [], []

    class Noting(selection.Trainer):
        def __init__(self, model, bank, tasks, options):
            super().__init__(model, bank, tasks, options)
            learned.append(tasks)

    def by_row(model, bank, pairs, *rest):
        return [Heard((Word(WORDS[row], 0.0, 0.1, 0.5),)) for row, _ in pairs]

    monkeypatch.setattr(selection, "Trainer", Noting)
    monkeypatch.setattr(hearing, "hear", by_row)
    monkeypatch.setattr(hearing, "_better", lambda alone, both, *rest: found.append(both.person) or alone)
    enroll(tone_model, {"ann": ann}, options=INPUT, teacher=teacher)
    (_, second), (person,) = learned, found
    heard = [{e.text for e in task.train if e.utterance.text is None} for task in second]
    assert heard == [{WORDS[0]}, {WORDS[1]}, {WORDS[2]}]
    assert {e.text for e in person.everything if e.utterance.text is None} == {WORDS[3]}  # what the mean has heard


def test_how_long_folds_learn_anew(tone_model, ann, teacher, monkeypatch):
    asked, judge = [], hearing.judge

    def noting(model, people, options, *rest):
        asked.append((options.passes, options.least_steps))
        return judge(model, people, replace(options, passes=1, least_steps=1), *rest)

    monkeypatch.setattr(hearing, "judge", noting)
    for passes, steps in ((40, 20), (3, 80)):
        enroll(tone_model, {"ann": ann}, options=replace(INPUT, passes=passes, least_steps=steps), teacher=teacher)
    assert asked == [(12, 20), (3, 80)]


def test_new_characters_may_be_heard(tone_model, ann, teacher, monkeypatch):
    asked = []
    monkeypatch.setattr(hearing, "characters_of", lambda options: "é")
    monkeypatch.setattr(hearing, "labelled", lambda *given: asked.append(given[3]))
    enroll(tone_model, {"ann": ann}, options=INPUT, teacher=teacher)
    assert set(asked) == {"é"}


def test_what_any_fold_has_heard_is_known_again(tone_model, ann, teacher, monkeypatch):
    """Also a recording in which the mean of the folds has heard nothing."""

    def all_but_one(model, bank, pairs, *rest):
        words = (Word("abcd", 0.0, 0.1, 0.5),)
        lost = pairs[-1][1]
        return [Heard(() if row == 3 and piece is lost else words) for row, piece in pairs]

    monkeypatch.setattr(hearing, "hear", all_but_one)
    monkeypatch.setattr(hearing, "_against", lambda *_: "")
    (one,) = enroll(tone_model, {"ann": ann}, options=INPUT, teacher=teacher).speakers
    assert one.partly.pieces == 7
    assert len(one.record.split["digests"]) == 14


def test_too_few_texts_to_judge_by_are_told(tone_model, ann, teacher):
    found = enroll(tone_model, {"ann": ann[4:]}, options=INPUT, teacher=teacher)
    assert any(
        told.startswith("ann: 8 recordings without a text not heard, as too few") for told in found.warnings
    )
    assert found.speakers[0].record.decision == "source"


def test_what_does_not_help_is_not_learned(tone_model, ann, teacher, monkeypatch):
    monkeypatch.setattr(hearing, "hear", wrong())
    (one,) = enroll(tone_model, {"ann": ann}, options=INPUT, teacher=teacher).speakers
    (alone,) = enroll(tone_model, {"ann": ann[:6]}, options=INPUT).speakers
    assert not one.partly.used
    assert "is not learned: " in str(one.partly)
    assert one.state.keys() == alone.state.keys()
    assert all(torch.equal(one.state[name], tensor) for name, tensor in alone.state.items())
    assert one.after == alone.after
    assert one.record.split == alone.record.split
    assert one.record.gate["partly"]["used"] is False


def test_a_fold_that_hears_nothing_teaches_nothing(tone_model, ann, teacher, monkeypatch):
    monkeypatch.setattr(hearing, "hear", wrong(few=1))
    found = enroll(tone_model, {"ann": ann}, options=INPUT, teacher=teacher)
    assert any("too little was heard" in told for told in found.warnings)
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


def test_kept_recordings_and_new_ones_without_texts(tone_model, ann, teacher, store, record):
    enroll(tone_model, {"ann": ann[:6]}, options=INPUT, store=store, keep_audio=True)
    (second,) = enroll(tone_model, {"ann": ann[6:]}, options=INPUT, store=store, teacher=teacher).speakers
    assert (second.record.version, second.record.utterances, second.partly.pieces) == (2, 6, 8)
    assert second.partly.used
    assert second.kept is not None
    assert len(second.kept.recordings) == 6  # those without texts are not kept
    told = enroll(tone_model, {"ann": ann[6:]}, options=INPUT, store=store, teacher=teacher)
    (again,) = told.speakers
    assert again.stays == 2  # it has learned from all of it
    assert not told.warnings
    assert "nothing new here" in again.explanation
    more = record("ann more", 0, 1)
    less = enroll(tone_model, {"ann": more}, options=INPUT, store=store, teacher=teacher).speakers[0]
    assert less.stays == 2  # which has heard more
    assert "not among these recordings and texts: give them all together" in less.partly.reason


def test_what_was_heard_is_not_lost_to_an_enrolment_from_fewer_recordings(
    tone_model, ann, teacher, store, monkeypatch
):
    """One text more, of a recording that was heard, and a text that was corrected: nothing new to compare by."""
    enroll(tone_model, {"ann": ann}, options=INPUT, store=store, teacher=teacher)
    written = replace(ann[6], text=ann[6].fields["said"])
    corrected = [replace(ann[0], text=ann[1].text), *ann[1:6]]
    monkeypatch.setattr(hearing, "hear", wrong())
    for rows, hears in (([*ann[:6], written], None), ([*ann[:6], written, *ann[7:]], teacher), (corrected, None)):
        one = enroll(tone_model, {"ann": rows}, options=INPUT, store=store, teacher=hears).speakers[0]
        assert one.stays == 1, one.explanation


def test_a_version_that_has_learned_from_more_texts_stays(tone_model, ann, teacher, store, record):
    everything = [replace(one, text=one.fields["said"]) for one in ann]
    enroll(tone_model, {"ann": everything}, options=INPUT, store=store)
    few = [*everything[:6], *record("ann more", 0, 2)]
    one = enroll(tone_model, {"ann": few}, options=INPUT, store=store, teacher=teacher).speakers[0]
    assert one.stays == 1
    assert "not among these recordings and texts: give them all together" in one.partly.reason


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
    assert not one.partly.used


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
