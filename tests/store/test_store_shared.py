"""Several programs at one store, and what an interrupted one leaves to the next."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asradapt.enrolment.storing import stamps_of
from asradapt.errors import StoreError, UnknownName, UsageError
from asradapt.pcm import digest, to_integers
from asradapt.store import SpeakerRecord, SpeakerStore
from asradapt.store.kept import Kept
from asradapt.store.lock import one_writer
from asradapt.store.recordings import NewRecording, Recordings

TENSORS = {"lowrank/x/down": torch.ones(1, 2, 4)}


def new(seed: int = 0) -> NewRecording:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, 8000).astype(np.float32)
    return NewRecording(to_integers(samples), 16_000, f"sentence {seed}", digest(samples))


def rest(store: SpeakerStore) -> list[Path]:
    return [path for path in (store.root / ".tmp").rglob("*") if path.is_file()]


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("what", ["remove", "forget"])
@pytest.mark.parametrize("then", ["again", "a save"])
def test_a_removal_that_was_interrupted_is_finished_by_what_comes_next(store, record, monkeypatch, what, then):
    store.save(record, TENSORS)
    store.recordings("ann").add([new(1), new(2)])
    act = (lambda: store.remove("ann")) if what == "remove" else lambda: store.recordings("ann").forget()
    with monkeypatch.context() as patch:
        patch.setattr("asradapt.store.store.discard", interrupt)
        patch.setattr("asradapt.store.recordings.discard", interrupt)
        with pytest.raises(KeyboardInterrupt):
            act()
    assert len([path for path in rest(store) if path.suffix == ".flac"]) == 2
    if then == "a save":
        store.save(replace(record, speaker="bob"), TENSORS)
    elif what == "remove":
        with pytest.raises(UnknownName):
            store.remove("ann")
    else:
        assert store.recordings("ann").forget() == 0
    assert rest(store) == []


def test_what_somebody_else_stored_meanwhile_is_not_replaced(store, record):
    expected = stamps_of(store, ["ann"])["ann"]
    assert expected is None
    first = store.save(record, TENSORS, expected=expected)
    with pytest.raises(StoreError, match="another version of ann was stored meanwhile"):
        store.save(record, TENSORS, expected=expected)
    again = stamps_of(store, ["ann"])["ann"]
    assert store.save(record, TENSORS, expected=again).version == first.version + 1
    store.rollback("ann")
    with pytest.raises(StoreError, match="another version"):
        store.save(record, TENSORS, expected=again)
    now = store.version_stamp("ann")
    store.remove("ann")
    with pytest.raises(StoreError, match="ann was removed meanwhile: nothing is stored"):
        store.save(record, TENSORS, expected=now)
    assert store.speakers() == []
    assert store.save(record, TENSORS).version == 1


def test_no_version_is_current_that_was_dropped_meanwhile(store, record, monkeypatch):
    for _ in range(3):
        store.save(record, TENSORS)
    other = SpeakerStore(store.root)
    waited = store._alone

    def slow(task: str) -> object:
        for _ in range(10):
            other.save(record, TENSORS)
        return waited(task)

    monkeypatch.setattr(store, "_alone", slow)
    with pytest.raises(StoreError, match="version 2 of speaker 'ann' is gone meanwhile"):
        store.rollback("ann", 2)
    assert other.record("ann").version == 13


@pytest.fixture
def exported(store, record, tmp_path):
    store.save(record, TENSORS)
    store.recordings("ann").add([new(1)])
    return store.export("ann", tmp_path / "ann.zip", with_audio=True)


@pytest.fixture
def other(tmp_path):
    """Another store, with nobody in it."""
    return SpeakerStore(tmp_path / "other")


def test_an_import_is_whole_or_not_at_all(exported, other, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("asradapt.store.recordings.Recordings._write", full)
        with pytest.raises(StoreError, match="No space left"):
            other.import_(exported)
    assert other.speakers() == []
    other.import_(exported)
    assert len(other.recordings("ann").kept().recordings) == 1


def test_nobody_else_writes_while_an_import_is_stored(exported, other, monkeypatch):
    """So that what is taken back of one that fails is all of its own."""
    write, seen = Recordings._write, []

    def look(*arguments: object) -> object:
        with pytest.raises(StoreError, match="has been writing"), one_writer(other.root, wait=0.01):
            seen.append("got in")
        return write(*arguments)

    monkeypatch.setattr(Recordings, "_write", look)
    other.import_(exported)
    assert seen == []
    assert other.speakers() == ["ann"]


def test_an_import_over_what_a_kill_left_takes_back_its_own_alone(store, exported, monkeypatch):
    """A version that never became current, as a kill between the two leaves it."""
    (store.root / "speakers" / "ann" / "current").unlink()
    monkeypatch.setattr(Recordings, "add", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.import_(exported)
    assert store.speakers() == []
    assert store.versions("ann", damaged=True) == [1]


def test_an_import_that_is_interrupted_after_its_version_is_taken_back(exported, other, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("asradapt.store.versions.SpeakerFolder._prune", interrupt)
        with pytest.raises(KeyboardInterrupt):
            other.import_(exported)
    assert other.speakers() == []
    assert rest(other) == []


def test_of_two_imports_of_one_new_speaker_the_second_is_refused(exported, other, monkeypatch):
    """Both have asked whether the speaker is there before either has stored anything."""
    monkeypatch.setattr(SpeakerStore, "__contains__", lambda *_: False)
    other.import_(exported)
    before = sorted(path for path in other.root.rglob("*") if path.is_file())
    with pytest.raises(StoreError, match="speaker 'ann' exists"):
        other.import_(exported)
    assert sorted(path for path in other.root.rglob("*") if path.is_file()) == before


def test_no_recording_is_in_its_place_before_the_agreement(store, record, monkeypatch):
    """A kill leaves them in the temporary folder, which the next writer empties."""
    store.save(record, TENSORS)
    shelf, write, seen = store.recordings("ann"), Recordings._write, []

    def look(*arguments: object) -> object:
        seen.append(shelf.path.exists())
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Recordings, "_write", look)
        patch.setattr(type(shelf.path), "rename", interrupt)
        with pytest.raises(KeyboardInterrupt):
            shelf.add([new(1)])
    assert seen == [False]
    assert not shelf.path.exists()
    shelf.path.mkdir()
    (shelf.path / "left.flac").write_text("by a version before, that was killed")
    kept = shelf.add([new(1), new(2)])
    assert len(kept.recordings) == len(list(shelf.path.glob("*.flac"))) == 2
    assert rest(store) == []


@pytest.mark.parametrize("recordings", [1, 0])
def test_the_day_of_agreement_travels_along(store, record, other, tmp_path, recordings):
    store.save(record, TENSORS)
    shelf = store.recordings("ann")
    sent = [replace(new(one), added="2026-02-03T04:05:06+00:00") for one in range(recordings)]
    shelf.add(sent, agreed="2026-01-02T03:04:05+00:00")
    other.import_(store.export("ann", tmp_path / "ann.zip", with_audio=True))
    found: Kept = other.recordings("ann").kept()
    assert found == shelf.kept()
    assert found.agreed == "2026-01-02T03:04:05+00:00"
    assert [one.added for one in found.recordings] == ["2026-02-03T04:05:06+00:00"] * recordings


@pytest.mark.skipif(os.name == "nt", reason="file modes of POSIX")
def test_voices_are_for_their_owner_alone(store, record, tmp_path):
    before = os.umask(0o022)
    try:
        store.save(record, TENSORS)
        path = store.export("ann", tmp_path / "ann.zip")
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_seen_into_hides_nobody_else(store, record, monkeypatch):
    store.save(record, TENSORS)
    store.save(replace(record, speaker="bob"), TENSORS)
    real = Path.is_file

    def denied(path: Path) -> bool:
        if "ann" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "is_file", denied)
    assert store.speakers() == ["ann", "bob"]
    with pytest.raises(UnknownName, match="known: ann, bob"):
        store.record("nobody")
    with pytest.raises(StoreError, match="Permission denied"):
        store.record("ann")


def test_versions_without_a_current_one_are_found(store, record: SpeakerRecord):
    store.save(record, TENSORS)
    (store.root / "speakers" / "ann" / "current").unlink()
    assert (store.speakers(), store.without_current()) == ([], ["ann"])
    assert store.versions("ann", damaged=True) == [1]
    store.rollback("ann")
    assert (store.speakers(), store.without_current()) == (["ann"], [])


@pytest.mark.parametrize("root", ["~nosuchuser/store", None])
def test_a_user_without_a_home_is_told_to_name_the_store(monkeypatch, root):
    def homeless(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("ASRADAPT_HOME", raising=False)
    monkeypatch.setattr("asradapt.store.stored.platformdirs.user_data_dir", homeless)
    with pytest.raises(UsageError, match="--store or ASRADAPT_HOME"):
        SpeakerStore(Path(root) if root else None)
    assert SpeakerStore(Path("/somewhere")).root == Path("/somewhere")
