"""How much of a stored person's method another source model has places for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from asradapt.adaptation import Method, create
from asradapt.adaptation.mixed import IDENTITY
from asradapt.adaptation.tokens import Tokens
from asradapt.enrolment.label_space import METHOD
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.errors import AsradaptError, UsageError
from asradapt.models.base import SourceModel, writes
from asradapt.store import SpeakerRecord


@dataclass(frozen=True)
class Suited:
    """The method of a record, as far as a model has places for it.

    Attributes:
        method: The parts that remain, such as `affine+tokens`; empty where none does.
        options: Their options by method name.
        lost: For each part that does not remain, why.
        columns: Of the characters that the record has added, the places of those that remain.
        notes: The other characters, and why they do not remain, in sentences.
    """

    method: str
    options: Mapping[str, Mapping[str, object]]
    lost: Mapping[str, str]
    columns: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def characters(self) -> str:
        """The characters that are still to be added."""
        return str(self.options.get(METHOD, {}).get("characters", ""))

    @property
    def reasons(self) -> tuple[str, ...]:
        """All that does not remain, and why."""
        return (*(f"{part}: {reason}" for part, reason in self.lost.items()), *self.notes)


def suit(model: SourceModel, record: SpeakerRecord) -> Suited:
    """What of a record's method a model has places for; nothing of the method `identity`.

    Characters that the model writes by itself are no longer to be added.

    Raises:
        AsradaptError: If the method or its options are not known here.
    """
    if record.method == IDENTITY:
        return Suited("", {}, {})
    options: dict[str, Mapping[str, object]] = {}
    lost: dict[str, str] = {}
    columns: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    for method in _created(record):
        one = method
        if isinstance(method, Tokens):
            columns = tuple(n for n, letter in enumerate(method.characters) if letter not in model.tokens)
            if known := [letter for letter in method.characters if letter in model.tokens]:
                notes = (f"new characters: the model {model.name!r} can write {' '.join(known)} by itself",)
            one = replace(method, characters="".join(method.characters[n] for n in columns))
        if problem := _problem(model, one):
            lost[one.name] = problem
        else:
            options[one.name] = one.options()
    return Suited("+".join(options), options, lost, columns, () if METHOD in lost else notes)


def own_options(options: EnrolmentOptions, suited: Suited) -> EnrolmentOptions:
    """The options of an enrolment anew: with the person's own characters, and method where none is asked for."""
    given = dict(options.method_options)
    if options.method == "auto" and suited.method:
        own = {name: {**one, **given.get(name, {})} for name, one in suited.options.items()}
        options = replace(options, method=suited.method, method_options=given | own)
    if not suited.characters:
        return options
    asked = str(given.get(METHOD, {}).get("characters", ""))
    both = suited.characters + "".join(one for one in asked if one not in suited.characters)
    wide = replace(options, method_options={**options.method_options, METHOD: {"characters": both}})
    if wide.method == "auto" or METHOD in wide.method.split("+"):
        return wide
    return replace(wide, method=f"{wide.method}+{METHOD}")


def _created(record: SpeakerRecord) -> tuple[Method, ...]:
    """The methods of a record."""
    try:
        return create(record.method, record.options)
    except ValueError as error:  # a value that the method does not take
        raise UsageError(f"method {record.method!r}: {error}") from error


def _problem(model: SourceModel, method: Method) -> str:
    """Why a model has no place for a method; nothing if it has."""
    if isinstance(method, Tokens) and writes(model):
        return f"the model {model.name!r} writes its texts token by token, and takes no new characters"
    if isinstance(method, Tokens) and not method.characters:
        return f"the model {model.name!r} can write all of the new characters by itself"
    try:
        return "" if method.sites(model) else f"the model {model.name!r} has no place for it"
    except AsradaptError as error:
        return str(error)
