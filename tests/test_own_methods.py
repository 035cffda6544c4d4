"""Methods that others write: their options, their packages, and speakers whose method is not loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest
from samples import store_speaker

import asradapt.adaptation as adaptation
from asradapt.adaptation import METHODS, create, register
from asradapt.adaptation.affine import Affine
from asradapt.errors import DamagedSpeaker, StoreError, UsageError
from asradapt.store import SpeakerStore


@pytest.fixture
def own():
    """A method with options of many types, which is forgotten afterwards."""

    @register
    @dataclass(frozen=True)
    class Own(Affine):
        name = "own"
        taken: tuple[str, ...] = ("norm",)
        pairs: tuple[tuple[int, int], ...] = ()
        top: int | None = None
        bias: float = 0.0
        exact: bool = False

    yield Own
    METHODS.pop("own", None)


@pytest.mark.parametrize(
    "options", [{}, {"taken": ["a", "b"], "pairs": [[1, 2]], "top": 3, "bias": 1, "exact": True}, {"top": None}]
)
def test_options_come_back_from_json(own, options):
    (made,) = create("own", {"own": options})
    (again,) = create("own", json.loads(json.dumps({"own": made.options()})))
    assert again == made
    assert hash(again) == hash(made)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"taken": "norm"}, "taken must be tuple"),
        ({"top": "3"}, "top must be int | None, got '3'"),
        ({"bias": True}, "bias must be float, got True"),
        ({"exact": 1}, "exact must be bool, got 1"),
        ({"other": 1}, "no option 'other'; it has taken, pairs, top, bias, exact"),
    ],
)
def test_options_of_other_types_are_refused(own, options, said):
    with pytest.raises(UsageError) as caught:
        create("own", {"own": options})
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["auto", "identity", "a+b", ""])
def test_names_that_cannot_be_asked_for_are_refused(name):
    with pytest.raises(UsageError, match="cannot be called"):
        register(type("Wrong", (Affine,), {"name": name}))


def test_a_speaker_whose_method_is_not_loaded_is_not_called_damaged(own, tiny_model, tmp_path):
    store = SpeakerStore(tmp_path)
    store_speaker(store, tiny_model(), "ann", "own")
    assert store.load("ann").record.method == "own"
    METHODS.pop("own")
    with pytest.raises(StoreError, match="a method that is not loaded here") as caught:
        store.load("ann")
    assert not isinstance(caught.value, DamagedSpeaker)
    assert "remove" not in str(caught.value)


def test_methods_of_other_packages_are_loaded_and_a_broken_one_is_told(monkeypatch, caplog):
    points = [EntryPoint(name, value, adaptation.GROUP) for name, value in (("bad", "no.where"), ("good", "json"))]
    monkeypatch.setattr(adaptation, "entry_points", lambda group: points if group == adaptation.GROUP else [])
    adaptation.load_others()
    assert "methods of bad (no.where) do not load: No module named 'no'" in caplog.text
    assert "good" not in caplog.text
