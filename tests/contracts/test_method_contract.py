from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, make_dataclass

import pytest
import torch
from torch import Tensor

from asradapt.adaptation import METHODS, Method, SpeakerBank, TensorSpec, create, register
from asradapt.adaptation.mixed import IDENTITY, Member, MixedBank
from asradapt.errors import DamagedSpeaker, UnknownMethod, UnknownName, UsageError
from asradapt.models.base import SITE_KINDS, Site, SourceModel
from asradapt.testing import MethodContract, MixedContract
from asradapt.testing.inputs import perturbed, same, state_of


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


def made(name: str) -> Iterator[tuple[Method, ...]]:
    """The methods of a name, known while a test runs."""
    if "gain" not in name:
        yield create(name, options_of(name))
    else:
        with registered(Gain):
            yield create(name)


@pytest.fixture(params=NAMES)
def methods(request: pytest.FixtureRequest) -> Iterator[tuple[Method, ...]]:
    yield from made(request.param)


class TestMethods(MethodContract):
    """All methods and mixtures of them, also one that somebody else wrote, on small models of this project."""

    @pytest.fixture
    def model(self, own_model: SourceModel) -> SourceModel:
        return own_model

    @pytest.fixture(params=NAMES)
    def methods(self, request: pytest.FixtureRequest) -> Iterator[tuple[Method, ...]]:
        yield from made(request.param)


class TestMixtures(MixedContract):
    """The same models; all others: `test_family_contract`."""

    @pytest.fixture
    def model(self, own_model: SourceModel) -> SourceModel:
        return own_model


def run(model: SourceModel, inputs: tuple[Tensor, Tensor], bank=None, rows: Sequence[int | Member] = ()) -> Tensor:
    """Logits (B, F, V), adapted by the bank if there is one; the rows of a mixed bank are members."""
    with torch.no_grad():
        if bank is None:
            return model.encode(*inputs)[0]
        with bank.attach(model, rows if isinstance(bank, MixedBank) else torch.tensor(rows)):
            return model.encode(*inputs)[0]


# ---- about this project's own network


def test_the_model_is_restored_when_attaching_fails_halfway(tiny_model, methods):
    deep, flat = tiny_model(blocks=2), tiny_model(blocks=1)
    bank, before = SpeakerBank(deep, methods), state_of(flat)
    lacks = {site.name for _, site, _ in bank._places} - {name for name, _ in flat.module.named_modules()}
    if lacks - {name for name, _ in flat.module.named_parameters()}:  # not so for `input`
        with pytest.raises(AttributeError), bank.attach(flat, torch.tensor([0])):
            pass
    assert state_of(flat) == before


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


def test_half_the_strength_is_half_the_change_of_a_low_rank_weight(tiny_model):
    bank = perturbed(SpeakerBank(tiny_model(), create("lowrank")))
    half = bank.scaled(torch.tensor([0.5]))
    for site in (name.removesuffix("down") for name in bank.tensors if name.endswith("down")):
        full_change, half_change = (b.tensors[f"{site}down"] @ b.tensors[f"{site}up"] for b in (bank, half))
        torch.testing.assert_close(half_change, 0.5 * full_change)


@pytest.mark.parametrize("rank", [2, 40])
def test_low_rank_changes_are_averaged_as_changes(tiny_model, rank):
    bank = SpeakerBank(tiny_model(), create("lowrank", {"lowrank": {"rank": rank}}), speakers=3)
    bank = perturbed(bank)
    mean = bank.averaged([[0, 1, 2]])
    for site in (name.removesuffix("down") for name in bank.tensors if name.endswith("down")):
        changes = bank.tensors[f"{site}down"] @ bank.tensors[f"{site}up"]
        left, sizes, right = torch.linalg.svd(changes.mean(0), full_matrices=False)
        closest = left[:, :rank] * sizes[:rank] @ right[:rank]
        torch.testing.assert_close(
            mean.tensors[f"{site}down"] @ mean.tensors[f"{site}up"], closest[None], rtol=1e-4, atol=1e-4
        )
        assert mean.tensors[f"{site}down"].shape == (1, *bank.specs[f"{site}down"].shape)


# ---- mixtures of methods, ranks and the identity in one batch


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
            same(together[row], alone[index][row])
        assert bank.resident() <= max(room, 3)
    assert bank.resident() == min(6, max(room, 3))


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
