"""A kill, a full disk or another process at any instant leaves a whole store."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asradapt.errors import StoreError, UnknownName
from asradapt.store import SpeakerRecord, SpeakerStore
from asradapt.store.lock import one_writer
from asradapt.store.versions import SpeakerFolder

SYSTEM_CALLS = ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir")


def files_of(root: Path) -> dict[str, bytes]:
    """The files of a store that count; those in `.tmp` are swept later, and the writers' lock is empty."""
    paths = [path for path in root.rglob("*") if path.is_file() and not {".tmp", ".lock"} & set(path.parts)]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def failing_at(step: int, fail: Callable[[], object], patch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Makes the given system call fail, counted from 0; the result tells whether it was reached."""
    count = -1

    def wrap(call: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                fail()
            return call(*args, **options)

        return counted

    for name in SYSTEM_CALLS:
        patch.setattr(os, name, wrap(getattr(os, name)))
    return lambda: count >= step


def interrupt() -> None:
    raise KeyboardInterrupt


def disk_full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("fail", [interrupt, disk_full])
@pytest.mark.parametrize("versions", [0, 1])
def test_an_interrupted_save_changes_nothing(
    store: SpeakerStore,
    record: SpeakerRecord,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[], object],
    versions: int,
) -> None:
    unchanged = 0
    for step in range(100):
        shutil.rmtree(store.root, ignore_errors=True)
        for _ in range(versions):
            store.save(record, {"a": torch.zeros(1)})
        before = files_of(store.root)
        failed = False
        with monkeypatch.context() as patch:
            reached = failing_at(step, fail, patch)
            try:
                store.save(record, {"a": torch.ones(1)})
            except (KeyboardInterrupt, StoreError):
                failed = True
        if not reached():
            break
        if "ann" in store and store.current("ann") > versions:
            assert store.load("ann").tensors["a"].item() == 1.0
            # Whoever is told of a failure by the disk must find the store as it was.
            assert not (failed and fail is disk_full)
        else:
            assert failed
            assert files_of(store.root) == before
            assert store.speakers() == ["ann"] * versions
            unchanged += 1
    assert unchanged >= 6
    assert step < 99


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the child uses no threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_save_leaves_the_previous_version_current(
    store: SpeakerStore, record: SpeakerRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for step in range(100):
        shutil.rmtree(store.root, ignore_errors=True)
        store.save(record, {"a": torch.zeros(1)})
        before = files_of(store.root)
        child = os.fork()
        if child == 0:
            try:
                failing_at(step, lambda: os._exit(9), monkeypatch)
                store.save(record, {"a": torch.ones(1)})
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        loaded = store.load("ann")
        outcomes.append(loaded.record.version)
        assert loaded.tensors["a"].item() == loaded.record.version - 1
        assert before.items() - files_of(store.root).items() <= {("speakers/ann/current", b"1\n")}
        for version in store.versions("ann"):  # a version that did not become current is complete all the same
            store.load("ann", version)
        assert store.save(record, {"a": torch.ones(1)}).version == store.current("ann")
        if os.waitstatus_to_exitcode(status) == 0:
            break
    assert outcomes == sorted(outcomes)
    assert outcomes.count(1) >= 6
    assert outcomes[-1] == 2
    assert step < 99


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the child uses no threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_first_save_leaves_the_speaker_unknown(store: SpeakerStore, record: SpeakerRecord) -> None:
    child = os.fork()
    if child == 0:
        os.replace = lambda *args, **options: os._exit(9)
        store.save(record, {"a": torch.ones(1)})
    os.waitpid(child, 0)
    assert store.speakers() == []
    assert "ann" not in store
    assert store.save(record, {"a": torch.ones(1)}).version == store.current("ann")


def test_a_full_disk_is_explained(
    store: SpeakerStore, record: SpeakerRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: disk_full())
        with pytest.raises(StoreError) as caught:
            store.save(record, {"a": torch.ones(1)})
    for part in (
        "cannot save speaker 'ann'",
        str(store.root),
        "No space left",
        "that changed nothing. Free some",
    ):
        assert part in str(caught.value)
    assert list((store.root / ".tmp").iterdir()) == []


def test_a_store_that_cannot_be_created_is_explained(tmp_path: Path, record: SpeakerRecord) -> None:
    (tmp_path / "file").write_text("in the way")
    store = SpeakerStore(tmp_path / "file")
    assert store.speakers() == []
    with pytest.raises(
        StoreError, match=r"'ann' in .*file.*: Not a directory; that changed nothing\. Choose a folder that you"
    ):
        store.save(record, {"a": torch.ones(1)})


def test_what_a_killed_writer_left_is_swept_by_the_next_one(store: SpeakerStore, record: SpeakerRecord) -> None:
    """The next one alone: whoever reads, or finishes a removal, may meet a writer at work."""
    temporary = store.root / ".tmp"
    for name in ("half", "gone-1"):
        (temporary / name).mkdir(parents=True)
        (temporary / name / "speaker.json").write_text("half")
    (temporary / "1-voice").write_text("samples")
    with pytest.raises(UnknownName):
        store.remove("bob")
    assert sorted(path.name for path in temporary.iterdir()) == ["1-voice", "half"]
    store.save(record, {"a": torch.ones(1)})
    assert list(temporary.iterdir()) == []


def test_concurrent_saves_of_one_speaker_lose_nothing(store: SpeakerStore, record: SpeakerRecord) -> None:
    saved: list[int] = []

    def save(value: int) -> None:
        for _ in range(2):
            saved.append(store.save(replace(record, seed=value), {"a": torch.full((1,), float(value))}).version)

    threads = [threading.Thread(target=save, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(saved) == store.versions("ann") == list(range(1, 9))
    assert store.current("ann") == 8
    for version in saved:
        loaded = store.load("ann", version)
        assert loaded.tensors["a"].item() == loaded.record.seed


def test_concurrent_changes_of_a_vocabulary_lose_no_phrase(store: SpeakerStore, record: SpeakerRecord) -> None:
    store.save(record, {"a": torch.ones(1)})
    words = ["alder", "birch", "cedar", "elm", "fir", "hazel", "maple", "oak"]

    def add(word: str) -> None:
        store.change_vocabulary("ann", lambda known: [*known, word])

    threads = [threading.Thread(target=add, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.vocabulary("ann") == tuple(words)


def test_a_newer_version_stays_current_when_an_older_save_ends_later(
    store: SpeakerStore, record: SpeakerRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, first = SpeakerFolder.make_current, threading.Event()

    def slow(folder: SpeakerFolder, number: int) -> None:
        if number == 1:  # has found that 1 is the newest, and is overtaken here where nobody keeps others out
            first.set()
            time.sleep(0.3)
        plain(folder, number)

    monkeypatch.setattr(SpeakerFolder, "make_current", slow)
    early = threading.Thread(target=store.save, args=(record, {"a": torch.ones(1)}))
    early.start()
    assert first.wait(10)
    store.save(record, {"a": torch.ones(1)})
    early.join()
    assert store.current("ann") == 2


def test_a_writer_that_does_not_end_is_told(tmp_path: Path) -> None:
    with (
        one_writer(tmp_path),
        pytest.raises(StoreError, match="another process has been writing"),
        one_writer(tmp_path, wait=0.05),
    ):
        pass
    with one_writer(tmp_path, wait=0.05):
        pass


def test_a_file_system_that_ignores_case_is_noticed(
    store: SpeakerStore, record: SpeakerRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(replace(record, speaker="Ann"), {"a": torch.ones(1)})
    (store.root / "speakers" / "ann").symlink_to("Ann")
    real = Path.iterdir
    hidden = lambda path: (entry for entry in real(path) if entry.name != "ann")  # noqa: E731
    monkeypatch.setattr(Path, "iterdir", hidden)
    with pytest.raises(StoreError, match="does not tell speaker 'ann' from 'Ann'"):
        store.save(record, {"a": torch.ones(1)})
    assert store.versions("Ann") == [1]
