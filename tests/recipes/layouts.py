"""What the made-up corpora of the tests consist of."""

from __future__ import annotations

import numpy as np
import soundfile

WITH_LAYOUT = ("l2arctic", "torgo", "uaspeech", "commonvoice", "audiomnist", "speech_accent_archive")


def sound(path, seconds=0.3):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(round(16_000 * seconds)) * 0.05), 16_000)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
