"""What adaptation does to a small Whisper that was taught to write down tones: the figures of the page on Whisper.

    OMP_NUM_THREADS=1 python tools/whisper_tones.py --methods auto input input+affine

Two people whose tones are shifted by a band, one each way, are enrolled from 14 recordings each by the Whisper of
the tests (`tests/whispering.py` teaches it, in a minute); 8 others of each are transcribed before and after.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.evaluation import evaluate
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber
from asradapt.types import Utterance

TESTS = Path(__file__).parents[1] / "tests"
LEARNT_FROM, RECORDINGS = 14, 22
SHIFTS = {"up": 1.0, "down": -1.0}  # in bands: half way to the next letter


def measure(model: SourceModel, people: dict[str, list[Utterance]], method: str, home: Path) -> str:
    """A line of the table: one method."""
    store = SpeakerStore(home)
    taught = {name: clips[:LEARNT_FROM] for name, clips in people.items()}
    done = enroll(model, taught, options=EnrolmentOptions(method=method, forecast=False), store=store)
    unseen = [clip for clips in people.values() for clip in clips[LEARNT_FROM:]]
    result = evaluate(Transcriber(model, store), unseen)
    used = ", ".join(
        f"{one.record.method} {one.record.seconds:.0f} s" if one.record.decision == "adapted" else "source kept"
        for one in done.speakers
    )
    return f"| `{method}` | {used} | {result.before.wer:.1%} | {result.after.wer:.1%} | {result.before.words} |"


def main() -> None:
    """Teach, enrol, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=["auto", "input", "input+affine"])
    args = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    from tones import record_person
    from whispering import tone_whisper

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scratch").mkdir()
        model = load_model(str(tone_whisper(folder / "tones", folder / "scratch")), device="cpu")
        people = {
            one: record_person(folder, one, shift=shift, utterances=RECORDINGS) for one, shift in SHIFTS.items()
        }
        print("| method | the two people | error before | after | words |\n|---|---|---|---|---|")
        for method in args.methods:
            print(measure(model, people, method, folder / method.replace("+", "-")), flush=True)


if __name__ == "__main__":
    main()
