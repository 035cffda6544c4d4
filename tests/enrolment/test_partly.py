"""Recordings without texts beside some with texts: heard by what has learned from these, and judged by them."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
import soundfile
import torch
from test_enroll import INPUT
from tones import RATE, WORDS, spoken

from asradapt.adaptation import SpeakerBank, create
from asradapt.audio import load_audio
from asradapt.decoding import GREEDY, Decoder, DecoderOptions, Heard, Word
from asradapt.enrolment import enroll, fitting, hearing, selection, untold
from asradapt.enrolment.compare import Comparison, compare, nothing_new
from asradapt.enrolment.forecast import Accepted
from asradapt.enrolment.gate import Verdict
from asradapt.enrolment.hearing import Teacher, learn_rest
from asradapt.enrolment.held import hold
from asradapt.enrolment.judging import Judged
from asradapt.enrolment.options import Setting
from asradapt.enrolment.people import auto_settings, gather, with_heard
from asradapt.enrolment.planning import cost, keeps_folds, plan_marks, portions
from asradapt.enrolment.pseudo import cut_recordings, hear
from asradapt.errors import StoreError, UsageError
from asradapt.recordings import duplicates
from asradapt.scoring import ErrorCounts, Interval
from asradapt.types import Utterance

SHIFT = 1.0  # bands: nothing that the source knows


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
def alike():
    """The tones of a word sound alike wherever it is said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "SAME", 0.8)
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


def test_folds_hear_at_the_strength_that_was_chosen_and_their_mean_too(tone_model):
    learned = {
        name: torch.randn(3, *t.shape[1:]) for name, t in SpeakerBank(tone_model, create("input")).tensors.items()
    }
    choice = selection.Choice(Setting("input"), 1, 1.0, 0.5, (), (), learned=learned)
    bank = hearing._folds(tone_model, choice, 3, INPUT)
    assert bank.speakers == 4
    for name, tensor in bank.tensors.items():
        torch.testing.assert_close(tensor[:3], 0.5 * learned[name])
        torch.testing.assert_close(tensor[3], 0.5 * learned[name].mean(0))


def test_no_fold_learns_a_sentence_that_it_holds_out(tone_model, ann, teacher):
    (person,) = gather(tone_model, {"ann": ann}, INPUT, None, [], [], {}, hears=True)
    said = (
        "the cat sat on the mat",
        "we went home by train",
        "the mat",
        *(f"other words number {n}" for n in "xyz"),
    )
    person = replace(
        person, examples=tuple(replace(e, text=t) for e, t in zip(person.examples, said, strict=True))
    )
    person = replace(person, folds=((0, 2), (1, 3), (4, 5)))
    texts = ("and the cat sad on a mat then", "we went home by train", "the mat", "nothing that was said")
    heard = [replace(e, text=t) for e, t in zip(person.untranscribed, texts, strict=False)]
    found = with_heard(person, [heard] * 4, INPUT)
    assert [[e.text for e in part] for part in found.heard] == [
        [texts[1], texts[2], texts[3]],  # two words are too few to tell
        [texts[0], texts[2], texts[3]],
        list(texts),
        list(texts),
    ]
    assert found.part(0)[-3:] == found.heard[0]


def test_how_long_and_by_what_is_learned_counts_what_was_heard(tone_model, ann, teacher):
    (person,) = gather(tone_model, {"ann": ann}, INPUT, None, [], [], {}, hears=True)
    person = replace(person, examples=tuple(replace(e, seconds=5.0) for e in person.examples))
    long = [replace(e, seconds=50.0) for e in person.untranscribed]
    auto = replace(INPUT, method="auto")
    more = with_heard(person, [long] * 4, auto)
    assert (more.seconds, more.learned_seconds) == (30.0, 430.0)
    assert more.settings == auto_settings(430.0) != auto_settings(30.0)
    assert more.to_hear == ()
    assert keeps_folds(person)
    assert not keeps_folds(more)
    choice = selection.Choice(more.settings[0], 10, 3.0, 1.0, (), ())
    assert fitting._final_steps(more, choice, auto) == 3 * portions(430.0, 14, auto)
    part = portions(420.0, 14, auto)  # of a fold
    assert cost(more, auto) == pytest.approx(3 * plan_marks(part, auto)[-1] * 420.0 / part)
    few = (ErrorCounts(2, 0, 0, 10, 4, 40),) * 14
    accepted = [Accepted(replace(one, examples=one.examples * 3), choice, few) for one in (person, more)]
    assert [one.enough for one in accepted] == [True, False]


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


def test_an_empty_text_is_no_recording_to_hear(tone_model, ann, teacher):
    """As of a segment whose text a person has deleted."""
    failed = []
    rows = [*ann[:7], replace(ann[7], text="")]
    (person,) = gather(tone_model, {"ann": rows}, INPUT, None, failed, [], {}, hears=True)
    assert len(person.untranscribed) == 1
    assert [one.item for one in failed] == [str(ann[7].audio)]


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


def test_recordings_that_cannot_be_used_and_copies_are_told(tone_model, ann, teacher, tmp_path):
    silent, copy, cut = (tmp_path / f"{name}.wav" for name in ("silent", "copy", "cut"))
    soundfile.write(silent, torch.zeros(RATE).numpy(), RATE)
    copy.write_bytes(ann[0].audio.read_bytes())
    soundfile.write(cut, 0.5 * load_audio(ann[1].audio, RATE).samples[80:], RATE)  # later and softer
    rows = [*ann[:7], *map(Utterance, (silent, copy, cut, tmp_path / "missing.wav"))]
    failed, warnings, screened = [], [], {}
    (person,) = gather(tone_model, {"ann": rows}, INPUT, None, failed, warnings, screened, hears=True)
    assert [one.utterance.audio for one in person.untranscribed] == [ann[6].audio]
    assert len(person.examples) == 6
    assert {one.item for one in failed} == {str(silent), str(tmp_path / "missing.wav")}
    for told, name, original in zip(warnings, ("copy", "cut"), ann, strict=False):
        assert f"{name}.wav: left out, the same sound as in {original.audio}, which has a text" in told
    assert len(warnings) == 2


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


@pytest.mark.parametrize(
    ("change", "wer", "letters", "accepted"),
    [
        ({}, 0.2, 4, True),  # level with what it was
        ({}, 0.19, 4, False),
        ({}, 0.2, 3, False),
        ({"earlier": {}}, 1.0, 40, False),  # it was judged by a part of what it has learned from
        ({"migrated": {}}, 1.0, 40, False),
        ({"texts": ["another"]}, 1.0, 40, False),
        ({"digests": ["another"]}, 1.0, 40, False),
    ],
)
def test_without_new_texts_the_folds_of_before_are_the_measure(
    tone_model, ann, teacher, store, change, wer, letters, accepted
):
    enroll(tone_model, {"ann": ann[:6]}, options=INPUT, store=store)
    (person,) = gather(tone_model, {"ann": ann}, INPUT, store, [], [], {}, hears=True)
    current = person.past.current
    rates = {"wer": wer, "cer": letters / 40}
    record = replace(current.record, folds={"after": rates}, split=current.record.split | change)
    past = replace(person.past, current=replace(current, record=record))
    learned = replace(person, past=past, heard=(person.untranscribed,) * 4)
    counts = (ErrorCounts(2, 0, 0, 10, 4, 40),) * 6
    verdict = Verdict(True, counts, counts, Interval(-0.1, -0.2, 0.0, 0.95, 0.01), 0.01, "said")
    found = compare(learned, verdict, {})
    assert found.accepted is accepted
    assert ("no worse" in found.explanation) is accepted
    alone = replace(learned, heard=(), untranscribed=())
    assert compare(alone, verdict, {}) == nothing_new(alone)


def test_spoilt_recordings_are_not_heard_unless_most_are(tone_model, ann):
    cut = cut_recordings(tone_model, ann[6:])
    bad = replace(cut.usable[0].quality, clipped=0.5)
    one, all_of = (
        replace(cut, usable=tuple(replace(e, quality=bad) if n < many else e for n, e in enumerate(cut.usable)))
        for many in (1, 8)
    )
    assert untold._good(one).usable == one.usable[1:]
    assert untold._good(one).warnings == (f"{ann[6].audio}: left out: {bad.problem}",)
    assert untold._good(all_of).usable == all_of.usable
    (told,) = untold._good(all_of).warnings
    assert told.startswith("8 of 8 recordings without texts are bad")


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


def judged(person, before, after, *, accepted, chance):
    words = Interval(-0.1, -0.2, 0.0, 0.95, 0.01)
    return Judged(person, before, None, Verdict(accepted, before, after, words, chance, "said"))


@pytest.mark.parametrize(
    ("first", "letters", "second", "chance", "against"),
    [
        (True, 3, True, 0.09, ""),  # the texts alone passed: no more errors is enough
        (True, 5, True, 0.001, "more letters are wrong with it"),
        (True, 3, False, 0.2, "chance alone does as well in 20.0% of cases, 10% are the most"),
        (False, 9, True, 0.04, ""),  # a second chance at the gate: in half as many cases by chance
        (
            False,
            3,
            True,
            0.06,
            "chance alone does as well in 6.0% of cases, 5% are the most",
        ),
        (False, 3, False, 0.01, "more words are wrong than by the source"),
    ],
)
def test_which_of_the_two_is_used(tone_model, ann, teacher, first, letters, second, chance, against):
    (person,) = gather(tone_model, {"ann": ann}, INPUT, None, [], [], {}, hears=True)
    before, four, more = ((ErrorCounts(0, 0, 0, 10, n, 40),) * 6 for n in (9, 4, letters))
    alone = judged(person, before, four, accepted=first, chance=0.05 if first else 0.5)
    learned, used = replace(person, heard=(person.untranscribed,) * 4), not against
    both = judged(learned, before, more, accepted=second, chance=chance)
    found = hearing._better(alone, both, 0.5, INPUT)
    assert found.partly.used is used
    assert found.person is (learned if used else person)
    assert found.after == (more if used else four)
    assert found.partly.reason.startswith(against)
    assert f"is {'learned too' if used else f'not learned: {against}'}" in str(found.partly)
    beside = Comparison(3, False, (), (), None, "worse than version 3")
    better = hearing._better(alone, replace(both, comparison=beside), 0.5, INPUT)
    assert better.partly.reason == "worse than version 3"


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
