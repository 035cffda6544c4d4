"""Run a recipe: check the recordings, enrol everybody, measure, report; all by the project's own commands.

    python recipes/corpora/measure.py recipes/fsdd/config.toml SPEECH --work WORK [--lm lm_en] [--each] [--curve]

SPEECH is the folder that holds the corpus (`simulated` needs none). WORK/NAME keeps the manifest, the store of
speakers, the JSON of every command and report.html. Prints tables in Markdown for docs/results.md and what they
were made with; the same seed gives the same numbers. With --lm everything is measured once more by beam search
with a language model; with --each also as `transcribe --adapt-each` hears, with and without the adaptations.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from asradapt import __version__
from asradapt.cli import run as command
from asradapt.errors import AsradaptError, UsageError
from asradapt.language import load_language
from asradapt.models import load_model
from asradapt.models.base import without_ctc, writes
from prepare import prepare
from recipe import Recipe, Simulated, read_recipe

HEAD = (
    "| recipe | decoding | adapted | WER before → after | for other recordings | for other people | "
    "CER before → after | better/equal/worse |\n|---|---|---|---|---|---|---|---|"
)


SYSTEMS = ("source", "source+each", "adapted", "adapted+each")
EACH_HEAD = (
    "\n| recipe | decoding | source | every segment adapts it | adapted | every segment adapts that | "
    "WER of the last less the source's, for other recordings |\n|---|---|---|---|---|---|---|"
)


def run(arguments: list[str], out: Path | None = None) -> dict[str, Any]:
    """Run an asradapt command in this process; with `out` it prints JSON, which is kept there."""
    print("asradapt", *arguments, file=sys.stderr, flush=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = command([*arguments, *(["--json"] if out else [])])
    if code not in (0, 1):
        sys.exit(f"asradapt {arguments[0]} failed with exit code {code}")
    if out is None:
        return {}
    out.write_text(printed.getvalue(), encoding="utf-8")
    content: dict[str, Any] = json.loads(printed.getvalue())
    if "error" in content:
        sys.exit(2)  # the command has said what is wrong
    return content


def simulate(wanted: Simulated, work: Path) -> Path:
    """Simulate the people of a recipe: every condition reads the same sentences; one manifest for all."""
    prompts = run(["prompts", "--count", str(2 * wanted.sentences)], work / "prompts.json")["prompts"]
    rows = []
    for part, texts in (("enroll", prompts[: wanted.sentences]), ("test", prompts[wanted.sentences :])):
        source = work / f"{part}.txt"
        source.write_text("".join(f"{one['text']}\n" for one in texts), encoding="utf-8")
        for name, traits in wanted.traits.items():
            folder = work / f"{part}-{name}"
            voices = [word for voice in wanted.voices for word in ("--voice", voice)]
            people = ["--speakers", str(wanted.speakers), "--seed", str(wanted.seed)]
            run(["simulate", str(source), "--out", str(folder), "--part", part, *people, *voices, *traits])
            for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                row |= {"audio_filepath": f"{folder.name}/{row['audio_filepath']}", "condition": name}
                rows.append(row | {"speaker": f"{row['speaker']}-{name}"})
    manifest = work / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return manifest


def manifest_of(recipe: Recipe, data: Path, work: Path) -> Path:
    """The manifest of a recipe: given, written by its parser, or simulated."""
    if recipe.simulate:
        return simulate(recipe.simulate, work)
    if recipe.manifest:
        return data / recipe.manifest
    print("\n".join(prepare(recipe, data, work / "manifest.jsonl")), file=sys.stderr)
    return work / "manifest.jsonl"


def _interval(ends: dict[str, float | None]) -> str:
    return "too few" if ends["low"] is None else f"{ends['low']:+.1%} to {ends['high']:+.1%}"


def row(recipe: Recipe, found: dict[str, Any]) -> str:
    """One line of the table."""
    before, after, changed = found["pooled"]["before"], found["pooled"]["after"], found["changed"]
    adapted = sum(one["decision"] == "adapted" for one in found["speakers"])
    cells = [
        recipe.name,
        found["decoding"],
        f"{adapted}/{len(found['speakers'])}",
        f"{before['wer']:.1%} → {after['wer']:.1%}",
        _interval(found["pooled"]["difference"]),
        _interval(found["difference_over_speakers"]),
        f"{before['cer']:.1%} → {after['cer']:.1%}",
        f"{changed['better']}/{changed['equal']}/{changed['worse']}",
    ]
    return "| " + " | ".join(cells) + " |"


def each_row(recipe: Recipe, found: dict[str, Any]) -> str:
    """One line of the table of systems that every segment adapts to itself: WER and CER of each."""
    rates = [f"{one['wer']:.1%}, {one['cer']:.1%}" for one in found["systems"]]
    (change,) = [one for one in found["pairs"] if (one["first"], one["second"]) == (SYSTEMS[0], SYSTEMS[-1])]
    return "| " + " | ".join([recipe.name, found["decoding"], *rates, _interval(change["over_utterances"])]) + " |"


def group_rows(found: dict[str, Any]) -> list[str]:
    """The groups of every column in Markdown."""
    lines = []
    for table in found.get("groups", []):
        lines += [
            f"\n| {table['by']} | speakers | WER before → after | difference, for other people |",
            "|---|--:|---|---|",
        ]
        for group in table["groups"]:
            rates = f"{group['before']['wer']:.1%} → {group['after']['wer']:.1%}"
            lines.append(
                f"| {group['group']} | {group['speakers']} | {rates} | {_interval(group['difference'])} |"
            )
        gap = table["gap"]
        if gap["before"] is not None:  # there are two groups or more that are known
            lines.append(f"\nGap of best and worst: {gap['before']:.1%} → {gap['after']:.1%}.")
    return lines


def curve_rows(found: dict[str, Any]) -> list[str]:
    """The learning curve in Markdown."""
    lines = [
        "\n| minutes | WER | repeats | adapted | 95% interval of the change | forecast |",
        "|--:|--:|---|---|---|--:|",
    ]
    lines.append(f"| 0 | {found['source']['wer']:.1%} | | | | |")
    for point in found["points"]:
        repeats = ", ".join(f"{one['wer']:.1%}" for one in point["runs"])
        told = "" if point["forecast"] is None else f"{point['forecast']:.1%}"
        adapted = f"{sum(one['adapted'] for one in point['runs'])}/{len(point['runs']) * len(found['speakers'])}"
        cells = [
            f"{point['minutes']:g}",
            f"{point['wer']:.1%}",
            repeats,
            adapted,
            _interval(point["change"]),
            told,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def made_with(model: str, seed: int, work: Path) -> str:
    """The line that says which program and model gave the numbers."""
    source = run(["models", "show", model], work / "model.json")
    return f"\nasradapt {__version__}, {source['model']} {source['fingerprint'][:12]}, seed {seed}."


def measure(
    recipe: Recipe,
    data: Path,
    work: Path,
    *,
    curve: bool,
    model: str,
    seed: int,
    lm: str = "",
    each: bool = False,
) -> list[str]:
    """Runs all steps of a recipe and returns the tables, a line each."""
    work = (work / recipe.name).resolve()
    work.mkdir(parents=True, exist_ok=True)
    manifest = str(manifest_of(recipe, data.resolve(), work))
    common = ["--manifest", manifest, "--model", model, "--seed", str(seed)]
    checked = run(["check", manifest], work / "check.json")
    for finding in checked["findings"]:
        print(f"{finding['severity']}: {finding['kind']}, {len(finding['items'])}", file=sys.stderr)
    store = ["--store", str(work / "store")]
    # An adaptation of a run before, with another seed or model, would stand and be measured as if of this run.
    shutil.rmtree(work / "store", ignore_errors=True)
    if recipe.adapt:
        wanted = ["--where", "part=enroll", *recipe.enroll]
        run(["enroll", "--every-speaker", *common, *store, *wanted], work / "enroll.json")
    by = ["--by", ",".join(recipe.by)] if recipe.by else []
    report = ["--report", str(work / "report.html")]
    test = [*common, *store, "--where", "part=test"]
    found = run(["evaluate", *test, *by, *report], work / "evaluate.json")
    lines = [HEAD, row(recipe, found)]
    if lm:
        lines.append(row(recipe, run(["evaluate", *test, "--lm", lm], work / "evaluate-lm.json")))
    lines += group_rows(found)
    if each:
        lines.append(EACH_HEAD)
        for name, decoding in (("each", []), ("each-lm", ["--lm", lm]))[: 2 if lm else 1]:
            systems = ["--systems", ",".join(SYSTEMS), *decoding]
            lines.append(each_row(recipe, run(["evaluate", *test, *systems], work / f"evaluate-{name}.json")))
    if curve and recipe.curve:
        points = [
            "--minutes",
            recipe.curve,
            "--repeats",
            str(recipe.repeats),
            "--report",
            str(work / "curve.html"),
        ]
        lines += curve_rows(run(["curve", *common, *points], work / "curve.json"))
    return [*lines, made_with(model, seed, work)]


def main() -> None:
    """Run one recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("data", type=Path, nargs="?", default=Path())
    parser.add_argument("--work", type=Path, default=Path(".scratch/recipes"))
    parser.add_argument("--lm", default="", help="measure with this language model too, such as lm_en")
    parser.add_argument("--each", action="store_true", help="also with every segment adapting the model to itself")
    parser.add_argument("--curve", action="store_true", help="also the learning curve, which takes longest")
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        recipe = read_recipe(args.config)
        if args.curve and not recipe.curve:
            raise UsageError(f'{args.config} has no points for --curve: add curve = "0.5,1,2"')
        if args.lm:
            load_language(args.lm)  # a wrong name is told before any work
        if args.each and writes(source := load_model(args.model)):
            raise UsageError(without_ctc(source, "--each"))
        options = {"curve": args.curve, "model": args.model, "seed": args.seed, "lm": args.lm, "each": args.each}
        lines = measure(recipe, args.data, args.work, **options)
    except AsradaptError as error:
        sys.exit(f"error: {error}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
