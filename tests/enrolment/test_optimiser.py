from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asradapt.enrolment.optimiser import RowAdam

ROWS = 4
RATES = torch.tensor([1e-2, 3e-3, 1e-1, 2e-2])
SHAPES = {"matrix": (3, 2), "vector": (5,), "number": ()}
SAME = {"rtol": 1e-5, "atol": 1e-6}  # the same sums in another order


def starts(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(ROWS, *shape, generator=generator) for name, shape in SHAPES.items()}


def gradients(step: int) -> dict[str, Tensor]:
    """Gradients of very different sizes, as rows of different people have them."""
    size = torch.tensor([1.0, 1e-4, 30.0, 1e-2])
    return {k: size.view(-1, *[1] * (v.ndim - 1)) * v for k, v in starts(100 + step).items()}


def row_adam(tensors: dict[str, Tensor], decay: float = 0.0) -> RowAdam:
    return RowAdam(tensors, {"matrix": RATES, "vector": 2 * RATES, "number": RATES}, decay=decay)


def run(steps: list[list[int]], decay: float = 0.0) -> dict[str, Tensor]:
    """Every step with its active rows; other rows have no gradient."""
    tensors = {name: tensor.requires_grad_() for name, tensor in starts().items()}
    optimiser = row_adam(tensors, decay)
    for step, active in enumerate(steps):
        for name, gradient in gradients(step).items():
            tensors[name].grad = torch.zeros_like(gradient)
            tensors[name].grad[active] = gradient[active]
        optimiser.step(torch.tensor(active, dtype=torch.int64))
    return {name: tensor.detach() for name, tensor in tensors.items()}


def reference(row: int, steps: list[int], decay: float) -> dict[str, Tensor]:
    """One row alone with torch's own Adam (with decoupled decay)."""
    tensors = {name: tensor[row].clone().requires_grad_() for name, tensor in starts().items()}
    rate = float(RATES[row])
    groups = [{"params": [v], "lr": rate * (2 if k == "vector" else 1)} for k, v in tensors.items()]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, weight_decay=decay)
    for step in steps:
        for name, gradient in gradients(step).items():
            tensors[name].grad = gradient[row].clone()
        optimiser.step()
    return {name: tensor.detach() for name, tensor in tensors.items()}


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_every_row_is_adam_at_its_own_rate(decay):
    together = run([[0, 1, 2, 3]] * 12, decay)
    for row in range(ROWS):
        for name, expected in reference(row, list(range(12)), decay).items():
            torch.testing.assert_close(together[name][row], expected, **SAME)


def test_rows_that_come_and_go_have_their_own_number_of_steps():
    schedule = [[0, 1], [0], [3, 0], [1, 2, 3], [2], [0, 1, 2, 3]]
    together = run(schedule)
    for row in range(ROWS):
        own = [step for step, active in enumerate(schedule) if row in active]
        for name, expected in reference(row, own, 0.0).items():
            torch.testing.assert_close(together[name][row], expected, **SAME)


def test_inactive_rows_do_not_move():
    together, before = run([[1, 3]] * 3, decay=0.5), starts()
    for name in SHAPES:
        assert torch.equal(together[name][[0, 2]], before[name][[0, 2]])
        assert not torch.equal(together[name][[1, 3]], before[name][[1, 3]])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("where", list(SHAPES))
def test_a_row_with_a_broken_gradient_is_left_alone(bad, where):
    tensors = {name: tensor.requires_grad_() for name, tensor in starts().items()}
    optimiser = row_adam(tensors, decay=0.1)
    for step in range(3):
        for name, gradient in gradients(step).items():
            tensors[name].grad = gradient
        if step == 1:
            tensors[where].grad[2] = bad
            before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        optimiser.step(torch.arange(ROWS))
        if step == 1:
            assert all(torch.equal(tensors[name][2], before[name][2]) for name in SHAPES)
            assert not any(torch.equal(tensors[name][3], before[name][3]) for name in SHAPES)
    for row, steps in ((2, [0, 2]), (3, [0, 1, 2])):  # as if the broken step had never been
        for name, expected in reference(row, steps, 0.1).items():
            torch.testing.assert_close(tensors[name][row].detach(), expected, **SAME)


def test_gradients_are_cleared_and_missing_ones_change_nothing():
    tensors = {name: tensor.requires_grad_() for name, tensor in starts().items()}
    optimiser = row_adam(tensors)
    tensors["vector"].grad = torch.ones_like(tensors["vector"])
    optimiser.step(torch.arange(ROWS))
    assert all(tensor.grad is None for tensor in tensors.values())
    assert torch.equal(tensors["matrix"], starts()["matrix"])
    assert not torch.equal(tensors["vector"], starts()["vector"])


def test_gradients_may_lie_in_memory_in_any_order():
    turned, straight = ({"matrix": starts()["matrix"].requires_grad_()} for _ in range(2))
    gradient = gradients(0)["matrix"]
    turned["matrix"].grad = gradient.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert not turned["matrix"].grad.is_contiguous()
    straight["matrix"].grad = gradient.clone()
    for tensors in (turned, straight):
        RowAdam(tensors, {"matrix": RATES}).step(torch.arange(ROWS))
    assert torch.equal(turned["matrix"], straight["matrix"])


def test_no_active_rows_are_no_step():
    together = run([[]])
    assert all(torch.equal(together[name], tensor) for name, tensor in starts().items())


def test_averages_weigh_every_update_of_a_row_by_its_number():
    tensors = {name: tensor.requires_grad_() for name, tensor in starts().items()}
    optimiser = row_adam(tensors)
    path: list[list[Tensor]] = [[] for _ in range(ROWS)]
    for step, active in enumerate([[0, 1, 2], [0, 1], [0, 1], [0]]):
        for name, gradient in gradients(step).items():
            tensors[name].grad = gradient
        optimiser.step(torch.tensor(active))
        for row in active:
            path[row].append(tensors["matrix"][row].detach().clone())
    for row, passed in enumerate(path[:3]):
        total = sum(range(1, len(passed) + 1))
        expected = sum((number + 1) * value for number, value in enumerate(passed)) / total
        torch.testing.assert_close(optimiser.averages["matrix"][row], expected, **SAME)
    torch.testing.assert_close(optimiser.averages["matrix"][3], starts()["matrix"][3], rtol=0, atol=0)
