from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.decoding import greedy_decode
from asradapt.enrolment import EnrolmentOptions
from asradapt.enrolment.coarse import coarse
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.objective import ctc_losses, encode_pairs
from asradapt.enrolment.planning import portions
from asradapt.enrolment.training import Task, Trainer, train, update_seconds
from asradapt.enrolment.updates import TrainingOptions, evaluate_pairs, train_step
from asradapt.models.base import fingerprint
from asradapt.scoring import score

# A row's gradients in another batch differ by rounding, and Adam divides them by their own size, so that the
# noise in small ones shows. Measured 1e-5 on random models after 30 steps that moved the tensors by 0.1 to 0.8.
SAME = {"rtol": 0, "atol": 1e-4}

METHODS = ["input", "head", "affine+lowrank", "bottleneck", "encoder"]
OPTIONS = TrainingOptions(step_seconds=3.0, batch_seconds=6.0, bf16=False)


@pytest.fixture(scope="module")
def random_model(tone_model, tiny_model):
    """Takes the same features and tokens as the tone model, and all of its parts do something."""
    return tiny_model(mels=12, tokens=tone_model.tokens, kernel=5)


def job(model, name: str, tasks: list[Task], steps: list[int], options=OPTIONS) -> dict[str, Tensor]:
    bank = SpeakerBank(model, create(name), speakers=len(tasks))
    train(Trainer(model, bank, tasks, options), steps)
    return {k: v.detach() for k, v in bank.tensors.items()}


@pytest.mark.parametrize("name", METHODS)
def test_tasks_of_one_job_end_as_if_each_were_trained_alone(random_model, examples, name):
    tasks = [
        Task(examples(3, shift=1.0, seed=1), 2.0, seed=1),
        Task(examples(7, shift=-0.9, seed=2), 1.0, seed=2),
        Task(examples(2, shift=0.5, seed=3), 4.0, seed=3),
    ]
    together, starts = job(random_model, name, tasks, [8, 8, 8]), job(random_model, name, tasks, [0, 0, 0])
    for row, task in enumerate(tasks):
        alone = job(random_model, name, [task], [8])
        for key, tensor in together.items():
            torch.testing.assert_close(tensor[row], alone[key][0], **SAME)
        assert max(float((together[k][row] - starts[k][row]).abs().max()) for k in together) > 10 * SAME["atol"]


@pytest.mark.parametrize("name", ["input", "encoder"])
def test_rows_that_are_finished_stay_and_change_nobody(random_model, examples, name):
    tasks = [Task(examples(3, shift=1.0, seed=seed), 2.0, seed=seed) for seed in range(3)]
    together = job(random_model, name, tasks, [2, 6, 4])
    for row, steps in enumerate([2, 6, 4]):
        alone = job(random_model, name, [tasks[row]], [steps])
        for key, tensor in together.items():
            torch.testing.assert_close(tensor[row], alone[key][0], **SAME)


@pytest.mark.parametrize("name", METHODS)
def test_training_in_bf16_goes_the_same_way(random_model, examples, name):
    task = Task(examples(7, shift=-0.9, seed=2), 1.0, seed=2)
    starts = job(random_model, name, [task], [0])
    exact, rough = (job(random_model, name, [task], [8], replace(OPTIONS, bf16=half)) for half in (False, True))
    ways = [torch.cat([(end[key] - starts[key]).flatten() for key in starts]) for end in (exact, rough)]
    assert not torch.equal(*ways)  # it was bf16
    assert float((ways[0] - ways[1]).norm() / ways[0].norm()) < 0.2
    assert all(tensor.dtype == torch.float32 for tensor in job(random_model, name, [task], [1]).values())


@pytest.mark.parametrize("speakers", [1, 2])
def test_products_need_no_casts_in_bf16(random_model, examples, monkeypatch, speakers):
    tasks = [Task(examples(4, shift=0.5, seed=seed), 1.0, seed=seed) for seed in range(speakers)]
    without = job(random_model, "lowrank", tasks, [3] * speakers, replace(OPTIONS, bf16=True))
    monkeypatch.setattr(create("lowrank")[0].__class__, "products_only", False)
    cast = job(random_model, "lowrank", tasks, [3] * speakers, replace(OPTIONS, bf16=True))
    assert all(torch.equal(without[key], cast[key]) for key in cast)


def test_only_the_own_network_on_a_cpu_is_trained_in_bf16(tone_model, monkeypatch):
    monkeypatch.setattr("asradapt.enrolment.coarse.faster_in_bf16", lambda: False)
    with coarse(tone_model, None):
        assert not torch.is_autocast_enabled("cpu")
    with coarse(tone_model, True):
        assert torch.is_autocast_enabled("cpu")
    monkeypatch.setattr("asradapt.enrolment.coarse.faster_in_bf16", lambda: True)
    with coarse(tone_model, None):
        assert torch.is_autocast_enabled("cpu")
    with coarse(tone_model, False):
        assert not torch.is_autocast_enabled("cpu")
    foreign = SimpleNamespace(module=torch.nn.Linear(1, 1), device=torch.device("cpu"))
    with coarse(foreign, True):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("average", [True, False])
def test_what_is_judged_and_kept_is_the_average_of_the_path_or_its_end(tone_model, examples, average):
    task = Task(examples(3, shift=1.0, seed=1), 2.0, seed=1)
    bank = SpeakerBank(tone_model, create("affine"))
    trainer = Trainer(tone_model, bank, [task], replace(OPTIONS, average=average))
    path = []
    for number in range(4):
        trainer.step(number, [0])
        path.append({name: tensor.detach().clone() for name, tensor in bank.tensors.items()})
        seen = {name: tensor.clone() for name, tensor in trainer.result.tensors.items()}
    trainer.settle()
    moved = []
    for name, tensor in bank.tensors.items():
        steps = [one[name] for one in path]
        mean = sum((place + 1) * value for place, value in enumerate(steps)) / 10
        torch.testing.assert_close(tensor.detach(), mean if average else steps[-1], rtol=0, atol=1e-6)
        torch.testing.assert_close(seen[name], tensor.detach(), rtol=0, atol=0)
        moved.append(float((mean - steps[-1]).abs().max()))
    assert max(moved) > 1e-4


def test_trained_tensors_are_the_average(tone_model, examples):
    task = Task(examples(3, shift=1.0, seed=1), 2.0, seed=1)
    ends = []
    for average in (True, False):
        bank = SpeakerBank(tone_model, create("affine"))
        train(Trainer(tone_model, bank, [task], replace(OPTIONS, average=average)), [6])
        ends.append({name: tensor.detach() for name, tensor in bank.tensors.items()})
    assert max(float((ends[0][name] - ends[1][name]).abs().max()) for name in ends[0]) > 1e-4


def test_rows_that_are_not_active_do_not_move_at_all(tone_model, examples):
    tasks = [Task(examples(3, shift=1.0, seed=seed), 2.0, seed=seed) for seed in range(2)]
    bank = SpeakerBank(tone_model, create("head"), speakers=2)
    trainer = Trainer(tone_model, bank, tasks, OPTIONS)
    trainer.step(0, [0, 1])
    before = {k: v.detach().clone() for k, v in bank.tensors.items()}
    trainer.step(1, [1])
    assert all(torch.equal(bank.tensors[k][0], before[k][0]) for k in before)
    assert not any(torch.equal(bank.tensors[k][1], before[k][1]) for k in before)


def test_training_lowers_the_loss_and_leaves_the_model_alone(tone_model, examples):
    before = fingerprint(tone_model.module)
    task = Task(examples(6, shift=1.0), 5.0, seed=0)
    bank = SpeakerBank(tone_model, create("input"))
    pairs = [(0, example) for example in task.train]
    untrained = evaluate_pairs(tone_model, bank, pairs, OPTIONS)[0]
    train(Trainer(tone_model, bank, [task], OPTIONS), [30])
    trained = evaluate_pairs(tone_model, bank, pairs, OPTIONS)[0]
    assert sum(trained.losses.values()) < 0.5 * sum(untrained.losses.values())
    errors = [sum(c.character_errors for c in scores.counts.values()) for scores in (untrained, trained)]
    assert errors[1] < 0.5 * errors[0]
    assert fingerprint(tone_model.module) == before
    assert all(parameter.grad is None for parameter in tone_model.module.parameters())


def test_the_size_of_batches_does_not_change_gradients(tone_model, examples):
    gradients = []
    for seconds in (0.1, 4.0, 1000.0):
        bank = SpeakerBank(tone_model, create("head"), speakers=2).requires_grad()
        work = {0: list(examples(5, seed=1)), 1: list(examples(2, seed=2))}
        train_step(tone_model, bank, work, TrainingOptions(batch_seconds=seconds))
        gradients.append(bank.tensors["head/output/weight"].grad)
    assert float(gradients[0].abs().amax(dim=(1, 2)).min()) > 1e-2
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradients[0], gradients[2], rtol=1e-4, atol=1e-6)


def test_a_rows_gradient_is_that_of_its_mean_loss_per_token(tone_model, examples):
    bank = SpeakerBank(tone_model, create("head"), speakers=2).requires_grad()
    mine, other = examples(4, seed=1), examples(9, seed=2)
    train_step(tone_model, bank, {1: list(mine), 0: list(other)}, OPTIONS)
    alone = SpeakerBank(tone_model, create("head")).requires_grad()
    pairs = [(0, example) for example in mine]
    losses = ctc_losses(*encode_pairs(tone_model, alone, pairs), pairs)
    (losses.sum() / sum(len(example.target) for example in mine)).backward()
    for name, tensor in alone.tensors.items():
        torch.testing.assert_close(bank.tensors[name].grad[1], tensor.grad[0], rtol=1e-4, atol=1e-6)


def test_losses_are_those_of_each_utterance_alone(tone_model, examples):
    pairs = [(0, example) for example in examples(5)]
    with torch.no_grad():
        logits, frames = encode_pairs(tone_model, None, pairs)
    losses = ctc_losses(logits, frames, pairs)
    for row, (_, example) in enumerate(pairs):
        log_probs = logits[row, : frames[row]].log_softmax(-1)[:, None]
        alone = torch.nn.functional.ctc_loss(
            log_probs,
            example.target[None],
            frames[row : row + 1],
            torch.tensor([len(example.target)]),
            reduction="sum",
        )
        torch.testing.assert_close(losses[row], alone, rtol=1e-4, atol=1e-4)


def test_a_text_that_cannot_fit_costs_nothing_and_breaks_nothing(tone_model, examples):
    short, normal = examples(2, texts=["a", "abc"])
    object.__setattr__(short, "target", torch.full((200,), 3))
    bank = SpeakerBank(tone_model, create("head")).requires_grad()
    train_step(tone_model, bank, {0: [short, normal]}, OPTIONS)
    assert all(bool(tensor.grad.isfinite().all()) for tensor in bank.tensors.values())
    pairs = [(0, short), (0, normal)]
    losses = ctc_losses(*encode_pairs(tone_model, None, pairs), pairs)
    assert float(losses[0]) == 0
    assert float(losses[1]) > 0


def test_evaluation_scores_every_utterance_with_its_own_row(tone_model, examples):
    mine = examples(4, shift=1.0, seed=1)
    bank = SpeakerBank(tone_model, create("head"), speakers=3)
    generator = torch.Generator().manual_seed(0)
    for tensor in bank.tensors.values():
        tensor += torch.randn(tensor.shape, generator=generator)
    pairs = [(row, example) for row in range(3) for example in mine]
    random.Random(0).shuffle(pairs)
    scores = evaluate_pairs(tone_model, bank, pairs, OPTIONS)
    assert sorted(scores) == [0, 1, 2]
    assert len({sum(scores[row].losses.values()) for row in scores}) == 3
    for row in range(3):
        texts = []
        for example in mine:
            logits, frames = encode_pairs(tone_model, bank.select([row]), [(0, example)])
            texts += greedy_decode(logits, frames, tone_model.tokens)
        assert [scores[row].counts[id(e)] for e in mine] == [
            score(e.text, t) for e, t in zip(mine, texts, strict=True)
        ]


def test_evaluation_without_a_bank_is_that_of_the_source(tone_model, examples):
    right = examples(4, shift=0.0)
    scores = evaluate_pairs(tone_model, None, [(0, example) for example in right], OPTIONS)[0]
    assert all(count.character_errors == 0 for count in scores.counts.values())
    assert len(scores.counts) == 4


def test_progress_counts_the_rows_that_still_train(tone_model, examples):
    tasks = [Task(examples(1, seed=seed), 1.0, seed) for seed in range(2)]
    active: list[int] = []
    train(
        Trainer(tone_model, SpeakerBank(tone_model, create("head"), speakers=2), tasks, OPTIONS),
        [1, 3],
        active.append,
    )
    assert active == [2, 1, 1]


@pytest.mark.parametrize(
    ("total", "most"), [(5.0, 15.0), (24.0, 15.0), (40.0, 20.0), (59.0, 29.5), (60.0, 30.0), (700.0, 30.0)]
)
def test_an_update_takes_half_of_a_little_speech(total, most):
    assert update_seconds(total, 30.0) == most
    options = EnrolmentOptions()
    assert portions(total, 1000, options) == max(1, round(total / most))


def test_the_updates_of_a_pass_are_those_that_are_planned(tone_model, speak):
    examples = tuple(prepare_examples(tone_model, speak("ann", utterances=9)).usable)
    total = sum(example.seconds for example in examples)
    options = EnrolmentOptions(training=TrainingOptions(step_seconds=0.7 * total, bf16=False))
    trainer = Trainer(
        tone_model, SpeakerBank(tone_model, create("input")), [Task(examples, 1.0, 0)], options.training
    )
    count = portions(total, len(examples), options)
    assert count == 2  # of half of it each, not of seven tenths
    seen = [id(one) for number in range(count) for one in trainer._minibatch(0, number)]
    assert sorted(seen) == sorted(map(id, examples))
