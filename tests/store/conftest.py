"""An empty store, and a record to save in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asradapt.store import SpeakerRecord, SpeakerStore


@pytest.fixture
def store(tmp_path: Path) -> SpeakerStore:
    """A store that no one has written to."""
    return SpeakerStore(tmp_path / "store")


@pytest.fixture
def record() -> SpeakerRecord:
    """An accepted adaptation of the speaker `ann`."""
    return SpeakerRecord(
        speaker="ann",
        decision="adapted",
        method="affine+lowrank",
        options={"lowrank": {"rank": 4}},
        source={"name": "tiny", "fingerprint": "f" * 64},
        utterances=12,
        seconds=61.5,
        split={"folds": 4},
        seed=7,
        folds={"before": {"wer": 0.3}, "after": {"wer": 0.2}, "low": -0.15, "high": -0.05},
        gate={"accepted": True},
        created="2026-01-31T12:00:00+00:00",
    )


@pytest.fixture
def kept(record: SpeakerRecord) -> SpeakerRecord:
    """A rejected adaptation: `ann` is enrolled with the source model as it is."""

    return replace(record, decision="source", method="identity", gate={"accepted": False})
