"""Read any audio file as one channel of float32 samples at the model's sample rate.

Files are decoded and resampled block by block, so an hour of 48 kHz stereo needs little more memory than
the 16 kHz mono result. What is wrong with a file is either an `AudioError` (it cannot be used) or a
sentence in `Recording.warnings` (it can, but somebody should look at it).

Shapes: T samples of the result, N samples of one block of the file, C channels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from asradapt.as_there import exists
from asradapt.audio_checks import LevelMeter, is_silent, level_warnings, missing_bytes, ogg_ends
from asradapt.errors import AudioError

Samples = npt.NDArray[np.float32]

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".rf64", ".w64"}
)
"""Endings, in lower case, by which `audio_files` knows audio in a folder."""
OTHER_SUFFIXES = frozenset({".m4a", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm", ".mka", ".mov"})
"""Endings of recordings that `load_audio` most likely cannot read: found as well, so that this is told."""

MAX_PEAK = 16.0
"""Float samples above this are no loud recording but integers that were never scaled to [-1, 1]."""
MIN_SAMPLE_RATE = 4_000
"""Files below this rate, in Hz, are refused: no speech is left, or the header is wrong."""

_BLOCK = 2**18  # samples per channel decoded at once: 6 s at 44.1 kHz
_MP3_SLACK_SECONDS = 0.1  # an MP3 states its length in whole frames, and includes the encoder's delay
_UNKNOWN_FRAMES = 2**62  # libsndfile's length of a stream that does not say how long it is
_CONVERT = "convert it, for example with: ffmpeg -i INPUT OUTPUT.wav"


@dataclass(frozen=True, eq=False)
class Recording:
    """One audio file, ready for a model, and what was noticed about it.

    Attributes:
        samples: Mono samples (T,), float32, full scale is [-1, 1], at `sample_rate`.
        sample_rate: Rate of `samples` in Hz.
        seconds: Length of the file in seconds.
        original_rate: Sample rate of the file in Hz.
        channels: Channels of the file; they were averaged, or the loudest was taken where that leaves nothing.
        peak: Largest magnitude in the file, over all channels, before resampling.
        clipped: Fraction, 0 to 1, of the file's samples at full scale in runs of 3 or more.
        silent: Whether even the loudest 25 ms are below -60 dBFS RMS (`audio_checks.SILENCE_RMS`).
        warnings: What somebody should look at, in plain sentences.
    """

    samples: Samples
    sample_rate: int
    seconds: float
    original_rate: int
    channels: int
    peak: float
    clipped: float
    silent: bool
    warnings: tuple[str, ...] = ()


def load_audio(path: str | Path, sample_rate: int = 16_000, *, max_seconds: float | None = None) -> Recording:
    """Read an audio file as mono float32 samples at `sample_rate`.

    Args:
        path: A WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, AU or CAF file with any rate and number of channels.
        sample_rate: Rate of the result in Hz.
        max_seconds: Refuse longer files; None allows any length.

    Returns:
        The recording; its samples have shape (T,).

    Raises:
        AudioError: The file is missing, not audio, empty, damaged, cut off, too long, or holds NaN.
    """
    path = Path(path)
    _require_file(path)
    meter = LevelMeter()
    with _open(path) as file:
        samples = _read_mono(path, file, sample_rate, meter, max_seconds)
        if (alone := meter.loudest_of_cancelled) is not None:
            file.seek(0)
            samples = _read_mono(path, file, sample_rate, LevelMeter(), max_seconds, alone)
        rate, channels, cut_off = file.samplerate, file.channels, file.format == "OGG" and not ogg_ends(path)
    if not samples.size and cut_off:
        raise AudioError(f"{path} is cut off before its first sound: copy it again")
    if not samples.size:
        raise AudioError(f"{path} holds no sound ({meter.frames} samples at {rate} Hz): record it again")
    seconds, silent = meter.frames / rate, is_silent(samples, sample_rate)
    warnings = level_warnings(seconds, meter.clipped, silent)
    if alone is not None:
        warnings += (f"its channels cancel each other out: channel {alone + 1} alone is heard; check the cable",)
    if cut_off:
        warnings += ("maybe cut off: the file does not end with an end-of-stream mark; copy it again",)
    return Recording(
        samples=samples,
        sample_rate=sample_rate,
        seconds=seconds,
        original_rate=rate,
        channels=channels,
        peak=meter.peak,
        clipped=meter.clipped,
        silent=silent,
        warnings=warnings,
    )


def audio_seconds(path: str | Path) -> float:
    """The length of an audio file in seconds, by its header.

    Raises:
        AudioError: As `load_audio`, but for what only reading all of it shows.
    """
    path = Path(path)
    _require_file(path)
    with _open(path) as file:
        return float(file.frames / file.samplerate)


def audio_files(path: str | Path) -> list[Path]:
    """List the audio files of a folder and its subfolders, sorted; a file is its own list.

    Hidden files and everything in hidden folders are skipped, and what cannot be read where a file of its name
    lies beside it that can, into which it was converted. A single file is returned whatever its ending.

    Raises:
        AudioError: The path does not exist, or the folder holds no audio.
    """
    path = Path(path)
    if exists(path) and not path.is_dir():
        return [path]
    if not exists(path):
        raise AudioError(f"{path} does not exist: give an audio file or a folder of audio files")
    found = sorted(p for p in path.rglob("*") if _is_visible_audio(p.relative_to(path)) and p.is_file())
    usable = {p.with_suffix("") for p in found if p.suffix.lower() in AUDIO_SUFFIXES}
    found = [p for p in found if p.suffix.lower() in AUDIO_SUFFIXES or p.with_suffix("") not in usable]
    if not found:
        endings = ", ".join(sorted(AUDIO_SUFFIXES))
        raise AudioError(f"{path} holds no audio file: looked for {endings}, also in its subfolders")
    return found


def _is_visible_audio(relative: Path) -> bool:
    return is_audio_name(relative.name) and not any(p.startswith(".") for p in relative.parts)


def is_audio_name(name: str) -> bool:
    """Whether a file of this name is a recording by its ending, one that cannot be read among them."""
    return Path(name).suffix.lower() in AUDIO_SUFFIXES | OTHER_SUFFIXES


def _require_file(path: Path) -> None:
    if not exists(path):
        raise AudioError(f"{path} does not exist: check the path")
    if path.is_dir():
        raise AudioError(f"{path} is a folder: give one audio file")
    if not path.is_file():
        raise AudioError(f"{path} is not a regular file: save the audio to a file first")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise AudioError(f"{path} cannot be opened ({error.strerror}): check its permissions") from error
    if empty:
        raise AudioError(f"{path} is empty (0 bytes): record or copy it again")


def _open(path: Path) -> soundfile.SoundFile:
    try:
        file = _sound_file(path)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless `.raw`
        if getattr(error, "code", None) == 3:  # SF_ERR_MALFORMED_FILE
            raise AudioError(f"{path} is damaged or cut off: copy it again") from error
        raise AudioError(f"{path} is not audio in a format that can be read: {_CONVERT}") from error
    problem = _header_problem(file)
    if problem:
        file.close()
        raise AudioError(f"{path} {problem}")
    return file


def _sound_file(path: Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path)  # names need not be UTF-8
    except soundfile.LibsndfileError:
        # libsndfile takes what a Mac leaves beside an MP3 for its header; of a descriptor it knows no name.
        forks = path.with_name(f"._{path.name}"), path.parent / ".AppleDouble" / path.name
        if not any(fork.exists() for fork in forks):
            raise
        return soundfile.SoundFile(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)), closefd=True)


def _header_problem(file: soundfile.SoundFile) -> str | None:
    if file.samplerate < MIN_SAMPLE_RATE:
        return f"has a sample rate of {file.samplerate} Hz; at least {MIN_SAMPLE_RATE} Hz are needed"
    if file.frames >= _UNKNOWN_FRAMES:
        return f"does not say how long it is: {_CONVERT}"
    missing = missing_bytes(file.extra_info)
    if missing:
        return f"is cut off: its header promises {missing} bytes more than there are; copy it again"
    return None


def _read_mono(
    path: Path,
    file: soundfile.SoundFile,
    sample_rate: int,
    meter: LevelMeter,
    max_seconds: float | None,
    channel: int | None = None,
) -> Samples:
    """All samples (T,), of one channel or of the mean of all."""
    resample = _resampler(file.samplerate, sample_rate)
    # A bytearray grows in place; a list of blocks would need twice the memory when it is joined.
    result = bytearray()
    for block in _blocks(path, file):
        meter.add(block)
        if max_seconds is not None and meter.frames > max_seconds * file.samplerate:
            seconds = max(file.frames, meter.frames) / file.samplerate
            raise AudioError(f"{path} lasts {seconds:.1f} s; at most {max_seconds:g} s are allowed: split it")
        if meter.peak > MAX_PEAK:
            raise AudioError(f"{path} has samples up to {meter.peak:g}; full scale is 1: scale them to [-1, 1]")
        one = block.mean(axis=1) if channel is None else np.ascontiguousarray(block[:, channel])
        if block.shape[1] > 1 and channel is None:
            meter.add_mixed(block, one)
        result += resample(one, False).tobytes()
    result += resample(np.zeros(0, np.float32), True).tobytes()
    return np.frombuffer(result, np.float32)


def _resampler(original: int, wanted: int) -> Callable[[Samples, bool], Samples]:
    """A function (block, is_last) -> resampled block; joined they are what resampling at once would give."""
    if original == wanted:
        return lambda block, last: block
    stream = soxr.ResampleStream(original, wanted, 1, dtype="float32", quality="HQ")
    return lambda block, last: stream.resample_chunk(block, last=last)


def _blocks(path: Path, file: soundfile.SoundFile) -> Iterator[Samples]:
    """Decode the file as blocks of shape (N, C); complain if it ends before its header says."""
    read, rate = 0, file.samplerate
    while True:
        try:
            block: Samples = file.read(_BLOCK, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{path} is damaged or cut off after {read / rate:.1f} s: copy it again") from error
        if not len(block):
            break
        if not np.isfinite(block).all():
            raise AudioError(f"{path} holds samples that are not numbers (NaN or infinite): record it again")
        read += len(block)
        yield block
    slack = _MP3_SLACK_SECONDS * rate if file.format == "MP3" else 0
    if read + slack < file.frames:
        got = f"{read / rate:.1f} of the {file.frames / rate:.1f} s that its header promises"
        raise AudioError(f"{path} is cut off: it holds {got}; copy it again")
