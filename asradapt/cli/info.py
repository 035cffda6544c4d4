"""`asradapt models`, `asradapt methods`, `asradapt prompts`."""

from __future__ import annotations

import click

from asradapt.cli.common import json_option, print_json, say


@click.command()
@json_option
def models(as_json: bool) -> int:
    """List the source models, one line each."""
    from asradapt.models import EMBEDDED

    if as_json:
        print_json({"models": [{"name": name, "summary": summary} for name, summary in EMBEDDED.items()]})
    else:
        for name, summary in EMBEDDED.items():
            say(f"{name:12} {summary}")
    return 0


@click.command()
@json_option
def methods(as_json: bool) -> int:
    """List the adaptation methods, one line each.

    Join names with + to combine methods, as in affine+lowrank.
    """
    from asradapt.adaptation import METHODS

    found = [METHODS[name] for name in sorted(METHODS)]
    if as_json:
        rows = [{"name": m.name, "summary": m.summary, "one_speaker_a_batch": m.one_speaker} for m in found]
        print_json({"methods": rows})
    else:
        for method in found:
            say(f"{method.name:12} {method.summary}")
    return 0


@click.command()
@click.option("--count", type=int, help="How many  [default: all]")
@click.option("--level", type=click.Choice(["easy", "plain"]), help="Only sentences of this level.")
@json_option
def prompts(count: int | None, level: str | None, as_json: bool) -> int:
    """Print sentences to read aloud for an enrolment.

    Their order covers the sounds of English fastest, so the first ones are worth the most.
    """
    from asradapt.prompts import choose_prompts

    chosen = choose_prompts(count, level=level)
    if as_json:
        rows = [{"id": p.id, "level": p.level, "text": p.text, "phones": list(p.phones)} for p in chosen]
        print_json({"prompts": rows})
    else:
        for prompt in chosen:
            say(f"{prompt.id}\t{prompt.text}")
    return 0
