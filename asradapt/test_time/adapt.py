"""Every row of a batch adapts the model to itself: the speaker axis of a bank, with an utterance in each row.

Letters: B batch, F frames, M mel bands, V tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.decoding import BLANK
from asradapt.errors import UsageError
from asradapt.features import mask
from asradapt.models.base import SourceModel, encode_all, without_ctc, writes
from asradapt.test_time.losses import loss_problems, uncertainty

WIDTH = 80  # of the matrix that the rates were measured with: the features of `source_en`
FAINTEST = 1e-12  # a gradient whose root mean square is less than this moves nothing


@dataclass(frozen=True)
class EachOptions:
    """How every utterance adapts the model to itself. The defaults were measured: docs/untranscribed.md.

    Attributes:
        methods: Which tensors an utterance has of its own, as for an enrolment: `affine`, `input+affine`...
        steps: Updates of each utterance.
        rate: Factor on the methods' own rates; their product is the root mean square by which an update changes
            each tensor at the first site.
        last: The share of it at the last site; it falls evenly from site to site in between.
        keep: How much the logits after the updates count in what is heard; the rest is those from before them.
        searched: The same with a language model, which suffers from a model that is too sure, where the letters of
            the first hearing have a probability of `unsure` or less on average.
        trusted: The same where they have `sure` or more; it falls evenly in between.
        unsure: A mean probability of letters.
        sure: A greater one.
        temperature: Logits are divided by it before the loss.
        share: How much the entropy counts in the loss; the rest is class confusion.
        batch_seconds: Audio in one pass, padding included; bounds the memory, which gradients need more of.
    """

    methods: str = "input+affine"
    steps: int = 2
    rate: float = 1.2
    last: float = 0.2
    keep: float = 0.85
    searched: float = 0.6
    trusted: float = 0.1
    unsure: float = 0.65
    sure: float = 0.75
    temperature: float = 2.5
    share: float = 0.3
    batch_seconds: float = 48.0

    def __post_init__(self) -> None:
        problems = []
        if self.steps < 1:
            problems.append(f"steps must be at least 1, got {self.steps}")
        if not (0 < self.rate < float("inf") and self.batch_seconds > 0):
            problems.append("rate and seconds of a batch must be above 0, and the rate finite")
        if not 0 <= self.last <= 1:
            problems.append(f"the rate's share at the last site must lie from 0 to 1, got {self.last}")
        if not (0 < self.keep <= 1 and 0 < self.searched <= 1):
            problems.append("what counts of the logits after the updates must be above 0 and at most 1")
        if not 0 <= self.trusted <= self.searched:
            problems.append(f"trusted must lie from 0 to searched, {self.searched}; got {self.trusted}")
        if not 0 <= self.unsure < self.sure <= 1:
            problems.append("mean probabilities must rise from unsure to sure, from 0 to 1")
        problems += loss_problems(self.temperature, self.share)
        if any(method.one_speaker for method in create(self.methods)):
            problems.append(f"method {self.methods!r} takes one utterance a batch; choose another")
        if problems:
            raise UsageError("; ".join(problems))


@torch.no_grad()
def direction(gradient: Tensor) -> Tensor:
    """Gradients (B, ...) with a root mean square of 1 in every row, zero where one is nothing or not finite."""
    flat = gradient.flatten(1)
    size = flat.square().mean(dim=1, keepdim=True).sqrt()
    sound = size.isfinite() & (size > FAINTEST)
    return torch.where(sound, flat / size, 0.0).view_as(gradient)


@torch.no_grad()
def descend(tensors: Mapping[str, Tensor], rates: Mapping[str, float | Tensor]) -> None:
    """Change every row of every tensor by its rate (root mean square) against its gradient; clear the gradients.

    The direction is the gradient's own. Adam's first steps are signs, which rounding turns where a gradient
    is near zero, and what else is in the batch changes rounding. A row whose gradient is nothing or not finite
    stays.

    Args:
        tensors: (B, ...) each, a row an utterance.
        rates: How far, by the name of the tensor; a number, or (B,) numbers.
    """
    for name, tensor in tensors.items():
        if tensor.grad is None:
            continue
        rate = torch.as_tensor(rates[name], dtype=tensor.dtype, device=tensor.device)
        tensor -= rate.view(-1, *[1] * (tensor.ndim - 1)) * direction(tensor.grad)
        tensor.grad = None


def depth_shares(bank: SpeakerBank, model: SourceModel, last: float) -> dict[str, float]:
    """The share of its rate that each tensor of a bank has: 1 at the model's first site, `last` at its last.

    Matrices have less where they are wider than 80: with a root mean square of its own for every number, what a
    matrix adds to an activation grows with its width.
    """
    places = {site.name: number for number, site in enumerate(model.sites)}
    end = max(1, len(places) - 1)
    shares = {}
    for name, tensor in bank.tensors.items():
        width = max(tensor.shape[1:]) if tensor.ndim > 2 else 0
        depth = 1 - (1 - last) * places.get(name.split("/")[1], 0) / end  # weights that are no site have all of it
        shares[name] = depth * min(1.0, WIDTH / width) if width else depth
    return shares


def rates_of(bank: SpeakerBank, model: SourceModel, options: EachOptions) -> dict[str, float]:
    """How far an update changes each tensor of a bank: less the nearer its site is to the output."""
    own = {method.name: options.rate * method.rate for method in bank.methods}
    shares = depth_shares(bank, model, options.last)
    return {name: own[name.split("/")[0]] * share for name, share in shares.items()}


def adapted_outputs(
    model: SourceModel,
    features: Tensor,
    frames: Tensor,
    options: EachOptions | None = None,
    *,
    search: bool = False,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Outputs of a batch after every row has adapted the model to itself by unsupervised steps.

    SUTA (Lin et al. 2022, arXiv 2203.14222) for all rows at once: each row has its own tensors, starts at the
    model as it is (with whatever is attached to it), and sees only its own loss. Unlike there, the logits from
    before the updates have a part in the result: what the model has become too sure of is in doubt again, also for
    a language model. A `Decoder` of these logits is called with `each=True`, for confidences that fit them.

    Args:
        model: The source model, with or without an adaptation attached.
        features: (B, F', M) as `pace.prepare` gives them.
        frames: (B,) their true frame counts.
        options: How.
        search: Whether they are for a search with a language model.

    Returns:
        Logits (B, F, V), without gradients, frame counts (B,), and the logits (B, F, P) of every inner output as
        they were before the updates.

    Raises:
        UsageError: If the model has no CTC outputs.
    """
    if writes(model):
        raise UsageError(without_ctc(model, "adapting to each utterance"))
    options = options or EachOptions()
    rows = torch.arange(len(features), device=features.device)
    bank = SpeakerBank(model, create(options.methods), speakers=len(features)).requires_grad()
    rates = rates_of(bank, model, options)
    before: list[Tensor] = []
    with bank.attach(model, rows):
        for step in range(options.steps):
            with torch.enable_grad():
                logits, lengths, inner = encode_all(model, features, frames)
                losses = uncertainty(
                    logits,
                    lengths,
                    temperature=options.temperature,
                    share=options.share,
                    tokens=len(model.tokens),
                )
                losses.sum().backward()  # type: ignore[no-untyped-call]
            before = before if step else [one.detach() for one in (logits, *inner)]
            descend(bank.tensors, rates)
        with torch.no_grad():
            after, lengths, _ = encode_all(model, features, frames)
            keep = _trust(before[0], lengths, options) if search else options.keep
            first, *heard = before  # sounds weigh against a model that is too sure: those of the first hearing
            return keep * after + (1 - keep) * first, lengths, heard


def _trust(logits: Tensor, frames: Tensor, options: EachOptions) -> Tensor:
    """How much the updates of each row count with a language model (B, 1, 1), by its first hearing (B, F, V)."""
    likeliest = logits.softmax(dim=-1).max(dim=-1)
    heard = mask(frames, logits.shape[1]) & (likeliest.indices != BLANK)
    mean = (likeliest.values * heard).sum(dim=1) / heard.sum(dim=1).clamp(min=1)  # nothing heard: unsure
    doubt = ((options.sure - mean) / (options.sure - options.unsure)).clamp(0.0, 1.0)
    return (options.trusted + (options.searched - options.trusted) * doubt)[:, None, None]
