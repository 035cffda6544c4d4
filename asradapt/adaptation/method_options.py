"""Options of adaptation methods as they come back from a `speaker.json`, which knows lists and not tuples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def read_options(kind: type[Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The options of a method in its own types, and what is wrong with them, each in a few words.

    Args:
        kind: The class of the method; its fields are of plain values, tuples of such, or either of several.
        given: The options by name.
    """
    hints = get_type_hints(kind)
    shown = {one.name: getattr(one.type, "__name__", str(one.type)) for one in fields(kind)}
    found, wrong = {}, []
    for key, value in given.items():
        if key not in shown:
            wrong.append(f"{kind.name} has no option {key!r}; it has {', '.join(shown) or 'none'}")
        elif fits(value, hints[key]):
            found[key] = _own(value, hints[key])
        else:
            wrong.append(f"{kind.name}: {key} must be {shown[key]}, got {value!r}")
    return found, wrong


def fits(value: object, kind: Any) -> bool:
    """Whether a value is of a type, or a list in the place of a tuple, or a whole number in that of a float."""
    if get_origin(kind) in (Union, UnionType):
        return any(fits(value, one) for one in get_args(kind))
    if kind in (None, NoneType):
        return value is None
    if (get_origin(kind) or kind) is tuple:
        return isinstance(value, list | tuple)
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    return kind in (Any, object) or type(value) is (get_origin(kind) or kind)


def _own(value: Any, kind: Any) -> Any:
    union = get_origin(kind) in (Union, UnionType)
    kinds = [get_origin(one) or one for one in (get_args(kind) if union else (kind,))]
    return _frozen(value) if tuple in kinds and list not in kinds else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
