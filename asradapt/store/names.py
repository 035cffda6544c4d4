"""Which speaker names can safely be folder names on every system."""

from __future__ import annotations

import unicodedata

from asradapt.errors import InvalidSpeakerName

MAX_CHARACTERS = 64
MAX_BYTES = 200  # file systems allow 255 bytes for a folder name

_INSIDE = "-_.@ '"
_ALLOWED = (
    f"allowed are 1 to {MAX_CHARACTERS} letters and digits of any script, and between them "
    "'-', '_', '.', '@', space and apostrophe"
)
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))]
)


def validate_speaker(name: str) -> str:
    """Checks that a speaker name can safely be a folder name.

    Args:
        name: The name as typed.

    Returns:
        The name in Unicode's composed form (NFC), so that one way of typing `Zoë` is one speaker.

    Raises:
        InvalidSpeakerName: All that is wrong with the name, what is allowed, and a similar valid name.
    """
    name = unicodedata.normalize("NFC", name)
    problems = _problems(name)
    if not problems:
        return name
    shown = name if len(name) <= MAX_CHARACTERS else name[:40] + "..."
    message = f"speaker name {shown!r} {'; '.join(problems)}; {_ALLOWED}"
    suggestion = _suggestion(name)
    raise InvalidSpeakerName(f"{message}. Try {suggestion!r}" if suggestion else message)


def _problems(name: str) -> list[str]:
    """Everything that is wrong with a name, as phrases that follow the name."""
    if not name:
        return ["is empty"]
    problems = []
    if len(name) > MAX_CHARACTERS:
        problems.append(f"has {len(name)} characters, the limit is {MAX_CHARACTERS}")
    elif (size := len(name.encode(errors="surrogatepass"))) > MAX_BYTES:
        problems.append(f"takes {size} bytes, the limit is {MAX_BYTES}")
    wrong = sorted({character for character in name if not _is_allowed(character)})
    if wrong:
        problems.append("contains " + ", ".join(map(repr, wrong[:5])) + (", ..." if len(wrong) > 5 else ""))
    if _is_allowed(name[0]) and not _may_begin(name[0]):
        problems.append("does not begin with a letter or digit")
    if _is_allowed(name[-1]) and not _may_end(name[-1]):
        problems.append("does not end with a letter or digit")
    if ".." in name:
        problems.append("contains '..'")
    if name.split(".")[0].rstrip().lower() in _RESERVED:
        problems.append("is a reserved device name on Windows")
    return problems


def _may_begin(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "L" or category == "Nd"


def _may_end(character: str) -> bool:
    """Letters, digits, and the marks that many scripts write their vowels with."""
    return _may_begin(character) or unicodedata.category(character) in ("Mn", "Mc")


def _is_allowed(character: str) -> bool:
    return _may_end(character) or character in _INSIDE


def _suggestion(name: str) -> str:
    """A similar valid name, or an empty string."""
    plain = name.translate(dict.fromkeys(map(ord, "‘’ʼ`´"), "'"))
    plain = "".join(character if _is_allowed(character) else "-" for character in plain)
    while any(double in plain for double in ("--", "..")):
        plain = plain.replace("--", "-").replace("..", ".")
    plain = plain.lstrip(_INSIDE)[:MAX_CHARACTERS].rstrip(_INSIDE)
    if plain and "is a reserved device name on Windows" in _problems(plain):
        plain = f"speaker-{plain}"
    return plain if not _problems(plain) else ""
