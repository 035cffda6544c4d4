from __future__ import annotations

import pytest
from server import serving


@pytest.fixture
def server(monkeypatch):
    """A file server on this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as running:
        yield running
