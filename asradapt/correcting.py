"""Corrected transcripts as enrolment utterances: the audio is found, checked, and cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize as unicode_form

from asradapt.as_there import as_there
from asradapt.audio import Recording, load_audio
from asradapt.corrections import Correction, corrections
from asradapt.errors import AudioError, InputError, ManifestError
from asradapt.held import Held, hold
from asradapt.pcm import digest
from asradapt.transcript_files import Written
from asradapt.types import Failure

_LENGTH_SLACK = 0.05  # seconds


@dataclass(frozen=True)
class Work:
    """One transcript with something to learn from: stretches with their texts, and others to be heard."""

    written: Written
    wanted: tuple[Correction, ...]
    rest: tuple[Correction, ...] = ()


@dataclass(frozen=True)
class Found:
    """What corrected transcripts hold.

    Attributes:
        work: The transcripts with something to learn from.
        edited: Number of stretches whose text was changed.
        confirmed: Number of unchanged stretches that count as right.
        rest: Number of unchanged stretches that are to be heard.
        transcripts: Number of transcripts that were looked at.
        failed: Transcripts that cannot be used.
    """

    work: tuple[Work, ...]
    edited: int
    confirmed: int
    transcripts: int
    failed: tuple[Failure, ...]
    rest: int = 0


def find_corrections(
    transcripts: Sequence[Written], speaker: str, *, confirmed: bool, hears: bool = False
) -> Found:
    """What was changed in transcripts; needs no audio.

    Args:
        transcripts: The transcripts as they stand in their file.
        speaker: Whose they must be, where they say so.
        confirmed: Whether unchanged text was read and is right, too.
        hears: Whether the stretches of unchanged text are to be heard, where anything was changed at all.
    """
    work, failed, edited, unchanged = [], [], 0, 0
    for written in transcripts:
        try:
            _require_speaker(written, speaker)
            found = corrections(written)
        except InputError as error:
            failed.append(Failure(written.audio, str(error)))
            continue
        changed = [one for one in found if one.edited]
        right = [one for one in found if not one.edited and one.text.strip()] if confirmed else []
        rest = [one for one in found if not one.edited and one.text.strip()] if hears else []
        edited, unchanged = edited + len(changed), unchanged + len(right)
        if changed or right or rest:
            wanted = sorted([*changed, *right], key=lambda one: one.start)
            work.append(Work(written, tuple(wanted), tuple(rest)))
    if not edited and not unchanged:  # nothing has a text
        work = []
    count = sum(len(one.rest) for one in work)
    return Found(tuple(work), edited, unchanged, len(transcripts), tuple(failed), count)


def _require_speaker(written: Written, speaker: str) -> None:
    if written.speaker is not None and unicode_form("NFC", written.speaker) != speaker:
        raise ManifestError(f"this is a transcript of {written.speaker!r}, not of {speaker!r}: name that speaker")


def cut(
    found: Found, speaker: str, sample_rate: int, *, audio_dir: Path | None
) -> tuple[list[Held], list[Failure], list[str]]:
    """The stretches as utterances in memory, those to be heard without a text; with what failed and warnings.

    Args:
        found: What to cut out.
        speaker: Whose speech it is.
        sample_rate: The rate in Hz at which the transcripts were made.
        audio_dir: A folder in which the audio lies now.
    """
    utterances, failed, warnings = [], [], []
    for work in found.work:
        try:
            path = _find(work.written.audio, work.written.home, audio_dir)
            recording = load_audio(path, sample_rate)
            _require_same(path, recording, work.written)
        except AudioError as error:
            failed.append(Failure(work.written.audio, str(error)))
            continue
        warnings += [f"{path}: {note}" for note in recording.warnings]
        utterances += [_piece(path, one, one.text, speaker, recording) for one in work.wanted]
        utterances += [_piece(path, one, None, speaker, recording) for one in work.rest]
    return utterances, failed, warnings


def _find(audio: str, folder: Path, audio_dir: Path | None) -> Path:
    name = Path(audio)
    if audio_dir is not None:
        places = [audio_dir / name.name] if name.is_absolute() else [audio_dir / name, audio_dir / name.name]
    else:
        places = [name, folder / name]
    for place in places:
        if (there := as_there(place)).is_file():
            return there
    looked = " and ".join(str(place) for place in dict.fromkeys(places))
    raise AudioError(f"{audio} does not exist: looked for {looked}; say with --audio-dir where it is now")


def _require_same(path: Path, recording: Recording, written: Written) -> None:
    if abs(recording.seconds - written.seconds) > _LENGTH_SLACK:
        raise AudioError(
            f"{path} lasts {recording.seconds:.2f} s, the transcript is of {written.seconds:.2f} s: it is another "
            "recording, or was changed; transcribe it again"
        )
    if digest(recording.samples) != written.digest:
        raise AudioError(f"{path} is not what was transcribed, its samples differ: transcribe it again")


def _piece(path: Path, one: Correction, text: str | None, speaker: str, recording: Recording) -> Held:
    first, last = (round(seconds * recording.sample_rate) for seconds in (one.start, one.end))
    samples = recording.samples[first:last]
    if len(samples) == len(recording.samples):
        return hold(path, text, speaker, samples, recording.sample_rate)
    name = Path(f"{path} [{one.start:.2f}-{one.end:.2f} s]")
    return hold(name, text, speaker, samples.copy(), recording.sample_rate)
