"""Learning from what a surer model hears: the second half of an enrolment without texts.

Half of the words that the source hears with the language model are wrong where people need an adaptation, and
learning them does harm. A model that has learned by its own doubt (`self_training`) hears fewer wrong letters.
Training on its texts as on transcripts, with recordings changed and sentences made anew at every update (a noisy
student: Xie et al. 2020, arXiv 1911.04252), gains more than both (docs/untranscribed.md).

Letters: S rows of the bank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.method import Method
from asradapt.decoding import Decoder, Heard
from asradapt.enrolment.examples import Example
from asradapt.enrolment.learners import Learner, judge
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.people import auto_settings
from asradapt.enrolment.planning import fits_of, portions
from asradapt.enrolment.pseudo import hear, labelled
from asradapt.enrolment.self_training import SelfTraining
from asradapt.enrolment.training import APART, Task, Trainer
from asradapt.models.base import SourceModel

Report = Callable[[float], None]  # share of the work that is done
LISTENING = 0.1  # of the work, before there is anything to learn


def setting_of(learner: Learner, options: EnrolmentOptions) -> Setting:
    """How texts are learned from: as an enrolment with texts does it for this much speech."""
    if options.method == "auto":
        return auto_settings(learner.person.seconds)[0]
    return Setting(options.method, options.rates[0])


@dataclass(frozen=True, eq=False)
class _Lesson:
    """One person's tasks: a row for every fold, and behind them as many as are averaged for all recordings."""

    learner: Learner
    setting: Setting
    tasks: tuple[Task, ...]
    marks: tuple[int, ...]  # numbers of updates after which the held-out recordings are looked at

    def rows(self, start: int) -> tuple[range, range]:
        """The rows of the folds and of all recordings, in a bank where the first one is `start`."""
        folds, end = start + len(self.learner.person.folds), start + len(self.tasks)
        return range(start, folds), range(folds, end)


def _texts(
    model: SourceModel,
    learner: Learner,
    doubting: SpeakerBank,
    decoder: Decoder,
    options: EnrolmentOptions,
) -> list[tuple[Example, ...]]:
    """What every row of the first half hears in the recordings that it has learned from."""
    found = []
    for row, task in zip(learner.rows, learner.tasks(), strict=True):
        pairs = [(row, example) for example in task.train]
        heard = hear(model, doubting, pairs, decoder, options.training, {row: learner.phrases})
        texts = [labelled(model, example, text) for example, text in zip(task.train, heard, strict=True)]
        found.append(tuple(text for text in texts if text is not None))
    return found


def _heard_again(
    model: SourceModel, learner: Learner, doubting: SpeakerBank, decoder: Decoder, options: EnrolmentOptions
) -> tuple[Heard, ...]:
    """What the folds of the first half hear in what they have not learned from, in the order of the recordings."""
    pairs = learner.tests(learner.rows)
    phrases = dict.fromkeys(learner.rows, learner.phrases)
    found = hear(model, doubting, pairs, decoder, options.training, phrases)
    by_example = {id(example): heard for (_, example), heard in zip(pairs, found, strict=True)}
    return tuple(by_example[id(example)] for example in learner.person.examples)


def _lesson(
    learner: Learner, texts: Sequence[tuple[Example, ...]], options: EnrolmentOptions, plan: SelfTraining
) -> _Lesson:
    """What one person's rows learn, and for how long."""
    person, setting = learner.person, setting_of(learner, options)
    tasks = [Task(known, setting.rate, person.seed) for known in texts]
    fits = fits_of(setting, person.seconds, options)
    tasks += [replace(tasks[-1], seed=person.seed + APART * number) for number in range(1, fits)]
    updates = portions(person.seconds, len(person.examples), options)
    most = max(plan.texts_steps, plan.texts_passes * updates)
    marks = tuple(max(1, round(most * number / plan.rounds)) for number in range(1, plan.rounds + 1))
    return _Lesson(learner, setting, tuple(tasks), marks)


def learn_texts(
    model: SourceModel,
    learners: Sequence[Learner],
    doubting: SpeakerBank,
    decoder: Decoder,
    options: EnrolmentOptions,
    plan: SelfTraining,
    report: Report,
) -> None:
    """Let people learn from what their rows of the first half hear; the learners get more candidates.

    Args:
        model: The source model; it is not changed.
        learners: Who learns.
        doubting: What they learned in the first half; `Learner.rows` says whose rows are whose.
        decoder: Hears with a language model.
        options: Strengths and sizes.
        plan: How much.
        report: Called with the share of the work that is done.
    """
    together: dict[tuple[Method, ...], list[_Lesson]] = {}
    for number, one in enumerate(learners):
        report(LISTENING * number / len(learners))
        texts = _texts(model, one, doubting, decoder, options)
        if all(texts):  # else a row has nothing to learn
            one.heard_again = _heard_again(model, one, doubting, decoder, options)
            lesson = _lesson(one, texts, options, plan)
            together.setdefault(lesson.setting.methods(options.method_options), []).append(lesson)
    for number, (methods, lessons) in enumerate(together.items()):

        def tell(share: float, before: int = number) -> None:
            report(LISTENING + (1 - LISTENING) * (before + share) / len(together))

        _learn(model, methods, lessons, options, tell)


def _learn(
    model: SourceModel,
    methods: tuple[Method, ...],
    lessons: Sequence[_Lesson],
    options: EnrolmentOptions,
    report: Report,
) -> None:
    """Train people who learn by the same methods, and judge each at its own marks."""
    starts = [0, *accumulate(len(one.tasks) for one in lessons)]
    bank = SpeakerBank(model, methods, speakers=starts[-1], seed=options.seed)
    trainer = Trainer(model, bank, [task for one in lessons for task in one.tasks], options.training)
    whole = sum(one.marks[-1] for one in lessons)
    for number in range(max(one.marks[-1] for one in lessons)):
        learning = [(one, start) for one, start in zip(lessons, starts, strict=False) if number < one.marks[-1]]
        trainer.step(number, [row for one, start in learning for row in range(start, start + len(one.tasks))])
        if due := [(one, start) for one, start in learning if number + 1 in one.marks]:
            _judge(model, trainer.result, due, number + 1, options)
        report(sum(min(number + 1, one.marks[-1]) for one in lessons) / whole)


def _judge(
    model: SourceModel,
    bank: SpeakerBank,
    lessons: Sequence[tuple[_Lesson, int]],
    steps: int,
    options: EnrolmentOptions,
) -> None:
    """Note what the adaptations as they are, at every strength, make of the held-out recordings."""
    rows = [one.rows(start) for one, start in lessons]
    judged = [(one.learner, folds, one.setting, steps) for (one, _), (folds, _) in zip(lessons, rows, strict=True)]
    means = bank.averaged([everything for _, everything in rows])
    for strength in options.strengths:
        scaled, kept = (each.scaled(torch.full((each.speakers,), strength)) for each in (bank, means))
        choices = judge(model, scaled, judged, strength, options)
        for place, ((one, _), choice) in enumerate(zip(lessons, choices, strict=True)):
            one.learner.second.add(choice, kept.state(place))
