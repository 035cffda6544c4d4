from __future__ import annotations

import pytest
from samples import store_speaker

from asradapt.errors import DamagedSpeaker, TextError, UnknownName
from asradapt.store import SpeakerStore
from asradapt.store.vocabulary import VOCABULARY_FILE


@pytest.fixture
def model(tiny_model):
    return tiny_model(kernel=5)


@pytest.fixture
def store(tmp_path, model):
    store = SpeakerStore(tmp_path / "store")
    store_speaker(store, model, "ann", "affine")
    return store


def test_a_new_speaker_has_no_phrases(store):
    assert store.vocabulary("ann") == ()


def test_phrases_are_kept_once_whatever_their_case_and_spaces(store):
    kept = store.set_vocabulary(
        "ann", ["  Zoë   Müller ", "zoë müller", "Kaliningrad", "O\N{RIGHT SINGLE QUOTATION MARK}Neil"]
    )
    assert kept == ("Kaliningrad", "O\N{RIGHT SINGLE QUOTATION MARK}Neil", "Zoë Müller")
    assert SpeakerStore(store.root).vocabulary("ann") == kept


def test_phrases_stay_with_new_versions_and_go_with_the_speaker(store, model):
    store.set_vocabulary("ann", ["Kaliningrad"])
    store_speaker(store, model, "ann", "affine", seed=2)
    store.rollback("ann")
    assert store.vocabulary("ann") == ("Kaliningrad",)
    store.remove("ann")
    with pytest.raises(UnknownName):
        store.vocabulary("ann")


def test_of_many_phrases_that_cannot_be_used_the_first_are_named(store):
    with pytest.raises(TextError, match=r"^phrases that cannot be used: 'room 0' .*; 'room 2' .*; and 2997 more$"):
        store.set_vocabulary("ann", [f"room {number}" for number in range(3000)])


def test_phrases_that_cannot_be_used_are_named_and_nothing_changes(store):
    store.set_vocabulary("ann", ["Kaliningrad"])
    with pytest.raises(TextError) as refused:
        store.set_vocabulary("ann", ["good", "...", "route 66", "x" * 81])
    for problem in ("holds no letter", "write numbers as words", "at most 80"):
        assert problem in str(refused.value)
    with pytest.raises(TextError, match="1001 phrases are too many"):
        store.set_vocabulary("ann", ["a" * (n % 40 + 1) + "b" * (n // 40 + 1) for n in range(1001)])
    assert store.vocabulary("ann") == ("Kaliningrad",)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"format": 9, "phrases": []}', b'{"format": 1, "phrases": "x"}']
)
def test_a_damaged_file_is_told(store, content):
    (store.root / "speakers" / "ann" / VOCABULARY_FILE).write_bytes(content)
    with pytest.raises(DamagedSpeaker, match="add the phrases again"):
        store.vocabulary("ann")


def test_a_kill_while_writing_leaves_the_phrases_before(store, monkeypatch):
    store.set_vocabulary("ann", ["Kaliningrad"])

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.set_vocabulary("ann", ["Other"])
    monkeypatch.undo()
    assert store.vocabulary("ann") == ("Kaliningrad",)
    assert list((store.root / ".tmp").iterdir()) == []
