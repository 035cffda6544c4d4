"""Pack training speech into tar files small enough to be moved to another machine: Opus, and a manifest in each.

    python recipes/source_en/pack.py --out PACKED --megabytes 60 SIM/voices/manifest.jsonl \
        SPEECH/kathleen/manifest.jsonl:part=train

There, after `tar xf` of every part in a folder of its own, each part is a set of the configuration.
A part that is full is followed by another.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from asradapt.audio import load_audio
from asradapt.manifests import parse_where, read_manifest
from asradapt.types import Utterance

SAMPLE_RATE = 16_000
COMPRESSION = 0.93  # of libsndfile, 0 (256 kbit/s) to 1 (6 kbit/s): about 24 kbit/s, plenty for speech


@dataclass
class Part:
    """One tar file while it grows."""

    path: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0

    def __post_init__(self) -> None:
        self.tar = tarfile.open(self.path, "w")  # noqa: SIM115 - closed by `close`

    def add(self, name: str, content: bytes) -> None:
        """Append a member."""
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self.tar.addfile(member, io.BytesIO(content))
        self.size += 1024 + len(content)

    def close(self) -> None:
        """Append the manifest and finish the file."""
        self.add("manifest.jsonl", "".join(json.dumps(row) + "\n" for row in self.rows).encode())
        self.tar.close()


def utterances(sources: list[str]) -> Iterator[Utterance]:
    """The utterances with texts of manifests given as `FILE` or `FILE:KEY=VALUE`."""
    for source in sources:
        path, _, where = source.partition(":")
        found = read_manifest(Path(path), where=parse_where((where,) if where else ())).utterances
        yield from (one for one in found if one.text)


def to_opus(audio: Path) -> tuple[bytes, float]:
    """A recording as Ogg Opus, and its seconds."""
    samples = load_audio(audio).samples
    out = io.BytesIO()
    soundfile.write(out, samples, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=COMPRESSION)
    return out.getvalue(), len(samples) / SAMPLE_RATE


def pack(sources: list[str], out: Path, megabytes: float) -> list[Part]:
    """Write the parts, each below the size; as few as hold everything."""
    out.mkdir(parents=True, exist_ok=True)
    parts: list[Part] = []
    for number, one in enumerate(utterances(sources)):
        opus, seconds = to_opus(one.audio)
        row = {"audio_filepath": f"{number:06d}.opus", "duration": round(seconds, 3), "text": one.text}
        # what the manifest needs is counted before the audio is added
        row |= {"speaker": one.speaker} if one.speaker else {}
        need = len(opus) + 1024 + len(json.dumps(row)) + 1
        fitting = [part for part in parts if part.size + need < megabytes * 1e6 - 20480]
        if not fitting:
            fitting = [Part(out / f"part-{len(parts):03d}.tar")]
            parts += fitting
        smallest = min(fitting, key=lambda part: part.size)
        smallest.add(str(row["audio_filepath"]), opus)
        smallest.rows.append(row)
        smallest.size += len(json.dumps(row)) + 1
    for part in parts:
        part.close()
    return parts


def main() -> None:
    """Pack and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifests", nargs="+", metavar="MANIFEST[:KEY=VALUE]")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=60.0, help="most of a part")
    args = parser.parse_args()
    for part in pack(args.manifests, args.out, args.megabytes):
        hours = sum(row["duration"] for row in part.rows) / 3600
        print(f"{part.path}: {part.path.stat().st_size / 1e6:.1f} MB, {len(part.rows)} utterances, {hours:.2f} h")


if __name__ == "__main__":
    main()
