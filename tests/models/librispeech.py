"""LibriSpeech's `test-clean` as a manifest, by torchaudio's own reader."""

from __future__ import annotations

import json
from pathlib import Path


def write_manifest(root: Path, manifest: Path, *, download: bool) -> int:
    """A line of JSON for every utterance below `root`; returns how many there are."""
    from torchaudio.datasets import LIBRISPEECH

    data = LIBRISPEECH(root, url="test-clean", download=download)
    rows = []
    for number in range(len(data)):
        path, _, text, speaker, *_ = data.get_metadata(number)
        audio = str(root / "LibriSpeech" / path)
        rows.append({"audio_filepath": audio, "text": text.lower(), "speaker": str(speaker)})
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return len(rows)
