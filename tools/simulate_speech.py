"""Simulate speech for training: sentences in, synthetic utterances of many pseudo-speakers out.

    python tools/simulate_speech.py --text sentences.txt --out sim --hours 9 --seed 1

A pseudo-speaker is a free synthesiser's voice with a pitch and a vocal tract length of its own; rate,
pitch and loudness also vary from utterance to utterance. Everything follows from the seed, whatever
the number of jobs. `manifest.jsonl` grows line by line, so training can begin on a part; a second run
with the same options goes on where the first one stopped. The voice awb is never used: it is kept for
demonstrations on a voice that the source model has not heard.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import soundfile

from speak import SAMPLE_RATE, Samples, SpeechError, at_level, espeak, flite, warp

FLITE_VOICES = ("slt", "rms", "kal16")
# The range of mean pitch in Hz before the vocal tract is changed; rms ignores a request.
FLITE_F0 = {"slt": (120.0, 240.0), "kal16": (75.0, 190.0)}
ESPEAK_VOICES = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029")
ESPEAK_VARIANTS = (*(f"+f{i}" for i in range(1, 6)), *(f"+m{i}" for i in range(1, 8)))
RATES = (0.8, 1.25)
WARPS = (0.88, 1.14)
MIN_WORDS, MAX_WORDS = 3, 14
FILES_A_FOLDER = 1000
# What nobody wants read to them; matched at the beginning of a word.
PROFANITY = re.compile(
    r"\b(fuck|motherfuck|shit|bullshit|bitch|cunt|asshole|dickhead|bastard|whore|slut|nigg|fagg|wank"
    r"|pussy|cock(s|suck)|dick\b|porn|rape|rapist|penis|vagina|boob|tits\b|horny|retard|naked|sex\b|sexy"
    r"|damn|goddamn|piss|crap\b|suicid|kill (my|your|him|her)self)"
)


@dataclass(frozen=True)
class Speaker:
    """A pseudo-speaker.

    Attributes:
        name: Written to the manifest.
        engine: `flite` or `espeak`.
        voice: The engine's voice, with its variant.
        warp: How much higher the formants are than the voice's own.
        f0: Mean pitch in Hz (flite, where the voice obeys) or 0-99 (espeak).
    """

    name: str
    engine: str
    voice: str
    warp: float
    f0: float | None


@dataclass(frozen=True)
class Job:
    """One utterance to make.

    Attributes:
        index: Place in the plan, which names the file.
        rate: Duration factor, 1.2 is slower.
        pitch: Factor on the speaker's mean pitch.
        level: Loudness in dB relative to full scale (root mean square).
    """

    index: int
    text: str
    speaker: Speaker
    rate: float
    pitch: float
    level: float
    path: Path


def main(arguments: list[str] | None = None) -> int:
    """Run the tool."""
    options = _parse(arguments)
    sentences = _read_sentences(options.text, excluded=_read_texts(options.exclude_manifest))
    speakers = make_speakers(options.speakers, espeak_share=options.espeak_share, seed=options.seed)
    count = sum(map(len, sentences)) if options.count is None else options.count
    jobs = _plan(sentences, speakers, count=count, options=options)
    print(f"{sum(map(len, sentences))} sentences, {len(speakers)} pseudo-speakers", file=sys.stderr)
    seconds, rows = produce(jobs, out=options.out, hours=options.hours, processes=options.jobs)
    print(f"{rows} utterances, {seconds / 3600:.2f} h in {options.out / 'manifest.jsonl'}", file=sys.stderr)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="one sentence a line, [a-z' ]")
    parser.add_argument("--out", type=Path, required=True, help="folder for manifest.jsonl and audio/")
    parser.add_argument("--exclude-manifest", type=Path, action="append", default=[], help="repeatable")
    parser.add_argument("--hours", type=float, default=math.inf, help="stop at this amount of audio")
    parser.add_argument("--count", type=int, help="at most this many sentences")
    parser.add_argument("--speakers", type=int, default=400, help="number of pseudo-speakers")
    parser.add_argument("--espeak-share", type=float, default=0.15, help="share of espeak-ng speakers")
    parser.add_argument("--format", choices=("flac", "ogg"), default="flac", help="ogg (Opus) is small, slow")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def normalise(text: str) -> str:
    """Lower case, `[a-z' ]` only, single spaces."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def _read_texts(manifests: Iterable[Path]) -> set[str]:
    lines = (line for path in manifests for line in path.read_text(encoding="utf-8").splitlines() if line)
    return {normalise(json.loads(line)["text"]) for line in lines}


def _read_sentences(files: Iterable[Path], *, excluded: set[str]) -> list[list[str]]:
    """Read the usable sentences of each file, none twice over all files."""
    seen = set(excluded)
    usable = []
    for path in files:
        lines = map(normalise, path.read_text(encoding="utf-8").splitlines())
        fresh = [line for line in dict.fromkeys(lines) if line not in seen and _is_usable(line)]
        seen.update(fresh)
        usable.append(fresh)
    return usable


def _is_usable(sentence: str) -> bool:
    return MIN_WORDS <= len(sentence.split()) <= MAX_WORDS and not PROFANITY.search(sentence)


def make_speakers(count: int, *, espeak_share: float, seed: int) -> list[Speaker]:
    """Draw pseudo-speakers; `espeak_share` of them are espeak-ng's."""
    rng = random.Random(f"speakers {seed}")
    robots = round(count * espeak_share)
    return [_draw_speaker(rng, number, robot=number < robots) for number in range(count)]


def _draw_speaker(rng: random.Random, number: int, *, robot: bool) -> Speaker:
    if robot:
        voice = rng.choice(ESPEAK_VOICES) + rng.choice(ESPEAK_VARIANTS)
        factor, pitch = rng.uniform(0.95, 1.05), rng.uniform(20, 80)
        return Speaker(f"sim{number:04d}-espeak", "espeak", voice, factor, pitch)
    voice = FLITE_VOICES[number % len(FLITE_VOICES)]
    factor = math.exp(rng.uniform(math.log(WARPS[0]), math.log(WARPS[1])))
    f0 = rng.uniform(*FLITE_F0[voice]) if voice in FLITE_F0 else None
    return Speaker(f"sim{number:04d}-{voice}", "flite", voice, factor, f0)


def _plan(
    sentences: list[list[str]], speakers: list[Speaker], *, count: int, options: argparse.Namespace
) -> Iterator[Job]:
    drawn = islice(_mix(sentences, random.Random(f"sentences {options.seed}")), count)
    for index, text in enumerate(drawn):
        rng = random.Random(f"utterance {options.seed} {index}")
        name = f"audio/{index // FILES_A_FOLDER:03d}/{index:06d}.{options.format}"
        rate = math.exp(rng.uniform(math.log(RATES[0]), math.log(RATES[1])))
        pitch, level = math.exp(rng.gauss(0, 0.05)), rng.uniform(-32, -18)
        yield Job(index, text, rng.choice(speakers), rate, pitch, level, options.out / name)


def _mix(files: list[list[str]], rng: random.Random) -> Iterator[str]:
    """Yield all sentences; a file's turn comes with the square root of its size, so small ones count."""
    left = [rng.sample(sentences, len(sentences)) for sentences in files if sentences]
    while left:
        chosen = rng.choices(left, weights=[math.sqrt(len(sentences)) for sentences in left])[0]
        yield chosen.pop()
        left = [sentences for sentences in left if sentences]


def produce(jobs: Iterator[Job], *, out: Path, hours: float, processes: int) -> tuple[float, int]:
    """Make what is not yet in the manifest, until there are `hours` of audio.

    Returns:
        Seconds of audio and number of utterances in the manifest.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "manifest.jsonl"
    rows = _read_whole_rows(manifest)
    seconds = sum(row["duration"] for row in rows)
    done = {row["audio_filepath"] for row in rows}
    count = len(rows)
    with manifest.open("a", encoding="utf-8") as stream, _mapper(processes) as mapper:
        todo = (job for job in jobs if job.path.relative_to(out).as_posix() not in done)
        while seconds < hours * 3600 and (batch := list(islice(todo, 64 * processes))):
            for job, duration in zip(batch, mapper(make_utterance, batch), strict=True):
                if duration is None or seconds >= hours * 3600:
                    job.path.unlink(missing_ok=True)
                    continue
                stream.write(json.dumps(_row(job, duration, out), ensure_ascii=False) + "\n")
                stream.flush()
                seconds, count = seconds + duration, count + 1
    return seconds, count


@contextmanager
def _mapper(processes: int) -> Iterator[Callable[..., Iterable[float | None]]]:
    if processes == 1:
        yield map
        return
    with ProcessPoolExecutor(processes) as pool:
        yield lambda function, items: pool.map(function, items, chunksize=8)


def _read_whole_rows(manifest: Path) -> list[dict[str, Any]]:
    """Read the rows so far and cut off a half-written last line."""
    if not manifest.exists():
        return []
    text = manifest.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        manifest.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def _row(job: Job, duration: float, out: Path) -> dict[str, str | float]:
    return {
        "audio_filepath": job.path.relative_to(out).as_posix(),
        "duration": duration,
        "text": job.text,
        "speaker": job.speaker.name,
        "voice": job.speaker.voice,
        "part": "train",
    }


def make_utterance(job: Job) -> float | None:
    """Write one utterance; returns its seconds, or None where the synthesiser said nothing useful."""
    try:
        samples = at_level(_speak(job), job.level)
    except SpeechError:
        return None
    duration = len(samples) / SAMPLE_RATE
    letters = len(job.text.replace(" ", ""))
    # Below 30 ms a letter something was left out: the fastest voice and rate stay above 40.
    if duration < 0.03 * letters:
        return None
    job.path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "OPUS" if job.path.suffix == ".ogg" else "PCM_16"
    soundfile.write(job.path, samples, SAMPLE_RATE, subtype=subtype)
    return round(duration, 3)


def _speak(job: Job) -> Samples:
    person = job.speaker
    if person.engine == "espeak":
        pitch = round(min(99.0, (person.f0 or 50.0) * job.pitch))
        # 1.25 -> 130 and 0.8 -> 190 words a minute, before the warp.
        words_per_minute = round(190 - 60 * (job.rate - RATES[0]) / (RATES[1] - RATES[0]))
        samples, rate = espeak(job.text, voice=person.voice, words_per_minute=words_per_minute, pitch=pitch)
    else:
        f0 = person.f0 * job.pitch if person.f0 else None
        samples, rate = flite(job.text, voice=person.voice, stretch=job.rate * person.warp, f0=f0)
    return warp(samples, rate, factor=person.warp)


if __name__ == "__main__":
    raise SystemExit(main())
