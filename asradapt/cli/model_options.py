"""The source model of a command: its options, and how it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import F, note
from asradapt.models.options import PRECISIONS

if TYPE_CHECKING:
    from asradapt.models.base import SourceModel

SHORT = ("bf16", "fp16")
MODEL_OPTIONS = "asradapt.model_options"  # where the command's context keeps them


def _remember(context: click.Context, option: click.Parameter, value: object) -> None:
    """Keep an option of the source model until the model is opened; the command itself has no use for it."""
    if value is not None:
        context.meta.setdefault(MODEL_OPTIONS, {})[option.name] = value


def source_options(command: F) -> F:
    """What can be said of a source model besides its name; `open_model` reads it."""
    hidden: dict[str, Any] = {"callback": _remember, "expose_value": False}
    for option in (
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            **hidden,
            help="What the frozen network computes with; the embedded model takes fp32 or bf16  [default: fp32]",
        ),
        click.option(
            "--task",
            type=click.Choice(["transcribe", "translate"]),
            **hidden,
            help="What a model that can do both should do  [default: transcribe]",
        ),
        click.option("--language", metavar="CODE", **hidden, help="Language, for a model of many languages."),
        click.option(
            "--allow-pickle",
            is_flag=True,
            default=None,
            **hidden,
            help="Read weights from a pickle where there are no safetensors; only its tensors are taken.",
        ),
        click.option(
            "--weights",
            metavar="FILE",
            type=click.Path(path_type=Path),
            **hidden,
            help="A file with the weights of a torchaudio bundle  [default: torch's own cache]",
        ),
    ):
        command = option(command)
    return command


def model_options(command: F) -> F:
    """`--model`, `--device`, and what else can be said of a source model."""
    command = source_options(command)
    for option in (
        click.option(
            "--device", default="auto", show_default=True, help="Where to compute: auto, cpu, cuda or mps."
        ),
        click.option(
            "--model",
            default="source_en",
            help="Source model: a name, torchaudio:BUNDLE, hf:OWNER/MODEL, a folder or a .safetensors file  "
            "[default: that of the one speaker who is named, else source_en]",
        ),
    ):
        command = option(command)
    return command


def open_model(name: str, device: str) -> SourceModel:
    """The source model, on its device, computing with the machine's cores."""
    from asradapt.models import ModelOptions, load_model

    context = click.get_current_context(silent=True)
    said: dict[str, Any] = context.meta.get(MODEL_OPTIONS, {}) if context else {}
    model = load_model(name, device=device, options=ModelOptions(**said))
    if said.get("precision") in SHORT and model.device.type == "cpu":
        _tell_of_precision(model, said["precision"])
    return model


def _tell_of_precision(model: SourceModel, precision: str) -> None:
    """Say where a coarser precision may take longer: the project's own network gains on some processors."""
    from asradapt.models.processor import faster_in_bf16
    from asradapt.models.source import ConformerSource

    if not isinstance(model, ConformerSource):
        note(f"{precision} on a CPU is slower than fp32; it saves memory only")
    elif not faster_in_bf16():
        note(f"{precision} is hardly faster than fp32 on this processor, or slower")
