"""Make `asradapt/assets/prompts.tsv` from `tools/prompts.txt`: ids, phones and reading order.

    python tools/order_prompts.py --cmudict cmudict.dict

The pronunciations come from the CMU Pronouncing Dictionary (https://github.com/cmusphinx/cmudict).
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from asradapt.prompts import LEVELS, PHONES, Prompt, diphone_weights, order_prompts

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tools" / "prompts.txt"
TARGET = ROOT / "asradapt" / "assets" / "prompts.tsv"
# Words whose first pronunciation is not the one meant in these sentences.
MEANT = {"close": "close(2)", "excuse": "excuse(2)", "live": "live(2)", "read": "read(2)", "wind": "wind(2)"}


def main(arguments: list[str] | None = None) -> int:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cmudict", type=Path, required=True, help="cmudict.dict")
    parser.add_argument("--source", type=Path, default=SOURCE, help="level|sentence, one a line")
    parser.add_argument("--out", type=Path, default=TARGET, help="the table to write")
    options = parser.parse_args(arguments)
    sentences = _read_source(options.source)
    problems = _problems(sentences, dictionary := _read_cmudict(options.cmudict))
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    _write(_pronounce(sentences, dictionary), options.out)
    print(f"{len(sentences)} sentences in {options.out}", file=sys.stderr)
    return 0


def _read_source(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = (line for line in lines if line.strip() and not line.startswith("#"))
    return [(level.strip(), text.strip()) for level, _, text in (line.partition("|") for line in kept)]


def _read_cmudict(path: Path) -> dict[str, tuple[str, ...]]:
    lines = (line.partition("#")[0].split() for line in path.read_text(encoding="utf-8").splitlines())
    # Stress is the digit behind a vowel.
    return {word: tuple(phone.rstrip("012") for phone in phones) for word, *phones in filter(None, lines)}


def _words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", " ", text.lower()).split()


def _problems(sentences: list[tuple[str, str]], dictionary: dict[str, tuple[str, ...]]) -> list[str]:
    """List everything that is wrong, so that one run shows all of it."""
    seen: set[tuple[str, ...]] = set()
    problems = []
    for level, text in sentences:
        words = _words(text)
        unknown = [word for word in words if word not in dictionary]
        checks = {
            f"level {level!r}, must be one of {', '.join(LEVELS)}": level not in LEVELS,
            f"{len(words)} words, must be 4 to 14": not 4 <= len(words) <= 14,
            "characters other than letters, apostrophe and .,?!": bool(re.search(r"[^A-Za-z' .,?!]", text)),
            f"not in the dictionary: {', '.join(unknown)}": bool(unknown),
            "occurs twice": tuple(words) in seen,
        }
        problems += [f"{text!r}: {problem}" for problem, wrong in checks.items() if wrong]
        seen.add(tuple(words))
    return problems


def _pronounce(sentences: list[tuple[str, str]], dictionary: dict[str, tuple[str, ...]]) -> list[Prompt]:
    prompts = []
    for number, (level, text) in enumerate(sentences, start=1):
        sounds = tuple(dictionary[MEANT.get(word, word)] for word in _words(text))
        phones = tuple(phone for word in sounds for phone in word)
        prompts.append(Prompt(f"p{number:03d}", level, text, phones, sounds))
    return prompts


def _write(prompts: list[Prompt], path: Path) -> None:
    missing = PHONES - {phone for prompt in prompts for phone in prompt.phones}
    if missing:
        print(f"no sentence has {' '.join(sorted(missing))}", file=sys.stderr)
    ordered = order_prompts(prompts, weights=diphone_weights(prompts))
    rows = ["\t".join((p.id, p.level, p.text, " | ".join(map(" ".join, p.sounds)))) for p in ordered]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["id\tlevel\ttext\tphones", *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
