from __future__ import annotations

import pytest
from fake_engine import Fake

from asradapt.simulation.engines import ENGINES


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """The one engine that is installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(ENGINES, "fake", Fake())
    return ENGINES["fake"]
