"""`speaker.json` is read strictly, and an adaptation is refused on another source model."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import datetime

import pytest

from asradapt.errors import DamagedSpeaker, SourceMismatch, StoreError
from asradapt.store import SpeakerRecord, check_source, options_for
from asradapt.store.made_for import portable


def test_a_record_survives_json(record: SpeakerRecord) -> None:
    zoe = replace(record, speaker="Zoë", version=3, sha256="0" * 64)
    assert SpeakerRecord.from_json(zoe.to_json()) == zoe
    assert SpeakerRecord.from_json(zoe.to_json().encode()) == zoe
    assert "Zoë" in zoe.to_json()


def test_all_wrong_keys_and_values_are_named(record: SpeakerRecord) -> None:
    values = json.loads(record.to_json())
    del values["seed"], values["method"]
    values |= {"colour": 1, "size": 2, "utterances": "12", "seconds": True, "decision": "maybe", "gate": []}
    with pytest.raises(DamagedSpeaker) as caught:
        SpeakerRecord.from_json(json.dumps(values))
    for part in (
        "missing keys method, seed",
        "unknown keys 'colour', 'size'",
        "utterances is '12', not int",
        "seconds is True, not float",
        "decision is 'maybe', not one of adapted, source",
        "gate is [], not dict[str, object]",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "holds a list, not an object"),
        ("{}", "missing keys created, decision"),
        ('{"seconds": NaN}', "NaN is not a JSON number"),
        ('{"seconds": 1e999}', "seconds is inf, not float"),
        ('{"seconds": 1' + "0" * 400 + "}", "missing keys"),
        ('{"decision": "source", "method": "affine"}', "'source' does not go with method 'affine'"),
        ('{"decision": "adapted", "method": "identity"}', "'adapted' does not go with method 'identity'"),
        ('{"decision": "source"}', "'source' does not go with method None"),
        ('{"options": {"rank": 4}}', "options are not given by method"),
        ('{"options": {"lowrank": {"rank": 4}, "affine": []}}', "options are not given by method"),
        ('{"source": {"name": 1, "fingerprint": ""}}', "source is .* not dict"),
        ('{"utterances": -5}', "utterances is -5, not from 0 to "),
        ('{"seconds": 1e30}', r"seconds is 1e\+30, not from 0 to "),
        ('{"seconds": -1}', "seconds is -1, not from 0 to "),
        ('{"version": -5}', "version is -5, not from 0 to "),
        ('{"format_version": -5}', "format_version is -5, not from 1 to "),
        ('{"created": "abc"}', "created is 'abc', not a time such as 2026"),
        ('{"split": {"texts": "abc"}}', "split: texts is 'abc', which it cannot be"),
        ('{"split": {"digests": [1]}}', "split: digests is "),
        ('{"split": {"transcribed": 0}}', "split: transcribed is 0"),
        ('{"split": {"migrated": {"version": 1, "moved": 3}}}', "split: migrated is "),
        (
            '{"split": {"migrated": {"version": 1, "moved": [], "dropped": [], "source": 1}}}',
            "split: migrated is ",
        ),
        ('{"folds": {"before": {"wer": "x"}, "after": 3}}', "before is .*; folds: after is 3"),
        ('{"gate": {"partly": {"used": true, "pieces": "x"}}}', "gate: partly is"),
        ('{"gate": {"partly": {"used": true, "seconds": null}}}', "gate: partly is"),
        ('{"gate": {"confidence": 7, "tried": 1}}', "gate: confidence is 7, .*; gate: tried is 1"),
    ],
)
def test_damaged_json(text: str | bytes, said: str) -> None:
    with pytest.raises(DamagedSpeaker, match=said):
        SpeakerRecord.from_json(text)


def test_a_newer_format_asks_for_an_upgrade(record: SpeakerRecord) -> None:
    values = {**json.loads(record.to_json()), "format_version": 2, "new_key": 1}
    with pytest.raises(StoreError, match=r"format version 2, .* reads up to 1; upgrade asradapt") as caught:
        SpeakerRecord.from_json(json.dumps(values))
    assert not isinstance(caught.value, DamagedSpeaker)


def test_another_source_model_lists_every_difference(record: SpeakerRecord) -> None:
    check_source(record, "tiny", "f" * 64)
    with pytest.raises(SourceMismatch) as caught:
        check_source(record, "large", "0" * 64)
    assert str(caught.value) == (  # one sentence of both models, and the four ways out
        "speaker 'ann' belongs to another source model: tiny (fingerprint ffffffffffff), not large (000000000000)"
        ". Give the model tiny by --model, its file or folder; `asradapt speakers migrate ann` with the new "
        "--model takes the speaker along; or enrol the speaker again; `transcribe --source-only` leaves all "
        "adaptations out"
    )
    with pytest.raises(SourceMismatch) as caught:
        check_source(record, "tiny", "0" * 64)
    assert "tiny (fingerprint ffffffffffff), not tiny (000000000000). The model of that name has changed; " in str(
        caught.value
    )
    assert "enrol the speaker again" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "options", "leaves"),
    [
        ({"name": "tiny"}, "", {}),
        ({"name": "source_en"}, "--model source_en", {}),
        ({"name": "hf:small"}, "", {}),  # the last part of a folder's path: no name that --model takes
        ({"name": "hf:me/small"}, "--model hf:me/small", {}),
        ({"name": "hf:small", "model": "/home/ann b/small"}, "--model '/home/ann b/small'", {}),
        (
            {"name": "hf:me/mms", "model": "hf:me/mms", "language": "deu"},
            "--model hf:me/mms --language deu",
            {"model": "hf:me/mms", "language": "deu"},
        ),
    ],
)
def test_a_record_says_how_its_model_is_given_again_and_tells_nobody_else_a_path(record, source, options, leaves):
    said = replace(record, source={"fingerprint": "f" * 64, **source})
    said = SpeakerRecord.from_json(said.to_json())
    assert options_for(said) == options
    assert portable(said).source == {"name": source["name"], "fingerprint": "f" * 64, **leaves}
    if options:
        with pytest.raises(SourceMismatch, match=f"Give {re.escape(options)};"):
            check_source(said, "other", "0" * 64)


@pytest.mark.parametrize("folder", [True, False])
def test_a_model_that_was_written_after_the_enrolment_is_not_asked_for_again(record, tmp_path, folder):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"")
    (tmp_path / "later").mkdir()  # says nothing of the weights
    place = tmp_path if folder else weights
    said = replace(record, source={"name": "own", "fingerprint": "f" * 64, "model": str(place)})
    said = replace(said, created="2026-01-01T12:00:00+00:00")
    for written, advice in (
        ("11:00", f"Give --model {place};"),
        ("13:00", f"Give --model {place}, unless it is another one now: it was written after the enrolment;"),
    ):
        moment = datetime.fromisoformat(f"2026-01-01T{written}:00+00:00").timestamp()
        os.utime(weights, (moment, moment))
        with pytest.raises(SourceMismatch, match=advice):
            check_source(said, "own-merged", "0" * 64)
