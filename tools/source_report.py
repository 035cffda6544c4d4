"""Measure a source model without adaptation: error by set and by group, speed on one core, size, load time.

    python tools/source_report.py SPEECH [--model source_en] [--write-card]

SPEECH holds the corpora, each with manifest.jsonl. Greedy decoding; nothing is adapted. Prints Markdown;
`--write-card` also puts the error rates into the card of the embedded model (the JSON beside its weights).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import torch

from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.scoring import ErrorCounts, score, total
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance

SETS = (
    ("kathleen", "validation"),
    ("cmu_arctic", "validation"),
    ("speechocean762", "test"),
    ("philipp_lj", "test"),
    ("fsdd", "test"),
)
ADULT = 16  # years; speechocean762 has children up to 15
Scored = list[tuple[Utterance, ErrorCounts]]


def transcribe(transcriber: Transcriber, utterances: Iterable[Utterance]) -> tuple[Scored, float]:
    """Error counts of every utterance and the seconds of audio."""
    heard = [one for one in transcriber.transcribe(utterances) if isinstance(one, Transcript)]
    counts = [(one.utterance, score(one.utterance.text or "", one.text)) for one in heard]
    return counts, sum(one.seconds for one in heard)


def line(name: str, scored: Scored) -> str:
    """One row of a table of error rates."""
    pooled = total([counts for _, counts in scored])
    speakers = len({utterance.speaker for utterance, _ in scored})
    return f"| {name} | {speakers} | {len(scored)} | {pooled.wer:.1%} | {pooled.cer:.1%} |"


def group(utterance: Utterance) -> str:
    """Women, men, girls or boys."""
    gender, age = utterance.fields.get("gender", "?")[:1].lower(), utterance.fields.get("age", "")
    child = age.isdigit() and int(age) < ADULT
    return {"f": "girls" if child else "women", "m": "boys" if child else "men"}.get(gender, "not known")


def groups(scored: Scored) -> dict[str, Scored]:
    """Children and adults, by gender and together."""
    members: dict[str, Scored] = {name: [] for name in ("girls", "boys", "women", "men")}
    for one in scored:
        members.setdefault(group(one[0]), []).append(one)
    ages = {
        "children": members["girls"] + members["boys"],
        "adults": members["women"] + members["men"],
    }
    return {name: chosen for name, chosen in (ages | members).items() if chosen}


def write_card(tables: dict[str, Scored], path: Path) -> None:
    """Put the error rates in percent, one decimal, into the card of a model's JSON."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["card"]["errors"] = {
        name: {"wer": round(100 * pooled.wer, 1), "cer": round(100 * pooled.cer, 1)}
        for name, scored in tables.items()
        for pooled in [total([counts for _, counts in scored])]
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_seconds(model: str) -> float:
    """Median time of loading the model in a fresh process, the import of torch not counted."""
    code = (
        "import time, torch, torchaudio; from asradapt.models import load_model; b = time.perf_counter(); "
        f"load_model({model!r}, device='cpu'); print(time.perf_counter() - b)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(5)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def speed(transcriber: Transcriber, utterances: list[Utterance]) -> tuple[float, float]:
    """Real-time factors, from files to text: in batches, and one file a batch."""
    factors = []
    for size in (0, 1):
        single = Transcriber(transcriber.model, None, TranscriberOptions(batch_size=size))
        began = time.perf_counter()
        _, seconds = transcribe(single, utterances)
        factors.append((time.perf_counter() - began) / seconds)
    return factors[0], factors[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write-card", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transcriber = Transcriber(load_model(args.model, device="cpu"))
    scored = {}
    print("| set | speakers | utterances | WER | CER |\n|---|--:|--:|--:|--:|")
    for corpus, part in SETS:
        manifest = read_manifest(args.speech / corpus / "manifest.jsonl", where=parse_where((f"part={part}",)))
        scored[f"{corpus} {part}"], _ = transcribe(transcriber, manifest.utterances)
        print(line(f"{corpus} `{part}`", scored[f"{corpus} {part}"]), flush=True)
    native = scored["kathleen validation"] + scored["cmu_arctic validation"]
    print(line("kathleen and cmu_arctic `validation`", native))
    print("\n| speechocean762 `test` | speakers | utterances | WER | CER |\n|---|--:|--:|--:|--:|")
    apart = groups(scored["speechocean762 test"])
    print("\n".join(line(name, chosen) for name, chosen in apart.items()))
    if args.write_card:
        card = Path(str(files("asradapt") / "assets" / "source_en.json"))
        write_card(scored | {f"speechocean762 test, {name}": chosen for name, chosen in apart.items()}, card)
    manifest = read_manifest(args.speech / "speechocean762" / "manifest.jsonl", where=(("part", "test"),))
    batched, single = speed(transcriber, list(manifest.utterances)[:200])
    print(
        f"\nReal-time factor, {args.threads} thread(s), files to text: "
        f"{batched:.4f} in batches, {single:.4f} one by one."
    )
    if args.model == "source_en":
        size = Path(str(files("asradapt") / "assets" / "source_en.safetensors")).stat().st_size
        parameters = sum(p.numel() for p in transcriber.model.module.parameters()) / 1e6
        print(f"Size on disk: {size / 1e6:.1f} MB, {parameters:.2f} M parameters.")
    print(f"Load time: {load_seconds(args.model):.2f} s.")


if __name__ == "__main__":
    main()
