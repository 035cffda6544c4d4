"""What real speech, simulated speech, simulated channels and other tokens bring: trainings of a smaller network.

    python recipes/source_en/ablation.py --root speech=SPEECH --root text=TEXT --root sim=SIM --work WORK

Every training takes the same number of updates of the same size and prints one line of the table; called again it
goes on where it was. The network is smaller than the one that ships (ablation.toml), so that all fit into an hour
on one core. The last one writes 100 pieces of words beside the letters, found by byte-pair encoding (Sennrich et
al. 2016, arXiv 1508.07909).
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
SPEECH = {"real": ("real",), "simulated": ("simulated",), "both": ("real", "simulated")}
PIECES = 100
RUNS = (*((speech, channel, 0) for speech in SPEECH for channel in (False, True)), ("both", False, PIECES))


def pieces(words: Counter[str], count: int) -> list[str]:
    """The first merges of letters into pieces of words, by byte-pair encoding."""
    split = {word: list(word) for word in words}
    found: list[str] = []
    while len(found) < count:
        pairs: Counter[str] = Counter()
        for word, parts in split.items():
            for pair in pairwise(parts):
                pairs["".join(pair)] += words[word]
        best = next(pair for pair, _ in pairs.most_common() if pair not in found)
        found.append(best)
        for parts in split.values():
            for at in range(len(parts) - 2, -1, -1):
                if "".join(parts[at : at + 2]) == best:
                    parts[at : at + 2] = [best]
    return found


def common_words(text: Path) -> Counter[str]:
    """The 5,000 most frequent words of a file with one sentence a line."""
    return Counter(dict(Counter(text.read_text(encoding="utf-8").split()).most_common(5000)))


def write_config(kinds: tuple[str, ...], channel: bool, more: list[str], path: Path) -> None:
    """The configuration with the sets of these kinds, each a second time through channels where asked."""
    base, *sets = (HERE / "ablation.toml").read_text().split("[[sets]]")
    kept = []
    for text in sets:
        options = tomllib.loads("[[sets]]" + text)["sets"][0]
        if options["kind_of_speech"] in kinds and (channel or not options.get("channel")):
            kept.append(text)
    listed = ", ".join(f'"{piece}"' for piece in more)
    path.write_text(f"pieces = [{listed}]\n" + "[[sets]]".join([base, *kept]))


def train(work: Path, roots: list[str], config: Path) -> dict[str, float]:
    """Run one training and return the last line of its curve."""
    command = [sys.executable, str(HERE / "train.py"), "--config", str(config), "--work", str(work)]
    for root in roots:
        command += ["--root", root]
    steps = tomllib.loads(config.read_text())["optimiser"]["steps"]
    command += ["--minutes", "600", "--every", str(steps)]
    curve = work / "curve.csv"
    if not curve.exists():
        with (work / "log.txt").open("a") as out:  # stdout is for the table
            subprocess.run(command, check=True, stdout=out, env=os.environ | {"PYTHONPATH": str(HERE.parents[1])})
    with curve.open() as lines:
        last = list(csv.DictReader(lines))[-1]
    return {name: float(value) for name, value in last.items()}


def open_work(work: Path, frames: Path) -> None:
    """A folder for one training; the frames are the same for all."""
    work.mkdir(parents=True, exist_ok=True)
    frames.mkdir(exist_ok=True)
    if not (work / "frames").exists():
        (work / "frames").symlink_to(frames.resolve())


def main() -> None:
    """Train them all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--root", action="append", default=[], metavar="NAME=FOLDER")
    args = parser.parse_args()
    text = Path(dict(root.split("=", 1) for root in args.root)["text"]) / "tatoeba.txt"
    for number, (name, channel, count) in enumerate(RUNS):
        tokens = f"letters and {count} pieces" if count else "letters"
        work = args.work / f"{name}-{'channel' if channel else 'clean'}-{count}"
        open_work(work, args.work / "frames")
        write_config(SPEECH[name], channel, pieces(common_words(text), count), work / "config.toml")
        last = train(work, args.root, work / "config.toml")
        sets = [key.removesuffix("_cer") for key in last if key.endswith("_cer")]
        if not number:
            print("| speech | channels | tokens | " + " | ".join(sets) + " |\n|---|---|---|" + "--:|" * len(sets))
        cells = [f"{100 * last[f'{one}_cer']:.1f} ({100 * last[f'{one}_wer']:.0f})" for one in sets]
        print("| " + " | ".join([name, "yes" if channel else "no", tokens, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
