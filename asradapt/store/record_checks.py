"""What is wrong with the values of a `speaker.json`, which may come from anywhere; each problem in a few words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from asradapt.errors import AsradaptError, DamagedSpeaker, StoreError, UnknownMethod

DECISIONS = ("adapted", "source")
MODEL_OPTIONS = {"model", "language", "task"}
IDENTITY = "identity"
RANGES = {
    "utterances": (0, 10**7),
    "seconds": (0, 10**9),  # thirty years
    "version": (0, 10**9),
    "seed": (-(2**63), 2**64),
    "format_version": (1, 10**9),
}
"""The least and the greatest value of a number."""


def problems(values: Mapping[str, object], expected: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with the values of a record; whether the method is known is asked elsewhere.

    Args:
        values: What was read from JSON.
        expected: The keys, and their types as annotations.
    """
    missing = sorted(expected.keys() - values.keys())
    unknown = sorted(values.keys() - expected.keys())
    found = [f"missing keys {', '.join(missing)}"] if missing else []
    found += [f"unknown keys {', '.join(map(repr, unknown))}"] if unknown else []
    for key, kind in expected.items():
        if key in values:
            found += _of_value(key, values[key], kind)
    return found + _of_decision(values) + _of_source(values) + _of_parts(values)


def require_method(method: str, options: Mapping[str, Any]) -> None:
    """Refuse a method that is not known, and options that it cannot have.

    Raises:
        DamagedSpeaker: In this case; says what is known.
        StoreError: If the method is not known: nothing is damaged, it is another program's.
    """
    if method == IDENTITY and not options:
        return
    from asradapt.adaptation import create

    try:
        create("+".join(options) if method == IDENTITY else method, options)
    except UnknownMethod as error:
        raise StoreError(
            f"it was made with a method that is not loaded here: {error}. Import its module, or install the "
            "package that registers it"
        ) from error
    except AsradaptError as error:
        raise DamagedSpeaker(f"speaker.json is damaged: {error}") from error


def _of_value(key: str, value: object, kind: str) -> list[str]:
    if not _fits(value, kind):
        return [f"{key} is {_shortened(value)}, not {kind}"]
    least, most = RANGES.get(key, (-math.inf, math.inf))
    if isinstance(value, int | float) and not least <= value <= most:
        return [f"{key} is {_shortened(value)}, not from {least} to {most:g}"]
    if key == "created" and value and not _is_time(str(value)):
        return [f"created is {_shortened(value)}, not a time such as 2026-01-31T12:00:00+00:00"]
    return []


def _of_decision(values: Mapping[str, object]) -> list[str]:
    found = []
    decision = values.get("decision")
    if isinstance(decision, str) and decision not in DECISIONS:
        found.append(f"decision is {_shortened(decision)}, not one of {', '.join(DECISIONS)}")
    elif isinstance(decision, str) and (decision == "source") != (values.get("method") == IDENTITY):
        found.append(f"decision {decision!r} does not go with method {_shortened(values.get('method'))}")
    options = values.get("options")
    if isinstance(options, dict) and not all(isinstance(value, dict) for value in options.values()):
        found.append("options are not given by method")
    return found


def _of_source(values: Mapping[str, object]) -> list[str]:
    source = values.get("source")
    if isinstance(source, dict) and source.keys() - MODEL_OPTIONS != {"name", "fingerprint"}:
        return [f"source has the keys {sorted(source)}, not name and fingerprint"]
    return []


def _of_parts(values: Mapping[str, object]) -> list[str]:
    """What is wrong inside `split`, `folds` and `gate`, as far as their keys are known; others are let through."""
    found = []
    for part, keys in PARTS.items():
        content = values.get(part)
        if isinstance(content, dict):
            wrong = [key for key, fits in keys.items() if key in content and not fits(content[key])]
            found += [f"{part}: {key} is {_shortened(content[key])}, which it cannot be" for key in wrong]
    return found


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _fits(value: object, kind: str) -> bool:
    """Whether a value read from JSON has the type of a field, given as its annotation."""
    if isinstance(value, bool):  # a bool is an int in Python
        return False
    if kind == "float":
        return isinstance(value, int | float) and abs(value) < math.inf
    if kind.startswith("dict"):
        only_text = kind == "dict[str, str]"
        return isinstance(value, dict) and (not only_text or all(isinstance(v, str) for v in value.values()))
    return isinstance(value, {"str": str, "int": int}[kind])


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_rates(value: object) -> bool:
    return isinstance(value, dict) and all(_fits(one, "float") and one >= 0 for one in value.values())


def _is_number(value: object) -> bool:
    return value is None or _fits(value, "float")


def _is_share(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and 0 <= value <= 1)


def _is_origin(value: object) -> bool:
    """Of a speaker who was moved from another model: which version of which model, and what came along."""
    return (
        isinstance(value, dict)
        and _fits(value.get("version"), "int")
        and {"name", "fingerprint"}
        <= (value["source"] if _fits(value.get("source"), "dict[str, str]") else {}).keys()
        and _is_texts(value.get("moved"))
        and _is_texts(value.get("dropped"))
    )


def _is_partly(value: object) -> bool:
    """What was heard in recordings without texts, beside those with texts."""
    if value is None:
        return True
    if not isinstance(value, dict):
        return False
    kinds = {"pieces": "int", "seconds": "float"}
    counted = all(_fits(value.get(key, 0), kind) and value.get(key, 0) >= 0 for key, kind in kinds.items())
    return counted and isinstance(value.get("used", False), bool)


PARTS: Mapping[str, Mapping[str, Callable[[object], bool]]] = {
    "split": {
        "texts": _is_texts,
        "digests": _is_texts,
        "earlier": _is_dict,
        "imported": _is_dict,
        "migrated": _is_origin,
        "transcribed": _is_bool,
    },
    "folds": {
        "before": _is_rates,
        "after": _is_rates,
        "low": _is_number,
        "high": _is_number,
        "misheard": _is_dict,
    },
    "gate": {
        "confidence": _is_share,
        "chance": _is_share,
        "judged": _is_bool,
        "tried": _is_dict,
        "partly": _is_partly,
    },
}
"""What the known keys inside the parts of a record hold."""
