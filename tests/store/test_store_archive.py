"""Export and import, and archives that want to do harm."""

from __future__ import annotations

import json
import os
import random
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asradapt.errors import InvalidSpeakerName, StoreError
from asradapt.store import SpeakerRecord, SpeakerStore

FILES = ("speaker.json", "adaptation.safetensors")


@pytest.fixture
def exported(store: SpeakerStore, record: SpeakerRecord, tmp_path: Path) -> Path:
    """The archive of `ann`, who is no longer in the store."""
    store.save(record, {"a": torch.arange(4.0)})
    path = store.export("ann", tmp_path / "ann.zip")
    store.remove("ann")
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def refused(store: SpeakerStore, path: Path, said: str) -> None:
    before = sorted(store.root.rglob("*"))
    with pytest.raises(StoreError, match=said):
        store.import_(path)
    assert sorted(store.root.rglob("*")) == before
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name, "store"]


# Export


def test_an_archive_holds_exactly_the_two_files(store: SpeakerStore, exported: Path) -> None:
    assert sorted(members(exported)) == sorted(FILES)
    assert sorted(entry.name for entry in exported.parent.iterdir()) == ["ann.zip", "store"]


def test_the_same_speaker_gives_the_same_archive(store: SpeakerStore, exported: Path) -> None:
    first = exported.read_bytes()
    store.import_(exported)
    assert store.export("ann", exported, force=True).read_bytes() == first


def test_an_existing_file_is_replaced_only_by_force(
    store: SpeakerStore, record: SpeakerRecord, tmp_path: Path
) -> None:
    store.save(record, {"a": torch.ones(1)})
    target = tmp_path / "ann.zip"
    target.write_text("precious")
    with pytest.raises(StoreError, match="exists and is left as it is"):
        store.export("ann", target)
    with pytest.raises(StoreError, match="is no exported speaker and is left as it is"):
        store.export("ann", target, force=True)
    assert target.read_text() == "precious"
    rewrite(target, {"letter.docx": b"precious"})
    with pytest.raises(StoreError, match="is no exported speaker and is left as it is"):
        store.export("ann", target, force=True)
    rewrite(target, {"speaker.json": b"of before"})
    with pytest.raises(StoreError, match="force replacing it"):
        store.export("ann", target)
    store.export("ann", target, force=True)
    assert sorted(members(target)) == sorted(FILES)


def test_a_failed_export_leaves_the_old_file(
    store: SpeakerStore, record: SpeakerRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(record, {"a": torch.ones(1)})
    target = tmp_path / "ann.zip"
    rewrite(target, {"speaker.json": b"precious"})
    before = target.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot write .*ann.zip: No space left"):
        store.export("ann", target, force=True)
    assert target.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["ann.zip", "store"]
    with pytest.raises(StoreError, match=r"cannot write .*: No such file"):
        store.export("ann", tmp_path / "nowhere" / "ann.zip")


# Import


def test_an_imported_speaker_is_the_exported_one(
    store: SpeakerStore, exported: Path, record: SpeakerRecord
) -> None:
    imported = store.import_(exported)
    assert replace(imported, version=0, sha256="") == record
    assert torch.equal(store.load("ann").tensors["a"], torch.arange(4.0))


def test_a_speaker_who_keeps_the_source_travels_too(
    store: SpeakerStore, kept: SpeakerRecord, tmp_path: Path
) -> None:
    store.save(kept, {})
    other = SpeakerStore(tmp_path / "other")
    assert other.import_(store.export("ann", tmp_path / "ann.zip")).decision == "source"
    assert other.load("ann").tensors == {}


def test_import_under_another_name(store: SpeakerStore, exported: Path) -> None:
    assert store.import_(exported, "bob").speaker == "bob"
    assert store.speakers() == ["bob"]
    assert store.load("bob").record.speaker == "bob"
    with pytest.raises(InvalidSpeakerName):
        store.import_(exported, "../bob")


def test_a_speaker_who_exists_gets_a_new_version_only_by_force(store: SpeakerStore, exported: Path) -> None:
    store.import_(exported)
    with pytest.raises(StoreError, match="speaker 'ann' exists"):
        store.import_(exported)
    assert store.import_(exported, force=True).version == 2
    assert store.versions("ann") == [1, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "abc"}, "no adaptation method named 'abc'; known: affine, "),
        ({"method": ""}, "no adaptation method named ''"),
        ({"options": {"lowrank": {"rank": -3}}}, "rank must lie from 1 to 512, got -3"),
        ({"options": {"lowrank": {"rank": "4"}}}, "rank must be int, got '4'"),
        ({"options": {"bottleneck": {}}}, "options for 'bottleneck', which is not part of it"),
        ({"utterances": -5, "seconds": 1e30}, "utterances is -5, .*; seconds is "),
        ({"created": "abc", "version": -5}, "created is 'abc', .*; version is -5"),
        ({"format_version": -5}, "format_version is -5"),
    ],
)
def test_an_unusable_record_is_not_put_in_front_even_by_force(
    store: SpeakerStore, record: SpeakerRecord, exported: Path, change: dict[str, object], said: str
) -> None:
    store.save(record, {"a": torch.ones(1)})
    files = members(exported)
    edited = json.loads(files["speaker.json"]) | change
    rewrite(exported, files | {"speaker.json": json.dumps(edited).encode()})
    before = sorted(store.root.rglob("*"))
    with pytest.raises(StoreError, match=f"ann.zip is not imported: .*{said}"):
        store.import_(exported, force=True)
    assert sorted(store.root.rglob("*")) == before
    assert store.current("ann") == 1


def test_an_edited_method_is_told_when_the_speaker_is_loaded(store: SpeakerStore, record: SpeakerRecord) -> None:
    store.save(record, {"a": torch.ones(1)})
    store.save(record, {"a": torch.ones(1)})
    path = store.root / "speakers" / "ann" / "versions" / "000001" / "speaker.json"
    path.write_text(path.read_text().replace("affine+lowrank", "abc"))
    with pytest.raises(StoreError, match="not loaded here: no adaptation method named 'abc'"):
        store.rollback("ann")
    assert store.current("ann") == 2
    with pytest.raises(StoreError, match="not loaded here: no adaptation method named 'abc'"):
        store.load("ann", 1)


def test_recompressed_archives_are_accepted(store: SpeakerStore, exported: Path) -> None:
    rewrite(exported, members(exported), zipfile.ZIP_DEFLATED)
    assert store.import_(exported).version == 1


def test_phrases_travel_with_the_speaker(store: SpeakerStore, exported: Path, tmp_path: Path) -> None:
    store.import_(exported)
    store.set_vocabulary("ann", ["Zoë Miller", "Kaliningrad"])
    again = store.export("ann", tmp_path / "with-phrases.zip")
    assert store.import_(again, name="anna").speaker == "anna"
    assert store.vocabulary("anna") == store.vocabulary("ann") == ("Kaliningrad", "Zoë Miller")
    store.set_vocabulary("anna", ["Riga"])
    store.import_(again, name="anna", force=True)
    assert store.vocabulary("anna") == ("Kaliningrad", "Riga", "Zoë Miller")


@pytest.mark.parametrize(
    "harm", [b"no json", b'{"format": 9, "phrases": []}', b'{"format": 1, "phrases": ["123"]}']
)
def test_damaged_phrases_are_refused_with_nothing_stored(store: SpeakerStore, exported: Path, harm: bytes) -> None:
    rewrite(exported, {**members(exported), "vocabulary.json": harm})
    refused(store, exported, "vocabulary.json cannot be used")


# Harm


@pytest.mark.parametrize(
    "extra", ["../evil", "/etc/evil", "C:\\evil", "evil/", "speaker.json/", "./speaker.json", "README"]
)
def test_other_members_are_refused(store: SpeakerStore, exported: Path, extra: str) -> None:
    rewrite(exported, {**members(exported), extra: b""})
    refused(store, exported, "must hold exactly speaker.json and adaptation.safetensors")
    contents = members(exported)
    contents[f"../{FILES[0]}"] = contents.pop(FILES[0])
    contents.pop(extra)
    rewrite(exported, contents)
    refused(store, exported, "must hold exactly")


@pytest.mark.parametrize("missing", FILES)
def test_missing_members_are_refused(store: SpeakerStore, exported: Path, missing: str) -> None:
    contents = members(exported)
    del contents[missing]
    rewrite(exported, contents)
    refused(store, exported, "must hold exactly")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_appear_twice_are_refused(store: SpeakerStore, exported: Path) -> None:
    with zipfile.ZipFile(exported, "a") as archive:
        archive.writestr(FILES[0], b"{}")
    refused(store, exported, "must hold exactly")


def test_bombs_are_refused(store: SpeakerStore, exported: Path) -> None:
    bomb = {**members(exported), FILES[1]: bytes(8 * 1024**2)}
    rewrite(exported, bomb, zipfile.ZIP_DEFLATED)
    refused(store, exported, "expands 100 times or more")
    rewrite(exported, {**members(exported), FILES[0]: b" " * (17 * 1024**2)})
    refused(store, exported, "speaker.json has 17825792 bytes, the limit is 16777216")


def test_a_size_that_lies_is_refused(store: SpeakerStore, exported: Path) -> None:
    size = len(members(exported)[FILES[1]])
    honest, lie = size.to_bytes(4, "little"), (size - 1).to_bytes(4, "little")
    exported.write_bytes(exported.read_bytes().replace(honest * 2, lie * 2))
    refused(store, exported, "ann.zip is not")


def test_links_are_refused(store: SpeakerStore, exported: Path) -> None:
    contents = members(exported)
    link = zipfile.ZipInfo(FILES[1])
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(exported, "w") as archive:
        archive.writestr(FILES[0], contents[FILES[0]])
        archive.writestr(link, "/etc/passwd")
    refused(store, exported, "adaptation.safetensors is a link")


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(store: SpeakerStore, exported: Path, compression: int) -> None:
    rewrite(exported, members(exported), compression)
    refused(store, exported, "is compressed by method")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (FILES[0], b"{}", "speaker.json is damaged: missing keys"),
        (FILES[0], b"\x00", "speaker.json is not JSON"),
        (FILES[1], b"", "adaptation.safetensors .* has changed"),
    ],
)
def test_damaged_contents_are_refused(
    store: SpeakerStore, exported: Path, file: str, content: bytes, said: str
) -> None:
    rewrite(exported, {**members(exported), file: content})
    refused(store, exported, said)


def test_a_name_that_leaves_the_store_is_refused(
    store: SpeakerStore, exported: Path, record: SpeakerRecord
) -> None:
    contents = members(exported)
    contents[FILES[0]] = contents[FILES[0]].replace(b'"ann"', b'"../ann"')
    rewrite(exported, contents)
    refused(store, exported, r"'../ann' contains '/'.*give another name")
    assert store.import_(exported, "ann").speaker == "ann"


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_zip_is_refused(store: SpeakerStore, exported: Path, content: bytes) -> None:
    exported.write_bytes(content)
    refused(store, exported, "is not")


def test_a_missing_archive(store: SpeakerStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot read .*nowhere.zip: No such file"):
        store.import_(tmp_path / "nowhere.zip")
    with pytest.raises(StoreError, match=r"cannot read"):
        store.import_(tmp_path)


def test_random_damage_is_an_error_of_the_store_or_harmless(
    store: SpeakerStore, exported: Path, record: SpeakerRecord
) -> None:
    generator, whole = random.Random(0), exported.read_bytes()
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(generator.choice([1, 1, 4])):
            data[generator.randrange(len(data))] = generator.randrange(256)
        exported.write_bytes(data)
        try:
            imported = store.import_(exported, "ann", force=True)
        except StoreError:
            continue
        assert imported.source == record.source
        assert torch.equal(store.load("ann").tensors["a"], torch.arange(4.0))
