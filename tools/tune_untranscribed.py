"""What a person's adaptation learns from: transcripts, what is heard with the language model, or its own doubt.

    python tools/tune_untranscribed.py --manifest M --where part=enroll --learn 60 doubt:input+affine:0.15:16 ...

Every setting is WHAT:METHOD:RATE:STEPS. `doubt` lowers entropy and class confusion (as `enroll --untranscribed`
does), `texts` trains on what is heard with lm_en, `sure` on those recordings whose words are right with 60% on
average, `said` on the transcripts. It learns from the first recordings of the first speaker and prints the error
on the others, greedily and with lm_en. For choosing on `enroll` parts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from asradapt.adaptation import SpeakerBank, create
from asradapt.decoding import Decoder
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.people import Person
from asradapt.enrolment.pseudo import hear, labelled, teacher_for
from asradapt.enrolment.self_training import Learner, SelfTraining, self_train
from asradapt.enrolment.training import Task, Trainer, TrainingOptions, train
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.scoring import score, total

OPTIONS = EnrolmentOptions(strengths=(1.0,))


def by_doubt(
    model: ConformerSource, examples: Sequence[Example], method: str, rate: float, steps: int
) -> SpeakerBank:
    """Learn by entropy and class confusion; a row that learns from nothing is judged on everything."""
    heard = tuple(hear(model, None, [(0, e) for e in examples], teacher_for(model), OPTIONS.training))
    learner = Learner(
        Person("one", tuple(examples), (tuple(range(len(examples))),), 0, (Setting(method, rate),)), heard
    )
    plan = SelfTraining(method=method, rate=rate, steps=steps, passes=1, rounds=1)
    self_train(model, [learner], OPTIONS, plan, lambda share: None)
    bank = SpeakerBank(model, create(method))
    bank.load(0, learner.states[0])
    return bank


def by_text(
    model: ConformerSource, examples: Sequence[Example], method: str, rate: float, steps: int
) -> SpeakerBank:
    """Learn by CTC from the texts of the examples."""
    bank = SpeakerBank(model, create(method))
    train(Trainer(model, bank, [Task(tuple(examples), rate, 0)], TrainingOptions()), [steps])
    return bank.requires_grad(False)


def heard_examples(model: ConformerSource, examples: Sequence[Example], least: float) -> list[Example]:
    """The examples with what the source hears in them, where that is sure enough."""
    heard = hear(model, None, [(0, e) for e in examples], teacher_for(model), OPTIONS.training)
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
            least = {"texts": 0.0, "sure": 0.6}
            chosen = learn if what == "said" else heard_examples(model, learn, least[what])
            bank = by_text(model, chosen, method, float(rate), int(steps))
        print(f"{text:32} {rates(model, bank, others)}", flush=True)


if __name__ == "__main__":
    main()
