"""Which source model a stored speaker belongs to, and how it is asked for again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from asradapt.errors import SourceMismatch
from asradapt.models.names import EMBEDDED
from asradapt.store.record import SpeakerRecord

SHOWN = 12
"""So many digits of a fingerprint tell models apart in messages."""
_PUBLIC = re.compile(r"hf:\w[\w.-]*/\w[\w.-]*|torchaudio:\w+")


def another_source(record: SpeakerRecord, name: str, fingerprint: str) -> str:
    """How a source model differs from that of a record, to be read behind the speaker; empty if it is the same.

    Args:
        record: The stored speaker.
        name: Name of the source model in use.
        fingerprint: Its fingerprint.
    """
    own, weights = record.source.get("name", ""), record.source.get("fingerprint", "")
    # the same weights may come from the hub and from a folder, or from a folder that was renamed
    if fingerprint == weights and (name == own or (":" in name and _kind(name) == _kind(own))):
        return ""
    theirs, here = f"{own} (fingerprint {weights[:SHOWN]})", f"{name} ({fingerprint[:SHOWN]})"
    return f"belongs to another source model: {theirs}, not {here}"


def check_source(record: SpeakerRecord, name: str, fingerprint: str) -> None:
    """Checks that an adaptation was made for the source model that is about to use it.

    Args:
        record: The stored adaptation.
        name: Name of the source model in use.
        fingerprint: Its fingerprint.

    Raises:
        SourceMismatch: Both models, and what to do.
    """
    if other := another_source(record, name, fingerprint):
        raise SourceMismatch(f"speaker {record.speaker!r} {other}. {_advice(record, name)}")


def options_for(record: SpeakerRecord) -> str:
    """The options of a command that give the source model of a record; empty where they are not known."""
    said = dict(record.source)
    if "model" not in said and _public(said["name"]):
        said["model"] = said["name"]
    if "model" not in said:
        return ""
    return " ".join(f"--{key} {shlex.quote(said[key])}" for key in ("model", "language", "task") if key in said)


def portable(record: SpeakerRecord) -> SpeakerRecord:
    """The record without what `--model` was if that is a path of the machine that it was made on."""
    model = record.source.get("model", "")
    if not model or _public(model):
        return record
    return replace(record, source=_without(record.source, "model"))


def _public(model: str) -> bool:
    """Whether a model is called so on every machine."""
    return model in EMBEDDED or bool(_PUBLIC.fullmatch(model))


def _without(source: Mapping[str, str], key: str) -> dict[str, str]:
    return {name: value for name, value in source.items() if name != key}


def _advice(record: SpeakerRecord, name: str) -> str:
    options, own = options_for(record), record.source.get("name")
    if name == own and options in ("", f"--model {own}"):
        first = "The model of that name has changed"
    else:
        first = f"Give {options}" if options else f"Give the model {own} by --model, its file or folder"
        first += ", unless it is another one now: it was written after the enrolment" * _written_since(record)
    migrate = f"`asradapt speakers migrate {shlex.quote(record.speaker)}` with the new --model"
    alone = "`transcribe --source-only` leaves all adaptations out"
    return f"{first}; {migrate} takes the speaker along; or enrol the speaker again; {alone}"


def _written_since(record: SpeakerRecord) -> bool:
    """Whether weights that `--model` named were written after the enrolment, which is known to the second."""
    if "model" not in record.source:
        return False
    path = Path(record.source["model"])
    try:
        made = datetime.fromisoformat(record.created).timestamp()
        files = [*path.glob("*.safetensors"), *path.glob("*.bin")] if path.is_dir() else [path]
        return max((file.stat().st_mtime for file in files), default=0.0) > made + 1
    except (OSError, ValueError):  # not there any more, or called by a name
        return False


def _kind(name: str) -> str:
    return name.partition(":")[0]
