"""Where words begin and end, against synthesisers, which know it, and pocketsphinx's alignment of real speech.

    python tools/timestamps_report.py [SPEECH] [--most 300] [--model source_en]

1. flite says which sound ends when (`-psdur`). The prompts with odd numbers, said by slt and rms, give the
   `lead` and `trail` of asradapt/assets/source_en.json (medians, greedy decoding, of words that were heard right);
   those with even numbers, said by awb, whom the model has never heard, measure them.
2. With SPEECH, pocketsphinx (`pip install pocketsphinx`) aligns the texts of `test` parts with its own acoustic
   model; nothing is tuned on these.

Prints Markdown: the median error of beginnings and ends as the model's frames give them, and with lead and trail.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jiwer
import numpy as np
import numpy.typing as npt
import torch

from asradapt.audio import load_audio
from asradapt.decoding import Decoder, DecoderOptions, Timing, Word
from asradapt.language import EMBEDDED_LANGUAGE, load_language
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import SourceModel, encode_all
from asradapt.pace import prepare
from asradapt.prompts import load_prompts
from asradapt.scoring import normalize

FITTED, HEARD_FIRST = ("slt", "rms"), ("awb",)
CORPORA = ("philipp_lj", "speechocean762")
RATE = 16_000


@dataclass(frozen=True)
class Said:
    """A recording whose words' times somebody else knows.

    Attributes:
        samples: (T,) at the model's rate.
        words: The words.
        times: (N, 2) their beginnings and ends in seconds.
    """

    samples: npt.NDArray[np.float32]
    words: tuple[str, ...]
    times: npt.NDArray[np.float64]


def flite(*options: str) -> str:
    """What flite prints."""
    return subprocess.run(["flite", *options], check=True, capture_output=True, text=True, timeout=60).stdout


@cache
def sounds(word: str) -> int:
    """How many sounds flite makes of a word alone."""
    return len([one for one in flite("-ps", "-t", word, "none").split() if one != "pau"])


def synthetic(model: SourceModel, voice: str, texts: Sequence[str]) -> Iterator[Said]:
    """Texts said by a voice of flite; those whose sounds are not the sum of the words' sounds are left out."""
    for text in texts:
        words = tuple(re.sub(r"[^a-z' ]", " ", text.lower()).split())
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "said.wav"
            shown = flite("-voice", voice, "-psdur", "-t", text, str(file))
            samples = load_audio(file, model.sample_rate).samples
        ends = [(name, float(end)) for name, _, end in (one.partition(":") for one in shown.split())]
        spans = [
            (before[1], end)
            for before, (name, end) in zip([("", 0.0), *ends], ends, strict=False)
            if name != "pau"
        ]
        counts = [sounds(word) for word in words]
        if sum(counts) == len(spans):
            last = np.cumsum(counts)
            times = [(spans[i - count][0], spans[i - 1][1]) for i, count in zip(last, counts, strict=True)]
            yield Said(samples, words, np.array(times))


def aligned(model: SourceModel, manifest: Path, most: int) -> Iterator[Said]:
    """Recordings of `test`, evenly spread, aligned by pocketsphinx; those it cannot align are left out."""
    from pocketsphinx import Decoder as Aligner  # of an extra that only this needs

    found = read_manifest(manifest, where=parse_where(["part=test"])).utterances
    aligner = Aligner(samprate=RATE, loglevel="FATAL", bestpath=False)
    for one in found[:: max(1, len(found) // most)]:
        samples, words = load_audio(one.audio, RATE).samples, tuple(normalize(one.text or "").split())
        try:
            aligner.set_align_text(" ".join(words))
            aligner.start_utt()
            aligner.process_raw((samples.clip(-1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
            aligner.end_utt()
            segments = [s for s in aligner.seg() or () if not s.word.startswith(("<", "[", "("))]
        except RuntimeError:  # a word that its dictionary lacks
            continue
        if tuple(re.sub(r"\(\d+\)$", "", s.word) for s in segments) == words:
            times = [(s.start_frame / 100, (s.end_frame + 1) / 100) for s in segments]
            yield Said(samples, words, np.array(times))


@torch.no_grad()
def misses(model: SourceModel, decoder: Decoder, said: Sequence[Said]) -> npt.NDArray[np.float64]:
    """(N, 2) seconds by which beginnings and ends of the words heard right come too late."""
    found: list[tuple[float, float]] = []
    for one in said:
        made = prepare(model, torch.from_numpy(one.samples)[None], torch.tensor([len(one.samples)]))
        logits, frames, inner = encode_all(model, made.features, made.frames)
        (heard,) = decoder(logits, frames, inner=inner, tempo=made.tempo)
        found += _pairs(one, heard.words)
    return np.array(found).reshape(-1, 2)


def _pairs(said: Said, heard: Sequence[Word]) -> Iterator[tuple[float, float]]:
    if not heard:
        return
    for chunk in jiwer.process_words(" ".join(said.words), " ".join(one.text for one in heard)).alignments[0]:
        if chunk.type == "equal":
            for offset in range(chunk.ref_end_idx - chunk.ref_start_idx):
                true, word = said.times[chunk.ref_start_idx + offset], heard[chunk.hyp_start_idx + offset]
                yield word.start - true[0], word.end - true[1]


def decoders(model: SourceModel, timing: Timing) -> dict[str, Decoder]:
    """Greedy, and beam search with the language model."""
    greedy = DecoderOptions(beams=0, timing=timing)
    searched = DecoderOptions(timing=timing)
    return {
        "greedy": Decoder.of(model, None, greedy),
        "beam + LM": Decoder.of(model, load_language(EMBEDDED_LANGUAGE), searched),
    }


def report(model: SourceModel, name: str, said: Sequence[Said], timing: Timing) -> None:
    """Rows of the table."""
    plain, moved = decoders(model, Timing()), decoders(model, timing)
    for decoding in plain:
        cells = []
        for decoder in (plain[decoding], moved[decoding]):
            late = misses(model, decoder, said)
            middle, far = 1000 * np.median(np.abs(late), axis=0), 1000 * np.quantile(np.abs(late), 0.9, axis=0)
            cells += [f"{middle[0]:.0f} / {far[0]:.0f} ms", f"{middle[1]:.0f} / {far[1]:.0f} ms"]
        print(
            f"| {name} | {decoding} | {len(late)} | {cells[0]} | {cells[2]} | {cells[1]} | {cells[3]} |",
            flush=True,
        )


def main() -> None:
    """Fit on some sentences and voices, measure on others and on real speech."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path, nargs="?")
    parser.add_argument(
        "--most", type=int, default=300, help="of a corpus of more recordings, about so many, evenly spread"
    )
    parser.add_argument("--model", default="source_en")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(args.model, device="cpu")
    prompts = [prompt.text for prompt in load_prompts()]
    tuned = [one for voice in FITTED for one in synthetic(model, voice, prompts[1::2])]
    late = np.median(misses(model, decoders(model, Timing())["greedy"], tuned), axis=0)
    timing = Timing(lead=round(float(late[0]), 3), trail=round(-float(late[1]), 3))
    print(f"{len(tuned)} sentences: lead {timing.lead} s, trail {timing.trail} s\n")
    print("| set | decoding | words | begin, frames | begin, moved | end, frames | end, moved |")
    print("|---|---|--:|--:|--:|--:|--:|\n", end="")
    for voice in HEARD_FIRST:
        report(model, f"flite {voice}", list(synthetic(model, voice, prompts[::2])), timing)
    for corpus in CORPORA if args.speech else ():
        said = list(aligned(model, args.speech / corpus / "manifest.jsonl", args.most))
        report(model, f"{corpus} test", said, timing)


if __name__ == "__main__":
    main()
