from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, make_dataclass

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from asradapt.adaptation import METHODS, Method, SpeakerBank, TensorSpec, create, register
from asradapt.adaptation.mixed import IDENTITY, Member, MixedBank
from asradapt.errors import DamagedSpeaker, UnknownMethod, UnknownName, UsageError
from asradapt.models.base import SITE_KINDS, Seq2SeqModel, Site, SourceModel, fingerprint

# Logits of the same row in another batch: matrix products of another shape are summed in another order in fp32.
# Measured 1.1e-5 where the logits reach 10; the adaptations of these tests change them by 1 to 15.
SAME = {"rtol": 0, "atol": 1e-4}

SPEAKERS = 5
SECONDS = (0.3, 0.2, 0.4, 0.25, 0.35)  # of five clips; alike where a model takes rows of one length only
MIXED_ROWS = [3, 0, 4, 4, 1]  # speaker 2 is not in the batch


@dataclass(frozen=True)
class Gain(Method):
    """A method that somebody else wrote, known to nothing but the registry while a test runs."""

    name = "gain"
    summary = "one loudness per speaker"
    kinds = frozenset({"feed_forward", "input"})

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        return {"gain": TensorSpec(())}

    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        return y * (1 + tensors["gain"][:, None, None])


NAMES = [*METHODS, "affine+lowrank", "input+affine", "lowrank+head", "gain", "gain+affine"]
NAMES += ["lowrank+tokens", "tokens+head"]
ADDED = "éжñ"  # characters that no model of these tests can write


def options_of(name: str) -> dict[str, dict[str, object]]:
    return {"tokens": {"characters": ADDED}} if "tokens" in name.split("+") else {}


@contextmanager
def registered(method: type[Method]) -> Iterator[None]:
    register(method)
    try:
        yield
    finally:
        del METHODS[method.name]


@pytest.fixture(params=NAMES)
def methods(request: pytest.FixtureRequest, model: SourceModel) -> Iterator[tuple[Method, ...]]:
    if "tokens" in request.param and isinstance(model, Seq2SeqModel):
        pytest.skip("writes everything: there is nothing to add")
    if "gain" not in request.param:
        yield create(request.param, options_of(request.param))
    else:
        with registered(Gain):
            yield create(request.param)


@pytest.fixture(scope="module")
def model(any_model):
    """Methods are tested on models of both kinds."""
    return any_model


def outputs(model: SourceModel, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, F, V) and counts; of a model whose decoder writes, those of the tokens of a text."""
    states, counts = model.encode(features, frames)
    if not isinstance(model, Seq2SeqModel):
        return states, counts
    text = torch.tensor(model.spell("the cat sat")[1])
    return model.logits(states, [text] * len(frames)), torch.full((len(frames),), len(text))


@pytest.fixture(scope="module")
def inputs(model, babble, batch):
    """Features (5, F', M) and frame counts (5,) of five clips."""
    return model.prepare(
        *batch([babble(0.3 if model.equal_lengths else one, seed) for seed, one in enumerate(SECONDS)])
    )


@pytest.fixture(scope="module")
def source_logits(model, inputs):
    return run(model, inputs)


def run(model: SourceModel, inputs: tuple[Tensor, Tensor], bank=None, rows: Sequence[int | Member] = ()) -> Tensor:
    """Logits (B, F, V), adapted by the bank if there is one; the rows of a mixed bank are members."""
    with torch.no_grad():
        if bank is None:
            return outputs(model, *inputs)[0]
        with bank.attach(model, rows if isinstance(bank, MixedBank) else torch.tensor(rows)):
            return outputs(model, *inputs)[0]


@pytest.fixture
def identity(model, methods, inputs, source_logits):
    """What an adaptation that changes nothing gives: the source's logits, behind them those of new characters."""
    return run(model, inputs, SpeakerBank(model, methods), [0] * 5) if added_by(methods) else source_logits


def added_by(methods: Sequence[Method]) -> bool:
    return any(method.added for method in methods)


def perturbed(bank: SpeakerBank, seed: int = 0) -> SpeakerBank:
    """The same bank with random values in all tensors, of a size that changes a lot and ruins nothing."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in bank.tensors.values():
        inputs = tensor[0, ..., 0].numel() if tensor.ndim > 2 else 1
        tensor += 0.3 * inputs**-0.5 * torch.randn(tensor.shape, generator=generator)
    return bank


def rows_for(bank: SpeakerBank, rows: Sequence[int] = MIXED_ROWS) -> list[int]:
    """The rows, or only the first of them for methods that take one speaker a batch."""
    return [rows[0]] * len(rows) if bank.one_speaker else list(rows)


def row_of(inputs: tuple[Tensor, Tensor], row: int) -> tuple[Tensor, Tensor]:
    """One row by itself, without its padding."""
    features, frames = inputs
    return features[row : row + 1, : int(frames[row])], frames[row : row + 1]


def train_briefly(model: SourceModel, bank: SpeakerBank, inputs: tuple[Tensor, Tensor], steps: int) -> None:
    optimiser = torch.optim.Adam(bank.tensors.values(), lr=1e-2)
    rows = torch.tensor(rows_for(bank))
    for _ in range(steps):
        with bank.attach(model, rows):
            outputs(model, *inputs)[0].log_softmax(-1)[..., 0].sum().backward()
        optimiser.step()
        optimiser.zero_grad()


def state_of(model: SourceModel) -> dict[str, object]:
    """Everything of a network that attaching could leave changed, by identity."""
    found: dict[str, object] = {}
    for path, part in model.module.named_modules():
        tables = {k: dict(v) for k, v in vars(part).items() if k.startswith("_") and isinstance(v, dict)}
        found[path] = {k: {key: id(value) for key, value in table.items()} for k, table in tables.items()}
        found[f"{path} own"] = sorted(k for k in vars(part) if not k.startswith("_"))
        found[f"{path} mode"] = (part.training, id(part.forward.__func__))
    return found


# ---- 1. a new adaptation is the identity, bit for bit


@pytest.mark.parametrize("speakers", [1, SPEAKERS])
def test_a_new_bank_is_the_identity_bit_for_bit(model, methods, inputs, source_logits, speakers):
    """New characters stand behind the logits of the model, and are the likeliest nowhere."""
    bank = SpeakerBank(model, methods, speakers=speakers, seed=3)
    rows = [0] * 5 if speakers == 1 else rows_for(bank)
    logits = run(model, inputs, bank, rows)
    assert logits.shape[-1] == len(model.tokens) + (len(ADDED) if added_by(methods) else 0)
    assert torch.equal(logits[..., : len(model.tokens)], source_logits)
    assert torch.equal(logits.argmax(-1), source_logits.argmax(-1))


def test_a_speaker_starts_the_same_in_any_company(model, methods):
    alone, many = SpeakerBank(model, methods, seed=3), SpeakerBank(model, methods, speakers=SPEAKERS, seed=3)
    assert all(torch.equal(many.tensors[k], v.expand_as(many.tensors[k])) for k, v in alone.tensors.items())
    other = SpeakerBank(model, methods, seed=4)
    spread = [k for k, spec in other.specs.items() if spec.spread]
    assert not any(torch.equal(alone.tensors[k], other.tensors[k]) for k in spread)


# ---- 2. attaching restores the model exactly, also after an exception, and nests


def test_the_model_is_restored_when_the_context_ends(model, methods, inputs, source_logits):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    before, parameters = state_of(model), dict(model.module.named_parameters())
    with bank.attach(model, torch.tensor(rows_for(bank))):
        assert state_of(model) != before
    after = dict(model.module.named_parameters())
    assert list(after) == list(parameters)
    assert all(after[name] is parameters[name] for name in parameters)
    assert state_of(model) == before
    assert torch.equal(run(model, inputs), source_logits)


def test_the_model_is_restored_after_an_exception(model, methods, inputs, source_logits):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    before = state_of(model)
    with pytest.raises(KeyboardInterrupt), bank.attach(model, torch.tensor(rows_for(bank))):
        raise KeyboardInterrupt
    assert state_of(model) == before
    with pytest.raises(RuntimeError), bank.attach(model, torch.tensor(rows_for(bank))):
        model.encode(inputs[0][..., :-1], inputs[1])  # features of the wrong width: fails amid the forward pass
    assert state_of(model) == before
    assert torch.equal(run(model, inputs), source_logits)


def test_the_model_is_restored_when_attaching_fails_halfway(tiny_model, methods):
    deep, flat = tiny_model(blocks=2), tiny_model(blocks=1)
    bank, before = SpeakerBank(deep, methods), state_of(flat)
    lacks = {site.name for _, site, _ in bank._places} - {name for name, _ in flat.module.named_modules()}
    if lacks - {name for name, _ in flat.module.named_parameters()}:  # not so for `input`
        with pytest.raises(AttributeError), bank.attach(flat, torch.tensor([0])):
            pass
    assert state_of(flat) == before


def test_attaching_nests_and_unwinds(model, methods, inputs, source_logits):
    first = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS), seed=1)
    second = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS), seed=2)
    rows = rows_for(first)
    by_second = run(model, inputs, second, rows)
    with first.attach(model, torch.tensor(rows)):
        by_first = run(model, inputs)
        twice, both = run(model, inputs, first, rows), run(model, inputs, second, rows)
        assert torch.equal(run(model, inputs), by_first)
    assert torch.equal(run(model, inputs), source_logits)
    if added_by(methods):
        assert both.shape[-1] == twice.shape[-1] == len(model.tokens) + 2 * len(ADDED)
        return
    for one, other in ((by_first, twice), (by_first, both), (by_second, both), (twice, both)):
        assert float((one - other).abs().max()) > 1e-2


def test_a_context_serves_many_passes_and_sees_the_tensors_as_they_are(model, methods, inputs):
    bank = SpeakerBank(model, methods, speakers=SPEAKERS).requires_grad()
    rows = torch.tensor(rows_for(bank))
    with bank.attach(model, rows):
        with torch.no_grad():
            outputs(model, *inputs)
        for _ in range(2):
            outputs(model, *inputs)[0].log_softmax(-1)[..., 0].sum().backward()
    assert any(bool(tensor.grad.any()) for tensor in bank.tensors.values())
    bank.requires_grad(False)
    if bank.one_speaker:  # its weights are put together when it is attached
        return
    with bank.attach(model, rows):
        before = run(model, inputs)
        perturbed(bank)
        assert float((run(model, inputs) - before).abs().max()) > 1e-2


# ---- 3. its state is all and only its own tensors, loaded strictly


def test_the_state_is_all_and_only_the_own_tensors(model, methods):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    state = bank.state(3)
    expected = {
        f"{method.name}/{site.name}/{part}": (1, *spec.shape)
        for method in methods
        for site in method.sites(model)
        for part, spec in method.tensors(site).items()
    }
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected
    assert all(torch.equal(state[name][0], bank.tensors[name][3]) for name in state)
    for tensor in state.values():
        tensor.fill_(7.0)  # copies: the bank does not notice
    assert not any(bool((tensor[3] == 7.0).all()) for tensor in bank.tensors.values())


def test_a_saved_state_comes_back_the_same(model, methods, inputs, tmp_path):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    again = SpeakerBank(model, methods, speakers=SPEAKERS)
    untouched = {name: tensor.clone() for name, tensor in again.tensors.items()}
    save_file(bank.state(3), tmp_path / "adaptation.safetensors")
    again.load(3, load_file(tmp_path / "adaptation.safetensors"))
    assert torch.equal(run(model, inputs, again, [3] * 5), run(model, inputs, bank, [3] * 5))
    for name, tensor in again.tensors.items():
        others = [0, 1, 2, 4]
        assert torch.equal(tensor[others], untouched[name][others])


def test_an_unfit_state_is_refused_with_all_that_is_wrong(model, methods):
    bank = SpeakerBank(model, methods, speakers=2)
    before = {name: tensor.clone() for name, tensor in bank.tensors.items()}
    good = bank.state(0)
    missing, misshaped = next(iter(good)), list(good)[-1]
    for name, wrong in (
        (missing, {k: v for k, v in good.items() if k != missing}),
        ("affine/nowhere/scale", good | {"affine/nowhere/scale": torch.zeros(1, 4)}),
        (misshaped, good | {misshaped: torch.cat([good[misshaped]] * 2)}),
        (misshaped, good | {misshaped: good[misshaped][0]}),
        (missing, good | {missing: torch.full_like(good[missing], torch.nan)}),
        (missing, good | {missing: torch.full_like(good[missing], torch.inf)}),
    ):
        with pytest.raises(DamagedSpeaker) as caught:
            bank.load(1, wrong)
        assert name in str(caught.value)
        assert all(torch.equal(bank.tensors[k], before[k]) for k in before)


def test_every_problem_of_a_state_is_named_at_once(tiny_model):
    bank = SpeakerBank(tiny_model(), create("affine"))
    state = bank.state(0)
    first, second, third = list(state)[:3]
    state["extra"] = state.pop(first)
    state[second] = torch.zeros(1, 3)
    state[third] = torch.full_like(state[third], torch.nan)
    with pytest.raises(DamagedSpeaker) as caught:
        bank.load(0, state)
    for part in (f"{first}: missing", "extra: not of this method", f"{second}: shape (1, 3), expected (1, 16)"):
        assert part in str(caught.value)
    assert f"{third}: holds values that are not finite" in str(caught.value)


# ---- 4. the base never changes, 5. every site gets a gradient, and only the bank's tensors do


def test_training_changes_the_bank_and_never_the_base(model, methods, inputs, source_logits, identity):
    before, buffers = fingerprint(model.module), dict(model.module.named_buffers())
    values = {name: buffer.clone() for name, buffer in buffers.items()}
    bank = SpeakerBank(model, methods, speakers=SPEAKERS).requires_grad()
    starts = {name: tensor.detach().clone() for name, tensor in bank.tensors.items()}
    train_briefly(model, bank, inputs, steps=2)
    assert fingerprint(model.module) == before
    assert all(torch.equal(buffers[name], values[name]) for name in values)
    assert all(parameter.grad is None for parameter in model.module.parameters())
    assert not any(part.training for part in model.module.modules())
    for name, tensor in bank.tensors.items():
        assert not torch.equal(tensor, starts[name]), name
        assert torch.equal(tensor[2], starts[name][2]), name  # was not in the batch
    assert torch.equal(run(model, inputs), source_logits)
    assert not torch.allclose(run(model, inputs, bank, rows_for(bank)), identity, atol=1e-2)


def test_a_gradient_reaches_every_tensor_of_every_site_and_nothing_else(model, methods, inputs):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS)).requires_grad()
    rows = rows_for(bank)
    with bank.attach(model, torch.tensor(rows)):
        logits, frames = outputs(model, *inputs)
    targets, sizes = torch.full((5, 3), 5), torch.full((5,), 3)
    log_probs = logits.log_softmax(-1).transpose(0, 1)
    torch.nn.functional.ctc_loss(log_probs, targets, frames, sizes, reduction="sum").backward()
    assert bank.tensors
    for name, tensor in bank.tensors.items():
        assert tensor.grad is not None, name
        reached = tensor.grad.reshape(SPEAKERS, -1).abs().amax(1) > 0
        assert reached.tolist() == [row in rows for row in range(SPEAKERS)], name
    assert all(parameter.grad is None for parameter in model.module.parameters())
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_the_adaptation_acts_on_every_row(model, methods, inputs, identity):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    adapted = run(model, inputs, bank, rows_for(bank))
    assert bool(((adapted - identity).abs().amax(dim=(1, 2)) > 0.1).all())
    shuffled = run(model, inputs, bank, rows_for(bank, [1, 4, 0, 2, 3]))
    assert bool(((adapted - shuffled).abs().amax(dim=(1, 2)) > 0.1).all())


# ---- 6. row i of a mixed batch equals that speaker alone


@pytest.mark.parametrize("rows", [MIXED_ROWS, [0, 1, 2, 3, 4]], ids=str)
def test_a_row_of_a_mixed_batch_equals_that_speaker_alone(model, methods, inputs, rows):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    rows = rows_for(bank, rows)
    together = run(model, inputs, bank, rows)
    for row, speaker in enumerate(rows):
        alone = run(model, row_of(inputs, row), bank.select([speaker]), [0])[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, **SAME)


def test_a_row_does_not_depend_on_its_place_in_the_batch(model, methods, inputs):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    rows, order = rows_for(bank), [4, 2, 0, 3, 1]
    together = run(model, inputs, bank, rows)
    moved = run(model, (inputs[0][order], inputs[1][order]), bank, [rows[i] for i in order])
    torch.testing.assert_close(moved, together[order], **SAME)


def test_noise_behind_an_adapted_row_changes_nothing(model, methods, inputs):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    features, frames = inputs
    noise = 30 * torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    behind = torch.arange(features.shape[1])[None, :, None] >= frames[:, None, None]
    clean = run(model, inputs, bank, rows_for(bank))
    dirty = run(model, (torch.where(behind, noise, features), frames), bank, rows_for(bank))
    for row, count in enumerate(((frames + 3) // 4).tolist()):
        assert torch.equal(clean[row, :count], dirty[row, :count])


def test_speakers_can_be_chosen_and_reordered(model, methods, inputs):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    chosen = bank.select([4, 1])
    assert chosen.speakers == 2
    for row, speaker in enumerate([4, 1]):
        assert all(torch.equal(chosen.tensors[k][row], bank.tensors[k][speaker]) for k in bank.tensors)
    assert torch.equal(run(model, inputs, chosen, [0] * 5), run(model, inputs, bank, [4] * 5))


# ---- strength


def test_strength_interpolates_between_the_identity_and_itself(model, methods, inputs, identity):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    full = run(model, inputs, bank, rows_for(bank))
    for strength, expected in ((0.0, identity), (1.0, full)):
        assert torch.equal(run(model, inputs, bank.scaled(torch.full((5,), strength)), rows_for(bank)), expected)
    half = run(model, inputs, bank.scaled(torch.full((5,), 0.5)), rows_for(bank))
    assert float((half - full).abs().max()) > 1e-2
    assert float((half - identity).abs().max()) > 1e-2


def test_every_speaker_has_its_own_strength(model, methods, inputs, identity):
    bank = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))
    mixed = bank.scaled(torch.tensor([1.0, 0.0, 0.5, 0.0, 1.0]))
    assert torch.equal(run(model, inputs, mixed, [3] * 5), identity)
    assert torch.equal(run(model, inputs, mixed, [4] * 5), run(model, inputs, bank, [4] * 5))


def test_half_the_strength_is_half_the_change_of_a_low_rank_weight(tiny_model):
    bank = perturbed(SpeakerBank(tiny_model(), create("lowrank")))
    half = bank.scaled(torch.tensor([0.5]))
    for site in (name.removesuffix("down") for name in bank.tensors if name.endswith("down")):
        full_change, half_change = (b.tensors[f"{site}down"] @ b.tensors[f"{site}up"] for b in (bank, half))
        torch.testing.assert_close(half_change, 0.5 * full_change)


# ---- mixtures of methods, ranks and the identity in one batch

CROWD: list[tuple[str, dict[str, dict[str, object]]]] = [
    ("affine", {}),
    ("lowrank", {"lowrank": {"rank": 2}}),
    (IDENTITY, {}),
    ("lowrank", {"lowrank": {"rank": 8}}),
    ("affine+lowrank", {"lowrank": {"rank": 2}}),
    ("affine", {}),
    ("input", {}),
    ("bottleneck", {"bottleneck": {"width": 3}}),
    ("head", {}),
    ("tokens", {"tokens": {"characters": "é"}}),
    ("lowrank+tokens", {"tokens": {"characters": "ñé"}}),
]


def members(model: SourceModel) -> list[Member]:
    found = []
    for seed, (name, options) in enumerate(CROWD):
        bank = None if name == IDENTITY else perturbed(SpeakerBank(model, create(name, options)), seed)
        found.append(Member(name, options, bank.state(0) if bank else {}))
    return found


@pytest.mark.parametrize(
    "rows", [[0, 1, 2, 3, 4], [8, 7, 6, 5, 2], [4, 2, 0, 5, 3], [2, 2, 2, 2, 2], [9, 8, 10, 2, 0]], ids=str
)
def test_a_batch_may_hold_any_mix_of_speakers(model, inputs, source_logits, rows):
    crowd, width = members(model), len(model.tokens)
    mix, people = MixedBank(model), [crowd[row] for row in rows]
    together = run(model, inputs, mix, people)
    with mix.attach(model, people) as added:
        columns = [[width + place for place, token in enumerate(row) if token] for row in added]
    for row, member in enumerate(people):
        own = together[row][:, [*range(width), *columns[row]]]
        others = [column for column in range(width, together.shape[-1]) if column not in columns[row]]
        assert not bool(together[row].softmax(-1)[:, others].any())  # what others have added is impossible
        if member.method == IDENTITY:
            assert torch.equal(own, source_logits[row])
            continue
        bank = SpeakerBank(model, create(member.method, member.options))
        assert tuple(filter(None, added[row])) == bank.added
        bank.load(0, member.state)
        alone = run(model, row_of(inputs, row), bank, [0])[0]
        new = SpeakerBank(model, create(member.method, member.options))
        assert float((alone - run(model, row_of(inputs, row), new, [0])[0]).abs().max()) > 0.01
        torch.testing.assert_close(own[: len(alone)], alone, **SAME)


def test_a_mix_restores_the_model_also_after_an_exception(model, inputs, source_logits):
    crowd, before = members(model), state_of(model)
    with pytest.raises(KeyboardInterrupt), MixedBank(model).attach(model, [crowd[row] for row in (0, 1, 3, 4, 8)]):
        raise KeyboardInterrupt
    assert state_of(model) == before
    assert torch.equal(run(model, inputs), source_logits)


def test_a_mix_of_nobody_but_sources_touches_nothing(model):
    before = state_of(model)
    with MixedBank(model).attach(model, [Member(IDENTITY, {}, {})] * 3):
        assert state_of(model) == before


def test_a_mix_refuses_a_damaged_member(tiny_model):
    model = tiny_model()
    state = SpeakerBank(model, create("affine")).state(0)
    name, _ = state.popitem()
    damaged, bank = Member("affine", {}, state), MixedBank(model)
    with pytest.raises(DamagedSpeaker, match=name):
        bank.check(damaged)
    with pytest.raises(DamagedSpeaker, match=name), bank.attach(model, [Member(IDENTITY, {}, {}), damaged]):
        pass
    assert bank.resident() == 0


@pytest.mark.parametrize("room", [1, 2, 3, 100])
def test_a_bound_on_residents_changes_no_row(tiny_model, babble, batch, room):
    """Whoever was not heard for the longest leaves; a batch of more people than there is room for still fits."""
    model = tiny_model()
    inputs = model.prepare(*batch([babble(0.4, seed) for seed in range(3)]))
    crowd = [
        Member("affine", {}, perturbed(SpeakerBank(model, create("affine")), seed).state(0)) for seed in range(6)
    ]
    bytes_each = SpeakerBank(model, create("affine")).bytes_a_speaker()
    bank = MixedBank(model, most_bytes=room * bytes_each)
    alone = [run(model, inputs, MixedBank(model), [member] * 3) for member in crowd]
    chance = random.Random(room)
    for _ in range(12):
        chosen = [chance.randrange(6) for _ in range(3)]
        together = run(model, inputs, bank, [crowd[index] for index in chosen])
        for row, index in enumerate(chosen):
            torch.testing.assert_close(together[row], alone[index][row], **SAME)
        assert bank.resident() <= max(room, 3)
    assert bank.resident() == min(6, max(room, 3))


def test_encoder_takes_one_speaker_a_batch(model, inputs):
    bank, before = SpeakerBank(model, create("encoder"), speakers=2), state_of(model)
    with pytest.raises(UsageError, match="one speaker a batch, got 2"):
        run(model, inputs, bank, [0, 1, 0, 0, 0])
    assert state_of(model) == before


def test_encoder_in_a_mix_works_alone_and_is_refused_in_company(tiny_model, babble, batch):
    model = tiny_model()
    inputs = model.prepare(*batch([babble(0.4, 1), babble(0.4, 2)]))
    bank = perturbed(SpeakerBank(model, create("encoder")))
    mix, nobody, somebody = MixedBank(model), Member(IDENTITY, {}, {}), Member("encoder", {}, bank.state(0))
    assert torch.equal(run(model, inputs, mix, [somebody, somebody]), run(model, inputs, bank, [0, 0]))
    assert torch.equal(run(model, inputs, mix, [nobody, nobody]), run(model, inputs))
    with pytest.raises(UsageError, match="one speaker a batch"):
        run(model, inputs, mix, [nobody, somebody])


def test_sites_whose_names_begin_alike_are_kept_apart(tiny_model, babble, batch):
    model = tiny_model(blocks=11)
    bank = SpeakerBank(model, create("affine"))
    for name, tensor in bank.tensors.items():
        if name.startswith("affine/blocks.1."):
            tensor += 0.5
    inputs, seen = model.prepare(*batch([babble(0.3)])), {}
    for path in ("blocks.0", "blocks.1.norm", "blocks.10.norm"):
        part = model.module.get_submodule(path)
        part.register_forward_hook(lambda _, given, output, path=path: seen.setdefault(path, []).append(output))
    run(model, inputs)
    run(model, inputs, bank, [0])
    assert torch.equal(*seen["blocks.0"])
    assert not torch.equal(*seen["blocks.1.norm"])
    state = bank.state(0)
    assert sum(name.startswith("affine/blocks.1.") for name in state) == 10
    assert sum(name.startswith("affine/blocks.10.") for name in state) == 10
    assert not any(bool(v.any()) for k, v in state.items() if k.startswith("affine/blocks.10."))


# ---- the registry


def test_methods_describe_themselves(methods):
    for method in methods:
        assert METHODS[method.name] is type(method)
        assert method.summary
        assert "\n" not in method.summary
        assert method.kinds <= {*SITE_KINDS, "weight"}
        assert 0 < method.rate < 1
        assert create(method.name, {method.name: json.loads(json.dumps(method.options()))}) == (method,)


def test_every_method_finds_sites_in_every_model(model, methods):
    for method in methods:
        sites = method.sites(model)
        assert sites
        assert all(method.tensors(site) for site in sites)


def test_a_registered_method_is_known_only_while_it_is_registered():
    with registered(Gain):
        assert create("gain") == (Gain(),)
    with pytest.raises(UnknownName, match="'gain'"):
        create("gain")


@pytest.mark.parametrize("name", ["nothing", "affine+nothing", "", "affine+", "Affine", "affin"])
def test_an_unknown_method_is_told_with_the_known_ones(name):
    with pytest.raises(UnknownMethod) as caught:
        create(name)
    assert isinstance(caught.value, UnknownName)
    assert caught.value.exit_code == 2
    assert all(known in str(caught.value) for known in METHODS)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("affine+affine", {}, "twice"),
        ("encoder+affine", {}, "cannot be combined"),
        ("lowrank", {"lowrank": {"rank": 0}}, "rank must lie from 1 to 512, got 0"),
        ("lowrank", {"lowrank": {"rank": 513}}, "rank must lie from 1 to 512, got 513"),
        ("lowrank", {"lowrank": {"rang": 2}}, "lowrank has no option 'rang'; it has rank"),
        ("affine", {"affine": {"rank": 2}}, "affine has no option 'rank'; it has none"),
        ("lowrank", {"lowrank": {"rank": 2.5}}, "lowrank: rank must be int, got 2.5"),
        ("lowrank", {"lowrank": {"rank": 4.0}}, "lowrank: rank must be int, got 4.0"),
        ("lowrank", {"lowrank": {"rank": True}}, "lowrank: rank must be int, got True"),
        ("lowrank", {"lowrank": {"rank": "4"}}, "lowrank: rank must be int, got '4'"),
        ("lowrank", {"lowrank": {"rank": None}}, "lowrank: rank must be int, got None"),
        ("affine", {"lowrank": {"rank": 2}}, "options for 'lowrank', which is not part of it"),
        ("affine", {"nonsense": {}}, "options for 'nonsense', which is not part of it"),
        ("bottleneck", {"bottleneck": {"width": 4097}}, "width must lie from 1 to 4096, got 4097"),
        ("bottleneck", {"bottleneck": {"width": -1}}, "width must lie from 1 to 4096, got -1"),
    ],
)
def test_unusable_combinations_and_options_say_what_is_wrong(name, options, message):
    with pytest.raises(UsageError, match=message):
        create(name, options)


def test_options_reach_their_method():
    affine, lowrank = create("affine+lowrank", {"lowrank": {"rank": 7}, "affine": {}})
    assert (affine.name, lowrank.options()) == ("affine", {"rank": 7})
    for name, option, most in (("lowrank", "rank", 512), ("bottleneck", "width", 4096)):
        assert create(name, {name: {option: most}})[0].options() == {option: most}


def test_all_that_is_wrong_with_options_is_told_at_once():
    options = {"lowrank": {"rang": 2, "rank": 2.5}, "bottleneck": {"width": True}, "head": {}, "nonsense": {}}
    with pytest.raises(UsageError) as caught:
        create("lowrank+bottleneck", options)
    for part in (
        "'lowrank+bottleneck'",
        "'rang'",
        "rank must be int",
        "width must be int",
        "'head'",
        "'nonsense'",
    ):
        assert part in str(caught.value)


def test_types_of_options_may_be_written_either_way():
    fields = [("size", int, 3), ("share", float, 0.5)]
    given = {"name": "typed", "kinds": Gain.kinds, "tensors": Gain.tensors, "apply": Gain.apply}
    typed = make_dataclass("Typed", fields, bases=(Method,), frozen=True, namespace=given)
    with registered(typed):
        (made,) = create("typed", {"typed": {"size": 5, "share": 0.25}})
        assert made.options() == {"size": 5, "share": 0.25}
        with pytest.raises(UsageError, match="size must be int, got True"):
            create("typed", {"typed": {"size": True}})


def test_a_method_without_a_place_to_act_is_refused(tiny_model):
    class Nowhere(Gain):
        name = "nowhere"
        kinds = frozenset({"loudspeaker"})

    with pytest.raises(UsageError, match="'nowhere' finds no place to act in the model 'tiny'"):
        SpeakerBank(tiny_model(), (*create("affine"), Nowhere()))
