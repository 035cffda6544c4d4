"""Whatever happens to the files of a speaker is found, named, and can be repaired."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from asradapt.errors import DamagedSpeaker, StoreError
from asradapt.store import SpeakerRecord, SpeakerStore


def tensors(value: float = 1.0) -> dict[str, Tensor]:
    return {"encoder.0/scale": torch.full((1, 4), value), "encoder.0/shift": torch.randn(1, 4).half()}


@pytest.fixture
def ann(store: SpeakerStore, record: SpeakerRecord) -> Path:
    """The folder of the only version of the only speaker."""
    store.save(record, tensors())
    return store.root / "speakers" / "ann" / "versions" / "000001"


def test_a_flipped_bit_is_found(store: SpeakerStore, ann: Path) -> None:
    file = ann / "adaptation.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamagedSpeaker, match=r"'ann': adaptation.safetensors .* has changed.*speakers remove ann"):
        store.load("ann")
    with pytest.raises(DamagedSpeaker):
        store.export("ann", store.root / "ann.zip")
    assert store.record("ann").speaker == "ann"


@pytest.mark.parametrize("name", ["adaptation.safetensors", "speaker.json"])
@pytest.mark.parametrize("kept", [0, 1, 8, 100, -1])
def test_a_truncated_file_is_found(store: SpeakerStore, ann: Path, name: str, kept: int) -> None:
    file = ann / name
    file.write_bytes(file.read_bytes().rstrip()[:kept])
    with pytest.raises(DamagedSpeaker, match=name):
        store.load("ann")


@pytest.mark.parametrize("name", ["adaptation.safetensors", "speaker.json"])
def test_a_missing_file_is_named(store: SpeakerStore, ann: Path, name: str) -> None:
    (ann / name).unlink()
    with pytest.raises(DamagedSpeaker, match=f"{name} is missing"):
        store.load("ann")


def test_matching_hash_does_not_excuse_nan_or_garbage(store: SpeakerStore, ann: Path) -> None:
    for data in (safetensors.torch.save({"a": torch.tensor(float("nan"))}), b"garbage", b"\xff" * 64):
        (ann / "adaptation.safetensors").write_bytes(data)
        record = replace(store.record("ann"), sha256=hashlib.sha256(data).hexdigest())
        (ann / "speaker.json").write_text(record.to_json())
        with pytest.raises(DamagedSpeaker):
            store.load("ann")


def test_a_folder_that_was_renamed_or_copied_by_hand_is_found(store: SpeakerStore, ann: Path) -> None:
    shutil.copytree(store.root / "speakers/ann", store.root / "speakers/bob")
    with pytest.raises(DamagedSpeaker, match=r"belongs to speaker 'ann' version 1, yet .* 'bob' version 1"):
        store.load("bob")
    shutil.copytree(ann, ann.with_name("000002"))
    with pytest.raises(DamagedSpeaker, match="folder of 'ann' version 2"):
        store.load("ann", 2)


@pytest.mark.parametrize("content", [b"", b"x", b"7\n", b"\xff"])
def test_a_damaged_current_file_is_repaired_by_rollback_or_save(
    store: SpeakerStore, ann: Path, record: SpeakerRecord, content: bytes
) -> None:
    current = store.root / "speakers/ann/current"
    current.write_bytes(content)
    with pytest.raises(DamagedSpeaker, match=r"current.*rollback ann"):
        store.load("ann")
    assert store.rollback("ann").version == store.load("ann").record.version == 1
    current.write_bytes(content)
    assert store.save(record, tensors()).version == store.load("ann").record.version == 2


def test_a_single_version_that_is_damaged_is_to_be_removed(store: SpeakerStore, record: SpeakerRecord) -> None:
    store.save(record, {"a": torch.ones(1)})
    (store.root / "speakers" / "ann" / "versions" / "000001" / "speaker.json").write_text("")
    with pytest.raises(
        DamagedSpeaker, match="No earlier version can be used: `asradapt speakers remove ann`, then enrol"
    ):
        store.load("ann")
    for _ in range(2):
        store.save(record, {"a": torch.ones(1)})
    (store.root / "speakers" / "ann" / "versions" / "000003" / "speaker.json").write_text("")
    with pytest.raises(DamagedSpeaker, match="Go back with `asradapt speakers rollback ann`"):
        store.record("ann")


def test_rollback_refuses_a_damaged_version(store: SpeakerStore, ann: Path, record: SpeakerRecord) -> None:
    store.save(record, tensors())
    (ann / "adaptation.safetensors").write_bytes(b"")
    with pytest.raises(DamagedSpeaker):
        store.rollback("ann")
    assert store.current("ann") == 2


def test_files_that_cannot_be_read_are_store_errors(store: SpeakerStore, ann: Path) -> None:
    (ann / "speaker.json").unlink()
    (ann / "speaker.json").mkdir()
    with pytest.raises(StoreError, match=r"cannot read .*speaker.json: Is a directory"):
        store.load("ann")
