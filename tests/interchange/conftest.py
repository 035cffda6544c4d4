"""Small checkpoints of transformers with speakers adapted on them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from asradapt.models import load_model
from asradapt.store import SpeakerStore

if not (find_spec("transformers") and find_spec("peft")):  # without the extra [hf]
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small model of a family; never written to."""
    made: dict[str, Path] = {}
    root = tmp_path_factory.mktemp("checkpoints")

    def folder(kind: str) -> Path:
        from families import save_ctc
        from whisper_samples import save_whisper

        if kind not in made:
            made[kind] = save_whisper(root / kind) if kind == "whisper" else save_ctc(root / kind, kind)
        return made[kind]

    return folder


@pytest.fixture(scope="session")
def source(checkpoint: Callable[[str], Path]) -> Callable[[str], Any]:
    """The source model of a family; shared, so never change it."""
    loaded: dict[str, Any] = {}

    def model(kind: str) -> Any:
        if kind not in loaded:
            loaded[kind] = load_model(str(checkpoint(kind)), device="cpu")
        return loaded[kind]

    return model


@pytest.fixture
def store(tmp_path: Path) -> SpeakerStore:
    """A store that nobody has written to."""
    return SpeakerStore(tmp_path / "store")


@pytest.fixture(scope="session")
def waveform(babble: Callable[..., Tensor]) -> Tensor:
    """Two seconds of syllables (1, T)."""
    return babble(2.0, seed=5)[None]
