"""Which characters each person may write beyond those of the model, and who can be enrolled together."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

from asradapt.adaptation.tokens import character_problems
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.errors import StoreError, UsageError
from asradapt.models.base import SourceModel, writes
from asradapt.scoring import normalize
from asradapt.store import SpeakerStore
from asradapt.types import Utterance

FROM_TEXTS = "from-texts"
METHOD = "tokens"
FEW = 3
"""A character that is in fewer recordings is hardly learned, and hardly checked by folds."""

Utterances = Sequence[Utterance]


def _takes_more(model: SourceModel) -> None:
    """Refuse new characters for a model that writes any text.

    Raises:
        UsageError: If it does.
    """
    if writes(model):
        raise UsageError(f"--add-tokens is of no use for {model.name}: its tokenizer writes any text")


def parse_characters(text: str, tokens: Sequence[str]) -> str:
    """The new characters of `--add-tokens`: a run of them, or a list between spaces.

    Raises:
        UsageError: If there is none, or any cannot be added; all of them are named.
    """
    found = "".join(unicodedata.normalize("NFC", text).split())
    problems = character_problems(found)
    if known := sorted({one for one in found if one in tokens}):
        problems.append(f"the model can write already: {' '.join(known)}")
    if digits := sorted({one for one in found if unicodedata.category(one)[0] == "N"}):
        problems.append(f"write numbers as words instead of {' '.join(digits)}")
    if not found:
        problems.append("no character is given")
    if problems:
        raise UsageError(f"--add-tokens {text!r}: {'; '.join(problems)}")
    return found


def characters_in(utterances: Utterances, tokens: Sequence[str]) -> str:
    """The letters of texts that the model cannot write, sorted; digits are to be written as words."""
    used = set("".join(normalize(one.text or "") for one in utterances))
    return "".join(sorted(one for one in used - set(tokens) if unicodedata.category(one)[0] in "LM"))


def characters_before(model: SourceModel, store: SpeakerStore | None, name: str) -> str:
    """The characters that a stored person has added to this model."""
    if store is None or name not in store:
        return ""
    try:
        record = store.record(name)
    except StoreError:  # said where the version itself is looked at
        return ""
    own = record.options.get(METHOD)
    found = own.get("characters") if isinstance(own, dict) else None
    if record.source.get("fingerprint") != model.fingerprint or not isinstance(found, str):
        return ""
    return found


def characters_of(options: EnrolmentOptions) -> str:
    """The characters that everybody enrolled with these options adds."""
    return str(options.method_options.get(METHOD, {}).get("characters", ""))


def joined(method: str, options: EnrolmentOptions) -> str:
    """A method together with the new characters, if there are any."""
    return f"{method}+{METHOD}" if characters_of(options) and METHOD not in method.split("+") else method


def with_characters(options: EnrolmentOptions, characters: str) -> EnrolmentOptions:
    """The options of an enrolment that adds these characters."""
    if not characters:
        return options
    own = {**options.method_options, METHOD: {"characters": characters}}
    wide = replace(options, method_options=own)
    return wide if options.method == "auto" else replace(wide, method=joined(options.method, wide))


def label_spaces(
    model: SourceModel, people: Mapping[str, Utterances], options: EnrolmentOptions, store: SpeakerStore | None
) -> list[tuple[dict[str, Utterances], EnrolmentOptions]]:
    """People with the same new characters together, and the options of each such group.

    Raises:
        UsageError: If a character cannot be added.
    """
    given = options.add_tokens.strip()
    if given or characters_of(options):
        _takes_more(model)
    if given and given != FROM_TEXTS:
        given = parse_characters(given, model.tokens)
    found: dict[str, dict[str, Utterances]] = {}
    for name, utterances in people.items():
        before = characters_of(options) or characters_before(model, store, name)
        wanted = characters_in(utterances, model.tokens) if given == FROM_TEXTS else given
        found.setdefault(before + "".join(one for one in wanted if one not in before), {})[name] = utterances
    return [(own, with_characters(options, characters)) for characters, own in found.items()]


def rare_characters(people: Mapping[str, Utterances], characters: str) -> list[str]:
    """A warning for each person and each new character that is in few of the recordings."""
    found = []
    for name, utterances in people.items():
        texts = [normalize(one.text) for one in utterances if one.text]
        for one in characters:
            count = sum(one in text for text in texts)
            if count < FEW:
                what = "is in none" if not count else f"is in {count} only"
                found.append(
                    f"{name}: the new character {one} {what} of {len(texts)} texts; {FEW} or more are needed"
                )
    return found
