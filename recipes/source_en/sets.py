"""Where training utterances come from: manifests, LibriSpeech and Common Voice; and their frames on disk."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asradapt.features import FeatureOptions, log_mel
from tokens import encode

QUIET = 8.0  # nepers of power below the loudest frame: what is quieter at the ends is silence


def locate(options: dict[str, Any], roots: dict[str, str]) -> Path:
    """The file or folder of one `[[sets]]` table.

    Raises:
        SystemExit: Saying what to mend, where the kind, a root or the file is not known.
    """
    kind = options.get("kind", "manifest")
    if kind not in READERS:
        raise SystemExit(f"set {options['name']}: unknown kind {kind}; there are {', '.join(READERS)}")
    try:
        path = Path(options["path"].format(**roots))
    except KeyError as error:
        raise SystemExit(f"set {options['name']}: give --root {error.args[0]}=FOLDER") from error
    if not path.exists():
        raise SystemExit(f"set {options['name']}: {path} does not exist")
    return path


def read_set(options: dict[str, Any], roots: dict[str, str]) -> list[tuple[Path, str]]:
    """Audio files and texts of one `[[sets]]` table; with `first = N` about N of them, spread evenly."""
    path = locate(options, roots)
    found = list(READERS[options.get("kind", "manifest")](path, options))
    return found[:: max(1, len(found) // options.get("first", 10**9))]


def _manifest(path: Path, options: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    from asradapt.manifests import parse_where, read_manifest

    for utterance in read_manifest(path, where=parse_where(tuple(options.get("where", ())))).utterances:
        if utterance.text:
            yield utterance.audio, utterance.text


def _librispeech(path: Path, options: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """`path` is the folder above LibriSpeech/; `part` a subset such as train-clean-100."""
    from torchaudio.datasets import LIBRISPEECH

    data = LIBRISPEECH(path, url=options["part"], download=False)
    for number in range(len(data)):
        audio, _, text, *_ = data.get_metadata(number)
        yield path / "LibriSpeech" / audio if not Path(audio).is_absolute() else Path(audio), plain(text)


def _commonvoice(path: Path, options: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """`path` is a language's folder with clips/ and `part`.tsv."""
    with (path / f"{options.get('part', 'train')}.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield path / "clips" / row["path"], plain(row["sentence"])


READERS = {"manifest": _manifest, "librispeech": _librispeech, "commonvoice": _commonvoice}


def plain(text: str) -> str:
    """Lower case, straight apostrophes, punctuation gone; digits stay (and leave the utterance out)."""
    text = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return " ".join(re.sub(r"[^\w' ]|_", " ", text).split())


def extract(options: dict[str, Any], roots: dict[str, str], folder: Path) -> None:
    """Write frames.f16 and index.json of a set, once; a later call with the same options finds them.

    With `channel = true` every recording passes a room, noise, a microphone or a codec of its own first.
    """
    made_of = {key: value for key, value in options.items() if key not in ("repeat", "kind_of_speech")}
    made_of["path"] = str(locate(options, roots).resolve())
    if (folder / "index.json").exists() and _same(folder / "options.json", made_of):
        return
    (folder / "index.json").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(json.dumps(made_of))
    from asradapt.audio import load_audio
    from asradapt.errors import AudioError

    rows: list[list[Any]] = []
    position = 0
    with (folder / "frames.f16").open("wb") as out:
        for number, (audio, text) in enumerate(read_set(options, roots)):
            if encode(text) is None:
                continue
            try:
                samples = load_audio(audio).samples
            except AudioError as error:
                print(f"left out: {error}", flush=True)
                continue
            frames = _frames(through_channel(samples, number) if options.get("channel") else samples)
            out.write(frames.to(torch.float16).numpy().tobytes())
            rows.append([position, frames.shape[0], *_speech(frames), " ".join(text.lower().split())])
            position += frames.shape[0]
    if not rows:
        raise SystemExit(f"set {options['name']}: no utterance that can be used")
    part = folder / "index.part"
    part.write_text(json.dumps(rows))
    part.replace(folder / "index.json")


def _same(path: Path, made_of: dict[str, Any]) -> bool:
    """Whether the frames were made with these options (frames of before these were noted count as the same)."""
    return not path.exists() or json.loads(path.read_text()) == made_of


def through_channel(samples: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """A recording as another room, microphone or line would have given it."""
    from asradapt.simulation import channel

    rng = np.random.default_rng(seed)
    drawn = channel.draw_channel(rng)
    return channel.apply(samples, drawn, rng)


def _frames(samples: np.ndarray[Any, Any]) -> Tensor:
    waveform = torch.from_numpy(samples)[None]
    return log_mel(waveform, torch.tensor([waveform.shape[1]]), FeatureOptions())[0][0]


def _speech(frames: Tensor) -> tuple[int, int]:
    """First and last frame of speech, with 50 ms to spare."""
    energy = frames.logsumexp(-1)
    active = (energy > energy.max() - QUIET).nonzero().flatten()
    return max(0, int(active[0]) - 5), min(len(frames), int(active[-1]) + 6)
