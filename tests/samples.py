"""Stored speakers, manifests and scored utterances, for the tests of everything that reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.mixed import IDENTITY
from asradapt.comparison import Comparison, Scored
from asradapt.models.base import SourceModel
from asradapt.scoring import score
from asradapt.store import SpeakerRecord, SpeakerStore
from asradapt.types import Utterance


def random_state(model: SourceModel, method: str, *, seed: int = 0) -> dict[str, Tensor]:
    """The tensors of one speaker, random and large enough to change what is heard."""
    bank = SpeakerBank(model, create(method), speakers=1, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, start in bank.state(0).items():
        spread = 0.5 if start.ndim == 2 else 0.7 * start.shape[1] ** -0.5
        state[name] = start + spread * torch.randn(start.shape, generator=generator)
    return state


def store_speaker(
    store: SpeakerStore, model: SourceModel, speaker: str, method: str, *, seed: int = 0
) -> SpeakerRecord:
    """Store a speaker with a random adaptation, or with none for the method `identity`."""
    adapted = method != IDENTITY
    methods = create(method) if adapted else ()
    record = SpeakerRecord(
        speaker=speaker,
        decision="adapted" if adapted else "source",
        method=method,
        options={one.name: one.options() for one in methods},
        source={"name": model.name, "fingerprint": model.fingerprint},
        utterances=5,
        seconds=12.5,
        split={"folds": [[0, 1, 2], [3, 4]]},
        seed=seed,
        folds={"before": {"wer": 0.5}, "after": {"wer": 0.4}, "low": -0.2, "high": -0.1},
        gate={"confidence": 0.95},
    )
    return store.save(record, random_state(model, method, seed=seed) if adapted else {})


def store_people(root: Path, model: SourceModel, methods: Mapping[str, str]) -> SpeakerStore:
    """A store with a random adaptation of each speaker's method."""
    store = SpeakerStore(root)
    for seed, (speaker, method) in enumerate(methods.items()):
        store_speaker(store, model, speaker, method, seed=seed)
    return store


def stored_files(home: Path) -> dict[str, bytes]:
    """The files of a store that count; those in `.tmp` are swept later."""
    paths = [path for path in home.rglob("*") if path.is_file() and ".tmp" not in path.parts]
    return {str(path.relative_to(home)): path.read_bytes() for path in paths}


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """Writes a manifest of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def made(*rows: tuple[object, ...], systems: tuple[str, ...] = ("one", "two")) -> Comparison:
    """A comparison by hand: rows of (speaker, fields, said, heard by each)."""
    scored = []
    for number, (speaker, fields, said, *heard) in enumerate(rows):
        utterance = Utterance(Path(f"u{number}.wav"), said, speaker, fields=fields)  # type: ignore[arg-type]
        counts = tuple(score(str(said), str(text)) for text in heard)
        scored.append(Scored(utterance, tuple(map(str, heard)), counts))
    return Comparison(systems, tuple(scored))
