"""What a person's adaptation learns from: transcripts, what is heard with the language model, or its own doubt.

    python tools/tune_untranscribed.py --manifest M --where part=enroll --learn 60 doubt:input+affine:0.15:16 ...

Every setting is WHAT:METHOD:RATE:STEPS. `doubt` lowers entropy and class confusion (the first half of `enroll
--untranscribed`), `texts` trains on what is heard with lm_en, `sure` on those recordings whose words are right
with 60% on average, `said` on the transcripts; `changed`, `surely`, `spoken` are the same with recordings
changed at every update; `again` is `changed` with what is heard after `doubt` (the second half). It learns from
the first recordings of the first speaker and prints the error on the others, greedily and with lm_en. For
choosing on `enroll` parts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.method import Method
from asradapt.decoding import Decoder
from asradapt.enrolment.augmentation import NO_AUGMENTATION, Augmentation
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.learners import Learner
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.people import Person
from asradapt.enrolment.pseudo import hear, labelled, teacher_for
from asradapt.enrolment.self_training import SelfTraining, self_train
from asradapt.enrolment.training import APART, Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.scoring import score, total

OPTIONS, PLAN = EnrolmentOptions(strengths=(1.0,)), SelfTraining()


class Work(NamedTuple):
    """How texts are learned from."""

    steps: int
    fits: int
    changed: bool  # recordings, at every update


def by_doubt(
    model: ConformerSource, examples: Sequence[Example], method: str, rate: float, steps: int
) -> SpeakerBank:
    """Learn by entropy and class confusion; a row that learns from nothing is judged on everything."""
    heard = tuple(hear(model, None, [(0, e) for e in examples], teacher_for(model), OPTIONS.training))
    learner = Learner(
        Person("one", tuple(examples), (tuple(range(len(examples))),), 0, (Setting(method, rate),)), heard
    )
    plan = SelfTraining(method=method, rate=rate, steps=steps, rounds=1)
    self_train(model, [learner], OPTIONS, plan, lambda share: None)
    bank = SpeakerBank(model, create(method))
    bank.load(0, learner.first.states[0])
    return bank


def by_text(
    model: ConformerSource, examples: Sequence[Example], method: Sequence[Method], rate: float, work: Work
) -> SpeakerBank:
    """Learn by CTC from the texts of the examples: the mean of as many trainings as asked for."""
    bank = SpeakerBank(model, method, speakers=work.fits)
    tasks = [Task(tuple(examples), rate, APART * number) for number in range(work.fits)]
    options = TrainingOptions(augmentation=Augmentation() if work.changed else NO_AUGMENTATION)
    train(Trainer(model, bank, tasks, options), [work.steps] * work.fits)
    return bank.requires_grad(False).averaged([range(work.fits)])


def heard_examples(
    model: ConformerSource, bank: SpeakerBank | None, examples: Sequence[Example], least: float
) -> list[Example]:
    """The examples with what a model hears in them, where that is sure enough."""
    heard = hear(model, bank, [(0, e) for e in examples], teacher_for(model), OPTIONS.training)
    found = [labelled(model, e, h) for e, h in zip(examples, heard, strict=True) if h.confidence >= least]
    return [example for example in found if example is not None]


def rates(model: ConformerSource, bank: SpeakerBank | None, examples: Sequence[Example]) -> str:
    """Word and character error rates, greedy and with the language model."""
    cells = []
    for name, decoder in (("greedy", Decoder(model.tokens, model.frame_seconds)), ("lm_en", teacher_for(model))):
        heard = hear(model, bank, [(0, e) for e in examples], decoder, OPTIONS.training)
        counts = total(score(e.text, h.text) for e, h in zip(examples, heard, strict=True))
        cells.append(f"{name} WER {counts.wer:.1%} CER {counts.cer:.1%}")
    return "  ".join(cells)


def main() -> None:
    """Run the settings one after the other and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("settings", nargs="+")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--learn", type=int, default=60)
    parser.add_argument("--rank", type=int, default=4, help="of lowrank")
    parser.add_argument("--fits", type=int, default=1, help="trainings on texts whose mean is taken")
    parser.add_argument("--model", default="source_en")
    args = parser.parse_args()
    model = load_model(args.model, device="cpu")
    rows = read_manifest(args.manifest, where=parse_where(args.where)).utterances
    own = [row for row in rows if row.speaker == rows[0].speaker]
    examples = prepare_examples(model, own).usable
    learn, others = examples[: args.learn], examples[args.learn :]
    print(f"{len(learn)} to learn from, {len(others)} others; source: {rates(model, None, others)}", flush=True)
    for text in args.settings:
        what, method, rate, steps = text.split(":")
        if what == "doubt":
            bank = by_doubt(model, learn, method, float(rate), int(steps))
        else:
            first = by_doubt(model, learn, "input+affine", PLAN.rate, PLAN.steps) if what == "again" else None
            least = 0.6 if what in ("sure", "surely") else 0.0
            chosen = learn if what in ("said", "spoken") else heard_examples(model, first, learn, least)
            work = Work(int(steps), args.fits, what in ("changed", "surely", "spoken", "again"))
            options = {"lowrank": {"rank": args.rank}} if "lowrank" in method.split("+") else {}
            bank = by_text(model, chosen, create(method, options), float(rate), work)
        print(f"{text:32} {rates(model, bank, others)}", flush=True)


if __name__ == "__main__":
    main()
