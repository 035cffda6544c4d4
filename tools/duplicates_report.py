"""The phase correlation of recordings with changed copies of themselves, and with other recordings.

    python tools/duplicates_report.py MANIFEST [--where part=enroll] [--every 40]

Lowest and highest value of each row of the table of docs/recordings.md; `SAME` lies between copies and others.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr

from asradapt.audio import load_audio
from asradapt.manifests import parse_where, read_manifest
from asradapt.recordings.duplicates import RATE, SAME, Samples, correlation


def hum(count: int) -> Samples:
    """50 Hz with all its harmonics up to 950 Hz, and a DC offset; louder than speech."""
    time = np.arange(count) / RATE
    tones = sum(0.1 / k * np.sin(2 * np.pi * 50 * k * time) for k in range(1, 20))
    return np.asarray(tones + 0.2, dtype=np.float32)


def coded(samples: Samples, suffix: str, subtype: str | None, rate: int = RATE) -> Samples:
    """At half the level, through a file format and back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        soundfile.write(path, soxr.resample(0.5 * samples, RATE, rate), rate, subtype=subtype)
        return load_audio(path, RATE).samples


def noisy(samples: Samples) -> Samples:
    """White noise, 10 dB below."""
    level = np.sqrt(np.square(samples).mean()) * 10**-0.5
    noise = np.random.default_rng(0).standard_normal(len(samples))
    return np.asarray(samples + level * noise, dtype=np.float32)


def late(samples: Samples) -> Samples:
    """300 ms of silence in front."""
    return np.concatenate([np.zeros(round(0.3 * RATE), np.float32), samples])


Change = Callable[[Samples], Samples]
COPIES: dict[str, Change] = {
    "MP3": lambda s: coded(s, ".mp3", None),
    "Opus": lambda s: coded(s, ".ogg", "OPUS"),
    "telephone (8 kHz, mu-law)": lambda s: coded(s, ".wav", "ULAW", 8_000),
    "300 ms later": late,
    "with hum and DC offset": lambda s: s + hum(len(s)),
    "with noise at 10 dB": noisy,
}


def main() -> None:
    """Compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--every", type=int, default=40)
    args = parser.parse_args()
    rows = read_manifest(args.manifest, where=parse_where(args.where)).utterances[:: args.every]
    sounds = [load_audio(row.audio, RATE).samples for row in rows]
    found = {name: [correlation(one, change(one)) for one in sounds] for name, change in COPIES.items()}
    pairs = list(zip(sounds, sounds[1:] + sounds[:1], strict=True))
    found["other recordings"] = [correlation(one, other) for one, other in pairs]
    found["others with the same hum and DC offset"] = [
        correlation(one + hum(len(one)), other + hum(len(other))) for one, other in pairs
    ]
    print(
        f"{len(sounds)} recordings; the same from {SAME:g}\n\n| compared with | lowest | highest |\n|---|--:|--:|"
    )
    for name, values in found.items():
        print(f"| {name} | {min(values):.2f} | {max(values):.2f} |")


if __name__ == "__main__":
    main()
