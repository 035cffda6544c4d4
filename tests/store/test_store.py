"""Saving, loading, versions and rollback."""

from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asradapt.errors import DamagedSpeaker, InvalidSpeakerName, StoreError, UnknownName
from asradapt.store import SpeakerRecord, SpeakerStore


def tensors(value: float = 1.0) -> dict[str, Tensor]:
    return {"encoder.0/scale": torch.full((1, 4), value), "encoder.0/shift": torch.randn(1, 4).half()}


@pytest.fixture
def ann(store: SpeakerStore, record: SpeakerRecord) -> Path:
    """The folder of the only version of the only speaker."""
    store.save(record, tensors())
    return store.root / "speakers" / "ann" / "versions" / "000001"


# Saving and loading


def test_what_is_saved_is_loaded_bit_for_bit(store: SpeakerStore, record: SpeakerRecord) -> None:
    saved_tensors = {
        **tensors(),
        "whole": torch.arange(3),
        "scalar": torch.tensor(-0.0),
        "empty": torch.zeros(0),
    }
    saved = store.save(record, saved_tensors)
    loaded = store.load("ann")
    assert loaded.record == saved == store.record("ann")
    assert (saved.version, len(saved.sha256)) == (1, 64)
    assert replace(saved, version=0, sha256="") == record
    assert loaded.tensors.keys() == saved_tensors.keys()
    for key, tensor in saved_tensors.items():
        assert loaded.tensors[key].dtype == tensor.dtype
        assert loaded.tensors[key].numpy().tobytes() == tensor.numpy().tobytes()


def test_tensors_that_share_memory_or_need_gradients_are_saved(store: SpeakerStore, record: SpeakerRecord) -> None:
    whole = torch.randn(4, 6, requires_grad=True)
    store.save(record, {"a": whole[:, ::2], "b": whole.T})
    assert torch.equal(store.load("ann").tensors["b"], whole.T)


def test_a_speaker_who_keeps_the_source_has_an_empty_adaptation(store: SpeakerStore, kept: SpeakerRecord) -> None:
    store.save(kept, {})
    assert store.load("ann").tensors == {}
    assert (store.root / "speakers/ann/versions/000001/adaptation.safetensors").is_file()


@pytest.mark.parametrize(
    ("changes", "given", "said"),
    [
        ({}, {"a": torch.tensor([1.0, float("nan")])}, "'a' holds NaN or infinity"),
        ({}, {"a": torch.tensor(float("inf")).half()}, "'a' holds NaN or infinity"),
        ({}, {}, "'adapted', yet there are no tensors"),
        ({"decision": "source", "method": "identity"}, {"a": torch.ones(1)}, "'source', yet there are 1 tensors"),
        ({"decision": "source"}, {}, "decision 'source' does not go with method 'affine.lowrank'"),
        ({"method": "identity"}, {"a": torch.ones(1)}, "decision 'adapted' does not go with method 'identity'"),
        ({"options": {"rank": 4}}, {"a": torch.ones(1)}, "options are not given by method"),
        ({"decision": "maybe"}, {"a": torch.ones(1)}, "decision is 'maybe'"),
        ({"seconds": float("nan")}, {"a": torch.ones(1)}, "cannot be written"),
        ({"options": {"lowrank": {"rank": object()}}}, {"a": torch.ones(1)}, "cannot be written"),
        ({"source": {"name": "x"}}, {"a": torch.ones(1)}, "not name and fingerprint"),
    ],
)
def test_what_cannot_be_loaded_is_not_saved(
    store: SpeakerStore, record: SpeakerRecord, changes: dict[str, Any], given: dict[str, Tensor], said: str
) -> None:
    with pytest.raises(StoreError, match=said):
        store.save(replace(record, **changes), given)
    assert not store.root.exists()


def test_an_empty_time_of_creation_is_filled_in(store: SpeakerStore, record: SpeakerRecord) -> None:
    created = datetime.fromisoformat(store.save(replace(record, created=""), tensors()).created)
    assert abs((datetime.now(UTC) - created).total_seconds()) < 60


def test_names_that_begin_alike_are_separate_speakers(store: SpeakerStore, record: SpeakerRecord) -> None:
    for value, name in enumerate(["ann", "anna", "Ann B", "Zoe\u0308"]):
        store.save(replace(record, speaker=name), {"a": torch.full((1,), float(value))})
    assert store.speakers() == ["ann", "Ann B", "anna", "Zo\u00eb"]
    store.remove("ann")
    assert ("ann" in store, "anna" in store, "Zoë" in store, "../anna" in store) == (False, True, True, False)
    assert store.load("anna").tensors["a"].item() == 1.0


def test_an_unknown_speaker_lists_the_known_ones(store: SpeakerStore, ann: Path) -> None:
    for ask in (store.load, store.record, store.versions, store.current, store.remove, store.rollback):
        with pytest.raises(UnknownName, match="no speaker named 'bob'; known: ann"):
            ask("bob")
        with pytest.raises(InvalidSpeakerName):
            ask("../ann")
    with pytest.raises(UnknownName):
        store.export("bob", store.root / "bob.zip")


def test_an_empty_store(store: SpeakerStore) -> None:
    assert store.speakers() == []
    with pytest.raises(UnknownName, match="known: none yet"):
        store.load("ann")
    assert not store.root.exists()


def test_the_root_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASRADAPT_HOME", str(tmp_path / "here"))
    assert SpeakerStore().root == tmp_path / "here"
    monkeypatch.setenv("ASRADAPT_HOME", "")
    assert SpeakerStore().root.name == "asradapt"


def test_importing_the_store_does_not_import_torch() -> None:
    command = "import asradapt.store, sys; sys.exit('torch' in sys.modules or 'safetensors' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


# Versions


def test_versions_and_rollback(store: SpeakerStore, record: SpeakerRecord) -> None:
    for value in (1.0, 2.0, 3.0):
        store.save(record, {"a": torch.full((1,), value)})
    assert (store.versions("ann"), store.current("ann")) == ([1, 2, 3], 3)
    assert store.load("ann", 2).tensors["a"].item() == 2.0
    assert store.rollback("ann").version == store.current("ann") == 2
    assert store.load("ann").tensors["a"].item() == 2.0
    assert store.rollback("ann", to=3).version == 3
    assert store.rollback("ann", to=1).version == 1
    with pytest.raises(StoreError, match="no earlier version to go back to; stored: 1, 2, 3"):
        store.rollback("ann")
    with pytest.raises(StoreError, match="there is no version 9; stored: 1, 2, 3"):
        store.rollback("ann", to=9)
    with pytest.raises(StoreError, match="there is no version 0"):
        store.load("ann", 0)
    assert store.save(record, tensors()).version == store.current("ann") == 4


def test_the_last_ten_versions_and_the_current_one_are_kept(store: SpeakerStore, kept: SpeakerRecord) -> None:
    for _ in range(12):
        store.save(kept, {})
    assert store.versions("ann") == list(range(3, 13))
    store.rollback("ann", 3)
    with pytest.raises(
        StoreError, match=r"version 2, which version 3 has replaced, is no longer stored; .* --to: 3, 4"
    ):
        store.rollback("ann")
    assert not any((store.root / ".tmp").iterdir())


def test_rollback_goes_to_the_version_that_was_replaced(store: SpeakerStore, kept: SpeakerRecord) -> None:
    for _ in range(2):
        store.save(kept, {})
    store.rollback("ann")
    assert store.save(kept, {}).version == 3
    assert store.rollback("ann").version == 1
    with pytest.raises(StoreError, match="no earlier version"):
        store.rollback("ann")
    store.rollback("ann", 3)
    (store.root / "speakers" / "ann" / "versions" / "000003" / "before").unlink()  # as stored by a version before
    assert store.rollback("ann").version == 2


def test_a_version_that_was_just_replaced_is_kept(store: SpeakerStore, kept: SpeakerRecord) -> None:
    for _ in range(10):
        store.save(kept, {})
    store.rollback("ann", 1)
    store.save(kept, {})
    assert store.versions("ann") == list(range(1, 12))
    assert store.rollback("ann").version == 1
    store.rollback("ann", 11)
    store.save(kept, {})
    assert store.versions("ann") == list(range(3, 13))


def test_the_advice_for_a_damaged_version_names_one_that_can_be_used(
    store: SpeakerStore, record: SpeakerRecord
) -> None:
    for _ in range(3):
        store.save(record, tensors())
    versions = store.root / "speakers" / "ann" / "versions"
    for number in (3, 2):
        (versions / f"{number:06d}" / "speaker.json").write_text("{")
    with pytest.raises(DamagedSpeaker, match="rollback ann --to 1`"):
        store.load("ann")
    with pytest.raises(DamagedSpeaker, match="rollback ann --to 1`"):
        store.rollback("ann")
    assert store.rollback("ann", 1).version == 1
    (versions / "000001" / "speaker.json").write_text("{")
    with pytest.raises(DamagedSpeaker, match="No earlier version can be used"):
        store.load("ann")


def test_failing_to_delete_old_versions_is_no_failed_save(
    store: SpeakerStore,
    kept: SpeakerRecord,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("asradapt.store.versions.KEPT_VERSIONS", 1)
    store.save(kept, {})
    store.save(kept, {})

    def refuse(path: Path, trash: Path) -> Path:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr("asradapt.store.versions.take_out", refuse)
    assert store.save(kept, {}).version == store.current("ann") == 3
    assert "cannot delete old versions" in caplog.text


def test_remove_leaves_nothing(store: SpeakerStore, ann: Path, record: SpeakerRecord) -> None:
    store.remove("ann")
    assert store.speakers() == []
    left = [path for path in store.root.rglob("*") if path.is_file()]
    assert [(path.name, path.stat().st_size) for path in left] == [(".lock", 0)]
    assert store.save(record, tensors()).version == 1
