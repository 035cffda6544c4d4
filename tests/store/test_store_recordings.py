"""Recordings that people agreed to keep: stored once, removed when asked, checked when they are imported."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from asradapt.errors import DamagedSpeaker, StoreError
from asradapt.pcm import digest, to_integers, to_samples
from asradapt.store import SpeakerRecord, SpeakerStore
from asradapt.store.archive_audio import decode_audio
from asradapt.store.recordings import NewRecording


def noise(seed: int, seconds: float = 0.5) -> NewRecording:
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)
    return NewRecording(to_integers(samples), 16_000, f"text {seed}", digest(samples))


@pytest.fixture
def ann(store: SpeakerStore, record: SpeakerRecord) -> SpeakerStore:
    """A store with `ann`, two of whose recordings are kept."""
    store.save(record, {"a": torch.arange(4.0)})
    store.recordings("ann").add([noise(1), noise(2)])
    return store


def test_integers_keep_their_digest() -> None:
    samples = to_samples(noise(3).samples)
    assert (to_integers(samples) == noise(3).samples).all()
    assert digest(samples) == noise(3).digest
    assert to_integers(np.array([-2.0, 2.0], np.float32)).tolist() == [-32768, 32767]


def test_without_agreement_nothing_is_kept_and_nothing_written(store: SpeakerStore, record: SpeakerRecord) -> None:
    store.save(record, {"a": torch.arange(4.0)})
    shelf = store.recordings("ann")
    assert not shelf.agreed
    assert shelf.kept().recordings == ()
    assert shelf.files() == {}
    assert not shelf.path.exists()


def test_what_is_kept_comes_back_as_it_was_and_is_stored_once(ann: SpeakerStore) -> None:
    shelf = ann.recordings("ann")
    again = NewRecording(noise(1).samples, 16_000, "another text", noise(1).digest)
    kept = shelf.add([again])
    assert [one.text for one in kept.recordings] == ["another text", "text 2"]
    assert shelf.kept() == kept
    assert (shelf.samples(kept.recordings[0]) == noise(1).samples).all()
    assert len(list(shelf.path.glob("*.flac"))) == 2
    assert kept.seconds == 1.0
    assert kept.bytes == sum(path.stat().st_size for path in shelf.path.glob("*.flac"))


def test_forgetting_deletes_recordings_and_agreement_and_nothing_else(ann: SpeakerStore) -> None:
    assert ann.recordings("ann").forget() == 2
    assert not ann.recordings("ann").agreed
    assert not list(ann.root.rglob("*.flac"))
    assert ann.load("ann").record.version == 1


def test_removing_the_speaker_removes_the_recordings(ann: SpeakerStore) -> None:
    ann.remove("ann")
    assert not list(ann.root.rglob("*.flac"))


def test_what_a_kill_left_behind_goes_with_the_next_addition(ann: SpeakerStore) -> None:
    shelf = ann.recordings("ann")
    stray = shelf.path / f"{'0' * 64}.flac"
    stray.write_bytes(b"half")
    shelf.add([noise(3)])
    assert not stray.exists()
    assert len(shelf.kept().recordings) == 3


def test_too_many_are_refused_and_what_was_kept_stays(ann: SpeakerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asradapt.store.recordings.MOST_RECORDINGS", 2)
    with pytest.raises(StoreError, match="forget-audio"):
        ann.recordings("ann").add([noise(3)])
    assert len(ann.recordings("ann").kept().recordings) == 2


def test_a_changed_recording_is_noticed(ann: SpeakerStore) -> None:
    shelf = ann.recordings("ann")
    one, two = shelf.kept().recordings
    (shelf.path / f"{one.digest}.flac").write_bytes((shelf.path / f"{two.digest}.flac").read_bytes())
    with pytest.raises(DamagedSpeaker, match=r"bytes|changed"):
        shelf.samples(one)


def test_a_damaged_list_is_an_error_that_says_what_to_do(ann: SpeakerStore) -> None:
    shelf = ann.recordings("ann")
    (shelf.path / "kept.json").write_text('{"format": 1, "agreed": "x", "recordings": [{"digest": "../up"}]}')
    with pytest.raises(DamagedSpeaker, match="forget-audio"):
        shelf.kept()
    assert shelf.forget() == 2  # whether the list can be read or not
    assert not shelf.path.exists()


def members_of(path: Path) -> dict[str, bytes]:
    """What an archive holds."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_export_leaves_the_audio_out_unless_asked(ann: SpeakerStore, tmp_path: Path) -> None:
    with zipfile.ZipFile(ann.export("ann", tmp_path / "plain.zip")) as archive:
        assert len(archive.namelist()) == 2
    other = SpeakerStore(tmp_path / "other")
    other.import_(ann.export("ann", tmp_path / "audio.zip", with_audio=True))
    before, after = ann.recordings("ann").kept(), other.recordings("ann").kept()
    assert [(one.digest, one.text) for one in after.recordings] == [
        (one.digest, one.text) for one in before.recordings
    ]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("swap", "bytes|changed"),
        ("missing", "1 of them are missing"),
        ("name", "must hold exactly"),
        ("list", "without recordings/kept.json"),
        ("path", "is no sha256"),
        ("long", "allowed are up to 60 s"),
        ("wav", "cannot be decoded"),
    ],
)
def test_archives_that_want_to_do_harm_are_refused(
    ann: SpeakerStore, tmp_path: Path, harm: str, said: str
) -> None:
    path = ann.export("ann", tmp_path / "ann.zip", with_audio=True)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    one, two = (name for name in files if name.endswith(".flac"))
    listed = json.loads(files["recordings/kept.json"])
    entry = listed["recordings"][0]
    if harm == "swap":
        files[one] = files[two]
    elif harm == "missing":
        del files[one]
    elif harm == "name":
        files["recordings/../../evil.flac"] = files[one]
    elif harm == "list":
        del files["recordings/kept.json"]
    elif harm == "path":
        entry["digest"] = "../../evil"
    elif harm == "long":
        entry["seconds"] = 1e9
    else:
        files[one] = b"RIFF" + files[one][4:]
    if "recordings/kept.json" in files:
        files["recordings/kept.json"] = json.dumps(listed).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    other = SpeakerStore(tmp_path / "other")
    with pytest.raises(StoreError, match=said):
        other.import_(path)
    assert not other.root.exists()


def test_an_import_with_too_many_recordings_stores_nothing(
    ann: SpeakerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ann.export("ann", tmp_path / "ann.zip", with_audio=True)
    ann.recordings("ann").forget()
    ann.recordings("ann").add([noise(3)])
    monkeypatch.setattr("asradapt.store.recordings.MOST_RECORDINGS", 2)
    with pytest.raises(StoreError, match="too many"):
        ann.import_(path, force=True)
    assert ann.versions("ann") == [1]
    assert len(ann.recordings("ann").kept().recordings) == 1


def test_a_small_archive_that_would_take_too_much_memory_is_refused(
    ann: SpeakerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ann.export("ann", tmp_path / "ann.zip", with_audio=True)
    monkeypatch.setattr("asradapt.store.flac.read_flac", lambda data, one: pytest.fail("it was decoded"))
    decoded = 2 * sum(round(one.seconds * one.sample_rate) for one in ann.recordings("ann").kept().recordings)
    monkeypatch.setattr("asradapt.store.archive_audio._MOST_TOTAL", decoded - 10)
    with pytest.raises(DamagedSpeaker, match="limit is"):
        decode_audio(members_of(path))


def test_an_agreement_that_was_taken_back_meanwhile_is_not_made_again(ann: SpeakerStore) -> None:
    shelf = ann.recordings("ann")
    shelf.forget()
    assert not shelf.add([noise(5)], agree=False).agreed
    assert not list(ann.root.rglob("*.flac"))
    assert not shelf.agreed
