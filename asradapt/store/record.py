"""`speaker.json`: everything that is known about a stored adaptation except its tensors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import NoReturn

from asradapt.errors import DamagedSpeaker, StoreError
from asradapt.store.record_checks import problems, require_method

RECORD_FILE = "speaker.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SpeakerRecord:
    """The contents of `speaker.json`.

    Attributes:
        speaker: The speaker's name, also the name of the folder.
        decision: What the gate decided: `adapted`, or `source` to keep the source model as it is.
        method: Name of the adaptation method; `identity` where the source is kept.
        options: Options of the method.
        source: `name` and `fingerprint` of the model the adaptation was made for; and, where they are known, the
            options that loaded it: `model`, `language`, `task`.
        utterances: Number of enrolment utterances.
        seconds: Their length in seconds.
        split: How the utterances were divided into folds.
        seed: Seed of the enrolment.
        folds: Errors before and after on held-out folds, with interval.
        gate: What the gate compared, and its thresholds.
        created: When the adaptation was made, ISO 8601 in UTC; filled in by the store if empty.
        version: Version of this speaker, counted from 1; given by the store, 0 before.
        sha256: Hash of `adaptation.safetensors`; given by the store, empty before.
        format_version: Version of this file format.
    """

    speaker: str
    decision: str
    method: str
    options: dict[str, dict[str, object]]
    source: dict[str, str]
    utterances: int
    seconds: float
    split: dict[str, object]
    seed: int
    folds: dict[str, object]
    gate: dict[str, object]
    created: str = ""
    version: int = 0
    sha256: str = ""
    format_version: int = FORMAT_VERSION

    @property
    def transcribed(self) -> bool:
        """Whether the texts of the recordings were known; otherwise it learned from what the model hears."""
        return self.split.get("transcribed", True) is not False

    @property
    def imported(self) -> bool:
        """Whether it comes from another program, so that nobody knows what it has learned from."""
        return "imported" in self.split

    def require_method(self) -> None:
        """Refuse a method that is not known, and options that it cannot have.

        Raises:
            DamagedSpeaker: In this case.
        """
        require_method(self.method, self.options)

    def to_json(self) -> str:
        """The record as the text of `speaker.json`.

        Raises:
            StoreError: A field holds what JSON cannot write, or what `from_json` would not read.
        """
        try:
            text = json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            text.encode()
        except (TypeError, ValueError) as error:
            raise StoreError(f"the record of speaker {self.speaker!r} cannot be written: {error}") from error
        if wrong := problems(json.loads(text), _expected()):
            raise StoreError(f"the record of speaker {self.speaker!r} is wrong: {'; '.join(wrong)}")
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> SpeakerRecord:
        """Reads the text of `speaker.json` strictly.

        Args:
            text: The text, or its bytes in UTF-8.

        Raises:
            DamagedSpeaker: It is not JSON, or keys are missing, unknown or of the wrong type; all are named.
            StoreError: It was written by a newer version of asradapt.
        """
        values = _parse(text)
        written = values.get("format_version")
        if isinstance(written, int) and written > FORMAT_VERSION:
            raise StoreError(
                f"speaker.json has format version {written}, this asradapt reads up to {FORMAT_VERSION}; "
                "upgrade asradapt"
            )
        if wrong := problems(values, _expected()):
            raise DamagedSpeaker(f"speaker.json is damaged: {'; '.join(wrong)}")
        return cls(**values)  # type: ignore[arg-type]  # every type was checked above


def _parse(text: str | bytes) -> dict[str, object]:
    """The JSON object in a text; NaN and infinity are not JSON."""
    try:
        values = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DamagedSpeaker(f"speaker.json is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise DamagedSpeaker(f"speaker.json is damaged: it holds a {type(values).__name__}, not an object")
    return values


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _expected() -> dict[str, str]:
    return {field.name: str(field.type) for field in fields(SpeakerRecord)}
