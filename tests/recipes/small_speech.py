"""A few seconds of noise with texts, and a configuration that trains on them in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

CONFIG = """
seed = 3
dictionary = "{text}/words.dict"
[model]
width = 16
blocks = 2
heads = 2
expansion = 2
kernel = 3
conditions = [1]
[batch]
seconds = 6.0
longest = 8.0
short_steps = 2
short_seconds = 2.1
trim = 0.5
[optimiser]
rate = 1e-2
warmup = 2
steps = 8
decay = 0.5
weight_decay = 0.01
clip = 1.0
inner_weight = 0.4
average = 0.9
[augment]
time = 0.1
warp = 0.1
noise = 0.5
telephone = 0.5
frequency_masks = 1
frequency_width = 8
time_masks = 1
time_share = 0.1
"""
MANIFEST_SET = '[[sets]]\nname = "words"\npath = "{speech}/manifest.jsonl"\nwhere = ["part=train"]\n'
VALIDATION = '[[validation]]\nname = "held"\npath = "{speech}/manifest.jsonl"\nwhere = ["part=validation"]\n'


def write_speech(folder: Path) -> None:
    """Twelve utterances of noise in bursts, a manifest and a dictionary that lacks one word."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = []
    for number in range(12):
        samples = random.normal(0, 0.1, 24000 + 3000 * (number % 4)).astype(np.float32)
        samples[:3000] *= 1e-3
        soundfile.write(folder / f"{number}.flac", samples, 16000)
        text = ["one two", "three", "unheard of", "two one"][number % 4]
        part = "validation" if number > 9 else "train"
        rows.append(
            {"audio_filepath": f"{number}.flac", "duration": len(samples) / 16000, "text": text, "part": part}
        )
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (folder / "words.dict").write_text("one W AH1 N\ntwo T UW1\nthree TH R IY1\nof AH1 V\nof(2) AH0 V\n")
