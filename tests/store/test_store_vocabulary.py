from __future__ import annotations

import pytest
from samples import store_speaker

from asradapt.errors import DamagedSpeaker, TextError, UnknownName
from asradapt.phrases import Phrases
from asradapt.store import SpeakerStore, Vocabularies, phrases_of
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


def test_lines_of_a_file_that_cannot_be_used_are_named_by_their_numbers(tmp_path):
    (tmp_path / "names.txt").write_text("# names\n\n  Zoe   Miller\nroute 66\n--\n", encoding="utf-8")
    with pytest.raises(TextError) as refused:
        phrases_of(tmp_path / "names.txt")
    assert str(refused.value) == (
        f"{tmp_path / 'names.txt'} has phrases that cannot be used: line 4, 'route 66', holds digits (write "
        "numbers as words); line 5, '--', holds no letter"
    )
    (tmp_path / "names.txt").write_text("\ufeff# names\n\n  Zoe   Miller\n", encoding="utf-8")
    assert phrases_of(tmp_path / "names.txt") == ["Zoe Miller"]


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


def test_what_is_kept_in_memory_is_read_again_when_it_changed_only(store, monkeypatch):
    vocabularies, reads = Vocabularies(store), []
    read = SpeakerStore.vocabulary
    monkeypatch.setattr(SpeakerStore, "vocabulary", lambda self, name: reads.append(name) or read(self, name))
    assert vocabularies.of("ann") == ()
    SpeakerStore(store.root).set_vocabulary("ann", ["Kaliningrad"])  # as another process does
    assert [vocabularies.of("ann") for _ in range(3)] == [("Kaliningrad",)] * 3
    store.set_vocabulary("ann", ["Leningrad"])
    assert vocabularies.of("ann") == ("Leningrad",)
    assert reads == ["ann"] * 3
    store.set_vocabulary("ann", [])
    assert vocabularies.of("ann") == ()
    store.remove("ann")
    assert vocabularies.of("ann") == vocabularies.of("nobody") == vocabularies.of("../x") == ()
    assert Vocabularies(None).of("ann") == vocabularies.of(None) == ()


def test_a_bounded_number_of_vocabularies_is_kept_in_memory(store, model, monkeypatch):
    monkeypatch.setattr("asradapt.store.vocabularies.KEPT", 2)
    vocabularies = Vocabularies(store)
    names = ["ann", "bob1", "bob2", "bob3"]
    for name in names[1:]:
        store_speaker(store, model, name, "affine", seed=1)
    for name in names:
        store.set_vocabulary(name, [f"phrase of {name[:3]} {'x' * names.index(name)}"])
    for _ in range(2):
        assert [vocabularies.of(name) for name in names] == [store.vocabulary(name) for name in names]
    assert len(vocabularies._known) == 2


def test_the_strength_stays_with_the_phrases_until_another_is_given(store):
    store.set_vocabulary("ann", ["Riga"])
    assert store.vocabulary("ann").strength is None
    store.change_vocabulary("ann", lambda stored: Phrases(stored, 0.75))
    store.change_vocabulary("ann", lambda stored: [*stored, "Oslo"])
    again = SpeakerStore(store.root).vocabulary("ann")
    assert (again, again.strength) == (("Oslo", "Riga"), 0.75)
    assert store.change_vocabulary("ann", lambda stored: Phrases(stored)).strength is None
    assert "strength" not in (store.root / "speakers" / "ann" / VOCABULARY_FILE).read_text(encoding="utf-8")


@pytest.mark.parametrize("strength", [-0.1, 5.1, float("nan"), float("inf")])
def test_a_strength_that_is_none_is_refused(store, strength):
    with pytest.raises(TextError, match="from 0 to 5"):
        store.change_vocabulary("ann", lambda stored: Phrases(["Riga"], strength))
    assert store.vocabulary("ann") == ()


@pytest.mark.parametrize("strength", ['"0.5"', "[1]", "true", "NaN", "-1", "1e999", "1" + "0" * 400])
def test_a_damaged_strength_is_told(store, strength):
    path = store.root / "speakers" / "ann" / VOCABULARY_FILE
    path.write_text(f'{{"format": 1, "phrases": ["Riga"], "strength": {strength}}}', encoding="utf-8")
    with pytest.raises(DamagedSpeaker, match="cannot be used"):
        store.vocabulary("ann")


def test_the_strength_travels_with_the_speaker(store, tmp_path):
    store.change_vocabulary("ann", lambda stored: Phrases(["Riga"], 0.25))
    store.export("ann", tmp_path / "ann.zip")
    store.import_(tmp_path / "ann.zip", "anna")
    assert store.vocabulary("anna").strength == 0.25
    store.change_vocabulary("anna", lambda stored: Phrases([], 1.0))
    store.import_(tmp_path / "ann.zip", "anna", force=True)  # what is chosen here stays
    assert (store.vocabulary("anna"), store.vocabulary("anna").strength) == (("Riga",), 1.0)
    store.set_vocabulary("ann", [])
    store.export("ann", tmp_path / "ann.zip", force=True)
    store.import_(tmp_path / "ann.zip", "bert")
    assert store.vocabulary("bert").strength == 0.25
