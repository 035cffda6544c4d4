"""Make the recordings of other people that enrolment checks retention on: asradapt/assets/others.

    python tools/make_others.py

The last sentences of `asradapt prompts` (read last, so that hardly anybody enrols with them), each said by a
pseudo-speaker of a free synthesiser: flite, rhvoice and pico must be installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from asradapt.prompts import load_prompts

SENTENCES = 24
FOLDER = Path(__file__).parents[1] / "asradapt" / "assets" / "others"
KEPT = ("text", "duration", "speaker", "engine", "voice", "accent", "accent_strength")
OPTIONS = (
    *("--speakers", "24", "--engines", "flite=2,rhvoice=3,pico=2", "--children", "0.2"),
    *("--accent", "random", "--accent-share", "0.25", "--channel", "clean"),
    *("--format", "ogg", "--part", "others", "--seed", "7"),
)


def simulate(folder: Path) -> list[dict[str, object]]:
    """Speak the sentences into `folder`; the rows of its manifest."""
    sentences = folder / "sentences.txt"
    texts = [prompt.text for prompt in load_prompts() if prompt.level == "plain"][-SENTENCES:]
    sentences.write_text("\n".join(texts) + "\n")
    command = [
        sys.executable,
        "-m",
        "asradapt",
        "simulate",
        str(sentences),
        "--out",
        str(folder / "out"),
        *OPTIONS,
    ]
    subprocess.run(command, check=True)
    lines = (folder / "out" / "manifest.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    """Simulate, and copy recordings and what is worth knowing of them into the package."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        rows = []
        for number, row in enumerate(simulate(Path(temporary)), 1):
            name = f"{number:02d}.ogg"
            shutil.copyfile(Path(temporary) / "out" / str(row["audio_filepath"]), FOLDER / name)
            rows.append({"audio_filepath": name} | {key: row[key] for key in KEPT if key in row})
    (FOLDER / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{len(rows)} recordings in {FOLDER}")


if __name__ == "__main__":
    main()
