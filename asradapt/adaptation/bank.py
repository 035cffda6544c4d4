"""The speaker bank: the tensors of many speakers, stacked on a leading axis, attached to one frozen model.

Letters: B batch, S speakers.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from asradapt.adaptation.method import Method, TensorSpec
from asradapt.errors import DamagedSpeaker, UsageError
from asradapt.models.base import Site, SourceModel


def _start(spec: TensorSpec, name: str, seed: int) -> Tensor:
    """A tensor of the identity; the same for a name and seed wherever and with whomever it is made."""
    if spec.spread == 0:
        return torch.zeros(spec.shape)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()) + 1_000_003 * seed)
    return torch.randn(spec.shape, generator=generator) * spec.spread


class SpeakerBank:
    """Adaptations of S speakers to one source model, all with the same methods.

    A new bank is the identity for every speaker, bit for bit.

    Args:
        model: The source model; only its sites are read here.
        methods: The methods, applied in this order where they share a site.
        speakers: Number S of speakers.
        seed: Seed of the random starts.

    Raises:
        UsageError: If the model has no site that a method takes.
    """

    def __init__(self, model: SourceModel, methods: Sequence[Method], *, speakers: int = 1, seed: int = 0) -> None:
        self.methods = tuple(methods)
        self.speakers = speakers
        self._places: list[tuple[Method, Site, list[str]]] = []
        self.specs: dict[str, TensorSpec] = {}
        self.tensors: dict[str, Tensor] = {}
        for method in self.methods:
            sites = method.sites(model)
            if not sites:  # an adaptation that silently does nothing is worse than none
                raise UsageError(f"method {method.name!r} finds no place to act in the model {model.name!r}")
            for site in sites:
                specs = method.tensors(site)
                self._places.append((method, site, list(specs)))
                for part, spec in specs.items():
                    name = f"{method.name}/{site.name}/{part}"
                    self.specs[name] = spec
                    one = _start(spec, name, seed).to(model.device)
                    self.tensors[name] = one.expand(speakers, *spec.shape).clone()

    @contextmanager
    def attach(self, model: SourceModel, rows: Tensor) -> Iterator[None]:
        """Adapt `model` until the context ends; batch row `i` belongs to speaker `rows[i]`.

        The model is restored exactly when the context ends, also after an exception; contexts nest.

        Args:
            model: The source model that the bank was made for.
            rows: (B,) speaker indices, int64, on the model's device.

        Raises:
            UsageError: If a one-speaker method such as `encoder` is given a batch of several speakers.
        """
        held = self.tensors
        if self.one_speaker and self.speakers > 1:
            only = self._only_speaker(rows)
            held, rows = {k: v[only : only + 1] for k, v in held.items()}, torch.zeros_like(rows)
        with ExitStack() as stack:
            for method, site, parts in self._places:
                prefix = f"{method.name}/{site.name}/"
                tensors = {part: held[prefix + part] for part in parts}
                stack.enter_context(method.attach(model, site, tensors, rows))
            yield

    @property
    def added(self) -> tuple[str, ...]:
        """The tokens whose logits stand behind those of the model while it is attached."""
        return tuple(token for method in self.methods for token in method.added)

    @property
    def one_speaker(self) -> bool:
        """Whether a batch may hold only one of the speakers."""
        return any(method.one_speaker for method in self.methods)

    def _only_speaker(self, rows: Tensor) -> int:
        found = sorted(set(rows.tolist()))
        if len(found) != 1:
            names = "+".join(method.name for method in self.methods)
            raise UsageError(f"method {names!r} takes one speaker a batch, got {len(found)}; use a batch each")
        return int(found[0])

    def requires_grad(self, wanted: bool = True) -> SpeakerBank:
        """Make the bank's tensors, and nothing else, trainable; returns the bank."""
        for tensor in self.tensors.values():
            tensor.requires_grad_(wanted)
        return self

    def select(self, indices: Sequence[int]) -> SpeakerBank:
        """A new bank of copies of the given speakers, in that order."""
        chosen = torch.tensor(indices, dtype=torch.int64)
        return self._with({k: v.detach()[chosen.to(v.device)] for k, v in self.tensors.items()})

    def scaled(self, strengths: Tensor) -> SpeakerBank:
        """A new bank between the identity (0) and this one (1), a strength (S,) for each speaker."""
        scaled = {}
        for name, tensor in self.tensors.items():
            factor = strengths.to(tensor).view(-1, *[1] * (tensor.ndim - 1))
            scaled[name] = tensor.detach() * factor if self.specs[name].scaled else tensor.detach().clone()
        return self._with(scaled)

    def extended(self, more: Sequence[Mapping[str, Tensor]]) -> SpeakerBank:
        """A new bank of copies of these speakers and, behind them, of further ones: tensors (S, ...) each."""
        tensors = {k: torch.cat([v.detach(), *(own[k].to(v) for own in more)]) for k, v in self.tensors.items()}
        return self._with(tensors)

    def averaged(self, groups: Sequence[Sequence[int]]) -> SpeakerBank:
        """A new bank with a speaker for every group of these, who does about what the group does on average."""
        found: dict[str, list[Tensor]] = {name: [] for name in self.tensors}
        for method, site, parts in self._places:
            prefix = f"{method.name}/{site.name}/"
            for group in groups:
                own = {part: self.tensors[prefix + part].detach()[list(group)] for part in parts}
                for part, tensor in method.averaged(own).items():
                    found[prefix + part].append(tensor)
        return self._with({name: torch.cat(tensors) for name, tensors in found.items()})

    def state(self, index: int) -> dict[str, Tensor]:
        """All and only the tensors of one speaker, (1, ...) each, on the CPU."""
        return {k: v[index : index + 1].detach().cpu().clone() for k, v in self.tensors.items()}

    def check(self, state: Mapping[str, Tensor]) -> None:
        """Refuse the tensors of a speaker that are not exactly those of these methods at these sites.

        Raises:
            DamagedSpeaker: If tensors are missing, unknown, of another shape or not finite; all are named.
        """
        problems = [f"{name}: missing" for name in self.tensors.keys() - state.keys()]
        problems += [f"{name}: not of this method" for name in state.keys() - self.tensors.keys()]
        for name in self.tensors.keys() & state.keys():
            expected, got = (1, *self.specs[name].shape), tuple(state[name].shape)
            if expected != got:
                problems.append(f"{name}: shape {got}, expected {expected}")
            elif not bool(torch.isfinite(state[name]).all()):
                problems.append(f"{name}: holds values that are not finite")
        if problems:
            shown = "; ".join(sorted(problems)[:10]) + (" ..." if len(problems) > 10 else "")
            raise DamagedSpeaker(f"the adaptation does not fit its method: {shown}")

    @torch.no_grad()
    def load(self, index: int, state: Mapping[str, Tensor]) -> None:
        """Copy the tensors of one speaker in, strictly.

        Raises:
            DamagedSpeaker: As `check`.
        """
        self.check(state)
        for name, tensor in self.tensors.items():
            tensor[index].copy_(state[name][0])

    def widened(self, speakers: int) -> SpeakerBank:
        """A new bank with room for more speakers: copies of these, and identities of seed-independent zeros.

        Raises:
            ValueError: If there is less room than speakers.
        """
        more = speakers - self.speakers
        if more < 0:
            raise ValueError(f"a bank of {self.speakers} cannot be narrowed to {speakers}")
        return self._with({k: torch.cat((v, v.new_zeros(more, *v.shape[1:]))) for k, v in self.tensors.items()})

    def bytes_a_speaker(self) -> int:
        """Memory of one speaker's tensors."""
        return sum(v[0].numel() * v.element_size() for v in self.tensors.values())

    def seen_as(self, tensors: Mapping[str, Tensor]) -> SpeakerBank:
        """A bank of the same methods and sites over these very tensors (S, ...), without gradients."""
        return self._with({name: tensor.detach() for name, tensor in tensors.items()})

    def _with(self, tensors: dict[str, Tensor]) -> SpeakerBank:
        other = object.__new__(SpeakerBank)
        other.methods, other._places, other.specs = self.methods, self._places, self.specs
        other.tensors = tensors
        other.speakers = next(iter(tensors.values())).shape[0] if tensors else self.speakers
        return other
