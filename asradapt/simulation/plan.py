"""The plan: which pseudo-speaker says which sentence, decided by the seed and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from asradapt.errors import UsageError
from asradapt.simulation.channel import find_channel
from asradapt.simulation.pronunciations import read_dictionary, require_pronunciations
from asradapt.simulation.sentences import mix
from asradapt.simulation.speech import Take, draw_take
from asradapt.simulation.voices import PseudoSpeaker, SpeakerOptions, draw_speakers, speaking

FORMATS = {"flac": "PCM_16", "ogg": "OPUS", "wav": "PCM_16"}
"""Endings of audio files and the encoding in them."""
_FILES_A_FOLDER = 1000


@dataclass(frozen=True)
class PlanOptions:
    """What decides the plan; the number of jobs is not among it.

    Attributes:
        speakers: Number of pseudo-speakers.
        seed: Seed of everything random.
        part: Written to the manifest.
        format: A key of `FORMATS`; ogg is Opus, small and slow.
        cast: Whom to draw as speakers.
        dictionary: Pronunciations that accents change, in cmudict's format; None asks flite.
        channels: Names of presets in `channel.CHANNELS`; each utterance is recorded through one of them.
    """

    speakers: int = 400
    seed: int = 0
    part: str = "train"
    format: str = "flac"
    cast: SpeakerOptions = field(default_factory=SpeakerOptions)
    dictionary: Path | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One utterance of the plan.

    Attributes:
        index: Place in the plan.
        path: Its audio file, relative to the output folder.
        part: Written to the manifest.
        take: What is said, by whom, and how.
        channel: Name of the preset that it is recorded through.
    """

    index: int
    path: str
    part: str
    take: Take
    channel: str | None = None

    def row(self, duration: float) -> dict[str, Any]:
        """The line of the manifest."""
        person = self.take.speaker
        traits = {
            "accent": person.accent,
            "accent_strength": person.accent_strength if person.accent else None,
            "impediment": person.impediment,
            "impediment_strength": person.impediment_strength if person.impediment else None,
            "channel": self.channel,
        }
        return {
            "audio_filepath": self.path,
            "duration": duration,
            "text": self.take.text,
            "speaker": person.name,
            "part": self.part,
            "engine": person.engine,
            "voice": person.voice,
            "tract": person.tract,
            "f0": person.f0,
            "child": person.child,
            **{name: value for name, value in traits.items() if value is not None},
            "seed": self.take.seed,
        }


def plan(sentences: list[list[str]], options: PlanOptions, *, count: int | None = None) -> Iterator[Task]:
    """Yield the utterances; with a count the sentences come again as often as needed, else without an end."""
    if options.format not in FORMATS:
        raise UsageError(f"the format is one of {', '.join(FORMATS)}, not {options.format!r}")
    for name in options.channels:
        find_channel(name)
    speakers = draw_speakers(options.speakers, options.seed, options.cast)
    if any(person.accent and person.accent_strength > 0 for person in speakers):
        require_pronunciations(options.dictionary)
    texts = mix(sentences, options.seed)
    return _tasks(islice(texts, count), speakers, options)


def _tasks(texts: Iterator[str], speakers: Sequence[PseudoSpeaker], options: PlanOptions) -> Iterator[Task]:
    for index, text in enumerate(texts):
        seed = f"utterance {options.seed} {index}"
        path = f"audio/{index // _FILES_A_FOLDER:03d}/{index:06d}.{options.format}"
        speaker = Random(f"who {seed}").choice(speakers)
        take = draw_take(text, speaker, seed, dictionary=options.dictionary)
        channel = Random(f"channel of {seed}").choice(options.channels) if options.channels else None
        yield Task(index, path, options.part, take, channel)


def fingerprint(sentences: list[list[str]], options: PlanOptions) -> dict[str, Any]:
    """What two runs must have in common for one to go on where the other stopped."""
    said = hashlib.sha256(json.dumps(sentences).encode()).hexdigest()
    settings = flat(options)
    if options.dictionary:
        entries = json.dumps(read_dictionary(options.dictionary))
        settings["dictionary"] = hashlib.sha256(entries.encode()).hexdigest()
    # Speakers are drawn from what is installed: a package more or less makes others of them.
    return {"sentences": said, **settings, "installed": speaking(options.cast)}


def flat(options: PlanOptions) -> dict[str, Any]:
    """The options in one JSON object, but for the dictionary, whose path says nothing."""
    settings = asdict(replace(options, dictionary=None))
    settings |= settings.pop("cast")
    content: dict[str, Any] = json.loads(json.dumps(settings))
    return content
