"""What real speech, simulated speech and simulated channels each bring: six trainings of a smaller network.

    python recipes/source_en/ablation.py --root speech=SPEECH --root text=TEXT --root sim=SIM --work WORK

Every training takes the same number of updates of the same size and prints one line of the table; called again it
goes on where it was. The network is smaller than the one that ships (ablation.toml), so that six fit into an hour
on one core.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path

HERE = Path(__file__).parent
SPEECH = {"real": ("real",), "simulated": ("simulated",), "both": ("real", "simulated")}


def write_config(kinds: tuple[str, ...], channel: bool, path: Path) -> None:
    """The configuration with the sets of these kinds, each a second time through channels where asked."""
    base, *sets = (HERE / "ablation.toml").read_text().split("[[sets]]")
    kept = []
    for text in sets:
        options = tomllib.loads("[[sets]]" + text)["sets"][0]
        if options["kind_of_speech"] in kinds and (channel or not options.get("channel")):
            kept.append(text)
    path.write_text("[[sets]]".join([base, *kept]))


def train(work: Path, roots: list[str], config: Path) -> dict[str, float]:
    """Run one training and return the last line of its curve."""
    command = [sys.executable, str(HERE / "train.py"), "--config", str(config), "--work", str(work)]
    for root in roots:
        command += ["--root", root]
    steps = tomllib.loads(config.read_text())["optimiser"]["steps"]
    command += ["--minutes", "600", "--every", str(steps)]
    curve = work / "curve.csv"
    if not curve.exists():
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(HERE.parents[1])})
    with curve.open() as lines:
        last = list(csv.DictReader(lines))[-1]
    return {name: float(value) for name, value in last.items()}


def main() -> None:
    """Train the six and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--root", action="append", default=[], metavar="NAME=FOLDER")
    args = parser.parse_args()
    rows = []
    for (name, kinds), channel in product(SPEECH.items(), (False, True)):
        work = args.work / f"{name}-{'channel' if channel else 'clean'}"
        work.mkdir(parents=True, exist_ok=True)
        if not (work / "frames").exists():  # the frames are the same for all
            (args.work / "frames").mkdir(exist_ok=True)
            (work / "frames").symlink_to((args.work / "frames").resolve())
        write_config(kinds, channel, work / "config.toml")
        last = train(work, args.root, work / "config.toml")
        rates = {key.removesuffix("_cer"): value for key, value in last.items() if key.endswith("_cer")}
        rows.append((name, "yes" if channel else "no", last["loss"], rates))
    print("| speech | channel | loss | " + " | ".join(rows[0][3]) + " |")
    print("|---|---|--:|" + "--:|" * len(rows[0][3]))
    for name, channel, loss, rates in rows:
        print(
            f"| {name} | {channel} | {loss:.2f} | " + " | ".join(f"{100 * r:.1f}" for r in rates.values()) + " |"
        )


if __name__ == "__main__":
    main()
