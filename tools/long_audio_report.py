"""Measure a long recording against its clips: word error rate, memory, times.

    python tools/long_audio_report.py SPEECH [--minutes 60] [--part test] [--model source_en] [--no-voice]

Clips of one part of the corpora are put one after another, with silences of 0.2 to 6 seconds between them and
faint noise under all of it, into one file; its transcript is compared with those of the clips one by one, as they
are and cut out of the file again, with its noise. The words of the long recording are given to the clip in whose
time they lie, so that the difference has an interval over clips.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from asradapt.audio import load_audio
from asradapt.decoding import Decoder, DecoderOptions, Word
from asradapt.language import load_language
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.scoring import ErrorCounts, paired_bootstrap, score
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance

CORPORA = ("philipp_lj", "speechocean762")
RATE = 16_000
NOISE = 3e-4  # root mean square, about 40 dB below speech


def clips(speech: Path, minutes: float, part: str) -> list[Utterance]:
    """Clips of a part in an order that mixes the corpora, as many as fill the time with their silences."""
    found = []
    for corpus in CORPORA:
        found += read_manifest(speech / corpus / "manifest.jsonl", where=parse_where((f"part={part}",))).utterances
    np.random.default_rng(0).shuffle(found)  # type: ignore[arg-type]
    ends = np.cumsum([(one.duration or 4.0) + 3.1 for one in found])
    return found[: max(1, int((ends < 60 * minutes).sum()))]


def write(utterances: list[Utterance], path: Path) -> list[tuple[int, int]]:
    """One file of all clips with silences and noise; returns each clip's first sample and the one behind it."""
    rng = np.random.default_rng(1)
    spans = []
    at = 0
    with soundfile.SoundFile(path, "w", RATE, 1) as out:
        for utterance in utterances:
            samples = load_audio(utterance.audio, RATE).samples
            silence = np.zeros(round(rng.uniform(0.2, 6.0) * RATE), dtype=np.float32)
            both = np.concatenate([samples, silence])
            out.write(both + NOISE * rng.standard_normal(len(both)).astype(np.float32))
            spans.append((at, at + len(samples)))
            at += len(both)
    return spans


def cut(path: Path, spans: list[tuple[int, int]]) -> list[Utterance]:
    """The clips as they are in the file, beside it."""
    found = []
    for number, (start, end) in enumerate(spans):
        samples, _ = soundfile.read(path, start=start, stop=end, dtype="float32")
        found.append(Utterance(path.with_name(f"{number}.wav")))
        soundfile.write(found[-1].audio, samples, RATE)
    return found


def texts(transcriber: Transcriber, utterances: list[Utterance]) -> tuple[list[Transcript], float]:
    """Transcripts, and the processor's seconds they took."""
    began = time.process_time()
    found = [item for item in transcriber.transcribe(utterances) if isinstance(item, Transcript)]
    return found, time.process_time() - began


def line(name: str, errors: ErrorCounts, seconds: float, spent: float) -> str:
    """One row of the table; memory is the most of the process so far."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kinds = f"{errors.substitutions} / {errors.deletions} / {errors.insertions}"
    return (
        f"| {name} | {seconds / 60:.1f} | {errors.wer:.1%} | {kinds} | {spent / seconds:.4f} | {memory:.0f} MB |"
    )


def by_clip(words: Sequence[Word], spans: list[tuple[int, int]]) -> list[str]:
    """The text of every clip: each word goes to the clip in which its middle lies, or to the nearest."""
    texts: list[list[str]] = [[] for _ in spans]
    starts, ends = (np.array(edge) / RATE for edge in zip(*spans, strict=True))
    for word in words:
        middle = (word.start + word.end) / 2
        texts[int(np.maximum(starts - middle, middle - ends).clip(min=0).argmin())].append(word.text)
    return [" ".join(one) for one in texts]


def compared(utterances: list[Utterance], spans: list[tuple[int, int]], long: Transcript, alone: list[str]) -> str:
    """How much worse the long recording is than the same sound clip by clip, with its interval over clips."""
    inside = by_clip(long.words, spans)
    before, after = (
        [score(u.text or "", t) for u, t in zip(utterances, found, strict=True)] for found in (alone, inside)
    )
    found = paired_bootstrap(before, after)
    ends = "too few" if found.low is None or found.high is None else f"{found.low:+.1%} to {found.high:+.1%}"
    return f"One recording against the clips with its noise: {found.difference:+.1%} ({ends} for other clips)."


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--part", default="test")
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--no-voice", action="store_true", help="cut at quiet places only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(args.model, device="cpu")
    decoder = Decoder.of(model, load_language(), DecoderOptions())
    transcriber = Transcriber(model, None, TranscriberOptions(detect_voice=not args.no_voice), decoder)
    utterances = clips(args.speech, args.minutes, args.part)
    reference = " ".join(one.text or "" for one in utterances)
    print("| what | minutes | WER | S / D / I | real-time factor | peak memory |\n|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        spans = write(utterances, path)
        seconds = soundfile.info(path).duration
        found, spent = texts(transcriber, [Utterance(path)])
        print(line("one recording", score(reference, found[0].text), seconds, spent), flush=True)
        for name, clean in (("clips", utterances), ("clips with the noise of the recording", cut(path, spans))):
            alone, spent = texts(transcriber, clean)
            errors = score(reference, " ".join(one.text for one in alone))
            print(line(f"{len(alone)} {name}", errors, sum(one.seconds for one in alone), spent), flush=True)
    times = [time for word in found[0].words for time in (word.start, word.end)]
    print("\n" + compared(utterances, spans, found[0], [one.text for one in alone]))
    print(f"\nTimes rise: {times == sorted(times)}; last word ends at {times[-1]:.1f} s of {seconds:.1f} s.")


if __name__ == "__main__":
    main()
