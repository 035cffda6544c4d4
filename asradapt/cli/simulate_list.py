"""`asradapt simulate --list`: what speech can be made with."""

from __future__ import annotations

import textwrap
from typing import Any

from asradapt.cli.common import aligned, print_json, say

_WIDTH = 100


def list_all(*, as_json: bool) -> int:
    """Print engines with their voices, accents, impediments and channels."""
    from asradapt.simulation.accents import ACCENTS
    from asradapt.simulation.channel import CHANNELS
    from asradapt.simulation.impediments import IMPEDIMENTS

    content: dict[str, Any] = {
        "engines": _engines(),
        "accents": sorted(ACCENTS),
        "impediments": [{"name": name, "summary": IMPEDIMENTS[name].summary} for name in sorted(IMPEDIMENTS)],
        "channels": [{"name": name, "summary": CHANNELS[name].summary} for name in sorted(CHANNELS)],
    }
    if as_json:
        print_json(content)
    else:
        _tell(content)
    return 0


def _engines() -> list[dict[str, Any]]:
    from asradapt.simulation.engines import ENGINES

    found = []
    for name in sorted(ENGINES):
        engine = ENGINES[name]
        installed = engine.installed_voices()
        voices = [
            {"name": v.name, "sex": v.sex, "f0": v.f0, "installed": v in installed, "by_default": v.by_default}
            for v in engine.voices
        ]
        taken = {"name": name, "installed": bool(installed), "packages": engine.packages}
        found.append(taken | {"accents": engine.takes_phones, "voices": voices})
    return found


def _tell(content: dict[str, Any]) -> None:
    say("engines and their voices (--engines NAME=WEIGHT, --voice ENGINE:VOICE)")
    for engine in content["engines"]:
        _tell_engine(engine)
    say("\naccents (--accent NAME=STRENGTH, or random)")
    _wrapped(", ".join(content["accents"]))
    for kind, option in (("impediments", "--impediment NAME=STRENGTH, or random"), ("channels", "--channel NAME")):
        say(f"\n{kind} ({option})")
        for line in aligned([(f"  {row['name']}", row["summary"]) for row in content[kind]]):
            say(line)


def _tell_engine(engine: dict[str, Any]) -> None:
    missing = [voice["name"] for voice in engine["voices"] if not voice["installed"]]
    state = (
        "not installed" if not engine["installed"] else f"without {', '.join(missing)}" if missing else "installed"
    )
    say(f"  {engine['name']}: {state}, takes {'' if engine['accents'] else 'no '}accents")
    if missing:
        say(f"    apt-get install {engine['packages']}")
    _wrapped(", ".join(_shown(voice) for voice in engine["voices"]), indent=4)


def _shown(voice: dict[str, Any]) -> str:
    return str(voice["name"]) + ("" if voice["by_default"] else " (only if named)")


def _wrapped(text: str, *, indent: int = 2) -> None:
    margin = " " * indent
    for line in textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
    ):
        say(line)
