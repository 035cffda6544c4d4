"""The source model that a speaker was enrolled on, and what `--model` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from asradapt.cli.common import note
from asradapt.cli.model_options import MODEL_OPTIONS, open_model
from asradapt.errors import StoreError, UnknownName

if TYPE_CHECKING:
    from asradapt.store import SpeakerRecord, SpeakerStore


def model_was_given() -> bool:
    """Whether the command that is running was given `--model`."""
    source = click.get_current_context().get_parameter_source("model")
    return source not in (None, ParameterSource.DEFAULT)


def model_for(speaker: str | None, store: SpeakerStore, model: str) -> str:
    """What `--model` says; where it says nothing, the model that a speaker was enrolled on.

    Args:
        speaker: The one speaker whom a command is about; None if it is about any number.
        store: Where the speaker may be.
        model: The value of `--model`.
    """
    if speaker is None or model_was_given():
        return model
    try:
        source = store.record(speaker).source
    except (StoreError, UnknownName):  # told by whoever needs the record
        return model
    known = source.get("model", model)
    if known != model:
        note(f"{speaker} was enrolled on {known}, which is used; --model chooses another")
        said = click.get_current_context().meta.setdefault(MODEL_OPTIONS, {})
        for option in ("language", "task"):
            if option in source:
                said.setdefault(option, source[option])
    return known


def require_given_model(record: SpeakerRecord, model: str, device: str) -> None:
    """Where `--model` is given although nothing is computed with it, find out whether it is the speaker's own.

    Raises:
        SourceMismatch: If it is another one.
    """
    if model_was_given():
        from asradapt.store import check_source

        source = open_model(model, device)
        check_source(record, source.name, source.fingerprint)
