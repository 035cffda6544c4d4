"""What `asradapt models show` says of a source model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asradapt.cli.common import aligned

if TYPE_CHECKING:
    from asradapt.models.base import SourceModel

OWN = {"architecture", "library", "weights", "sha256", "parameters", "given"}
"""What is not shown with the rest of the card."""
MOST_CHARACTERS = 200


def describe(name: str, model: SourceModel) -> dict[str, Any]:
    """Everything there is to say of a model, as plain values.

    Args:
        name: What `--model` was given.
        model: The loaded model.
    """
    from asradapt.adaptation import METHODS

    card = model.card
    kinds = Counter(site.kind for site in model.sites)
    there = {site.kind for site in (*model.sites, *model.weights)}
    places = getattr(model, "places", None)  # of models whose places were found by trying
    return {
        "model": model.name,
        "architecture": card.get("architecture") or type(model.module).__name__,
        "library": card.get("library") or "asradapt",
        "tokens": list(model.tokens),
        "sample_rate": model.sample_rate,
        "frame_seconds": model.frame_seconds,
        "parameters": card.get("parameters") or sum(weight.numel() for weight in model.module.parameters()),
        "fingerprint": model.fingerprint,
        "weights": _files(name, card),
        "sites": dict(kinds),
        "weight_sites": len(model.weights),
        "methods": [
            one for one in sorted(METHODS) if METHODS[one].kinds & there and (model.tokens or one != "tokens")
        ],
        "equal_lengths": model.equal_lengths,
        "leak": None if places is None else float(places.leak),
        "card": {key: value for key, value in card.items() if key not in OWN},
    }


def _files(name: str, card: dict[str, Any]) -> list[dict[str, str]]:
    """The files of the weights with their hashes."""
    from asradapt.errors import UsageError
    from asradapt.models.names import weights_file
    from asradapt.models.torchaudio_bundle import sha256

    try:
        paths = [Path(path) for path in card["weights"]] if "weights" in card else [weights_file(name)]
    except UsageError:  # a kind that another package adds, and does not say
        return []
    known = {paths[0]: card["sha256"]} if len(paths) == 1 and "sha256" in card else {}
    return [{"file": str(path), "sha256": known.get(path) or sha256(path)} for path in paths]


def lines(shown: dict[str, Any]) -> list[str]:
    """The description as lines of a table."""
    sites = ", ".join(f"{count} {kind}" for kind, count in shown["sites"].items())
    rows = [
        ("model", shown["model"]),
        ("network", f"{shown['architecture']} ({shown['library']}), {shown['parameters']:,} parameters"),
        ("tokens", _tokens(shown["tokens"])),
        ("sound", f"{shown['sample_rate']} Hz, {1000 * shown['frame_seconds']:.4g} ms from frame to frame"),
        ("fingerprint", shown["fingerprint"]),
        *((("weights", f"{file['file']}, sha256 {file['sha256']}")) for file in shown["weights"]),
        ("sites", f"{sites}; {shown['weight_sites']} weights"),
        ("methods", ", ".join(shown["methods"])),
        ("batches", _batches(shown)),
    ]
    plain = (str, int, float)
    card = {key: value for key, value in shown["card"].items() if key not in shown and isinstance(value, plain)}
    rows += [(key, str(value)) for key, value in card.items()]
    return aligned(rows)


def _tokens(tokens: list[str]) -> str:
    """How many there are, and those that are one character."""
    if not tokens:
        return "pieces of words, by its own tokenizer: it writes any text"
    letters = "".join(sorted(token for token in tokens if len(token) == 1 and not token.isspace()))
    shown = letters[:MOST_CHARACTERS] + (" ..." if len(letters) > MOST_CHARACTERS else "")
    return f"{len(tokens)}, of them {len(letters)} characters: {shown}"


def _batches(shown: dict[str, Any]) -> str:
    """Which rows may stand in a batch, and what that rests on."""
    taken = "rows of one length only" if shown["equal_lengths"] else "rows of any lengths"
    if shown["leak"] is None:
        return taken
    return f"{taken}: padding changes the logits by {shown['leak']:.2g} of the greatest"
