"""What an adaptation does to other people's speech is measured, and only reported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from weakref import WeakKeyDictionary

import pytest
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.enrolment.retention import RetentionCheck, others
from asradapt.enrolment.updates import TrainingOptions
from asradapt.models.source import ConformerSource
from asradapt.types import Utterance


@pytest.fixture
def check(tone_model: ConformerSource, speak: Callable[..., list[Utterance]]) -> RetentionCheck:
    return RetentionCheck(tone_model, TrainingOptions(), speak("other", shift=0.0, utterances=6))


def test_the_identity_changes_nobody_and_a_ruinous_adaptation_is_seen(check: RetentionCheck) -> None:
    methods = create("head")
    same = SpeakerBank(check.model, methods).state(0)
    noise = torch.Generator().manual_seed(0)
    ruin = {name: 5 * torch.randn(tensor.shape, generator=noise) for name, tensor in same.items()}
    alike, ruined = check.measure(methods, [same, ruin])
    assert alike is not None
    assert ruined is not None
    assert alike.before == alike.after == ruined.before
    assert ruined.after.wer > 0.9 > ruined.before.wer
    assert str(ruined).startswith("other people's word error rate goes from")


def test_the_recordings_that_come_with_the_program_are_whole() -> None:
    assert len(others()) == 24
    assert len({one.text for one in others()}) == 24
    assert all(one.audio.is_file() for one in others())


def test_a_model_that_writes_none_of_the_texts_measures_nothing(tone_model: ConformerSource) -> None:
    check = RetentionCheck(tone_model, TrainingOptions())
    methods = create("affine")
    assert check.measure(methods, [SpeakerBank(tone_model, methods).state(0)]) == [None]


def test_enrolment_reports_it(tone_model, speak, store, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = tuple(speak("other", shift=0.0, utterances=6))
    module = sys.modules["asradapt.enrolment.enroll"]
    monkeypatch.setattr(module, "RetentionCheck", lambda m, o: RetentionCheck(m, o, spoken))
    people = {"ann": speak("ann", shift=1.0, utterances=12), "bob": speak("bob", shift=0.0, utterances=6)}
    options = EnrolmentOptions(method="input", rates=(10.0,), passes=20, checkpoints=2)
    result = enroll(tone_model, people, options=options, store=store)
    ann, bob = result.speakers
    assert ann.record.decision == "adapted"
    assert ann.retention is not None
    assert store.record("ann").gate["retention"] == ann.as_dict()["retention"] == ann.retention.as_dict()
    assert bob.record.decision == "source"
    assert bob.as_dict()["retention"] is None


def test_what_comes_with_the_program_is_read_once_for_a_model(
    tone_model: ConformerSource, speak: Callable[..., list[Utterance]], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, given = sys.modules[RetentionCheck.__module__], tuple(speak("other", shift=0.0, utterances=3))
    read, prepare = [], module.prepare_examples
    monkeypatch.setattr(module, "others", lambda: given)
    monkeypatch.setattr(module, "_HEARD", WeakKeyDictionary())
    monkeypatch.setattr(module, "prepare_examples", lambda *a: read.append(1) or prepare(*a))
    methods = create("head")
    state = SpeakerBank(tone_model, methods).state(0)
    checks = [RetentionCheck(tone_model, TrainingOptions(), given) for _ in range(2)]
    found = [check.measure(methods, [state]) for check in checks]
    assert found[0] == found[1] != [None]
    assert len(read) == 1
    RetentionCheck(tone_model, TrainingOptions(), speak("other", shift=0.0, utterances=3)).measure(
        methods, [state]
    )
    assert len(read) == 2
