"""The rules of recordings without texts: what counts as one, what a fold may learn, and which outcome is used."""

from __future__ import annotations

from dataclasses import replace

import pytest
import soundfile
import torch
from test_enroll import INPUT
from tones import RATE

from asradapt.adaptation import SpeakerBank, create
from asradapt.audio import load_audio
from asradapt.enrolment import enroll, fitting, hearing, selection, untold
from asradapt.enrolment.compare import Comparison, compare, nothing_new
from asradapt.enrolment.forecast import Accepted
from asradapt.enrolment.gate import Verdict
from asradapt.enrolment.judging import Judged
from asradapt.enrolment.options import Setting
from asradapt.enrolment.people import auto_settings, gather, with_heard
from asradapt.enrolment.planning import cost, keeps_folds, plan_marks, portions
from asradapt.enrolment.pseudo import cut_recordings
from asradapt.scoring import ErrorCounts, Interval
from asradapt.types import Utterance

pytestmark = pytest.mark.usefixtures("alike")


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


def test_an_empty_text_is_no_recording_to_hear(tone_model, ann, teacher):
    """As of a segment whose text a person has deleted."""
    failed = []
    rows = [*ann[:7], replace(ann[7], text="")]
    (person,) = gather(tone_model, {"ann": rows}, INPUT, None, failed, [], {}, hears=True)
    assert len(person.untranscribed) == 1
    assert [one.item for one in failed] == [str(ann[7].audio)]


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
