"""The contract of a source model: what every recogniser offers to the rest of the system.

Letters: B batch, T samples, F frames, D width, V tokens, U tokens of the longest text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

from asradapt.decoding.words import Heard


@dataclass(frozen=True)
class Site:
    """A named place in a model where a hidden activation may be transformed.

    Attributes:
        name: The path of the module whose output is the activation, as in `named_modules`.
        kind: What the place is, one of `SITE_KINDS`, or `weight`: a parameter itself.
        width_in: Width of the module's input.
        width: Width D of the activation.
        shape: The full shape where the place is a weight, not an activation.
        order: Of an output site, for each of the model's tokens its column there; empty where they are in order.
    """

    name: str
    kind: str
    width_in: int
    width: int
    shape: tuple[int, ...] = ()
    order: tuple[int, ...] = ()


GIVEN = "given"
"""The key of a model's card under which `load_model` notes what it was asked for: `model`, `language`, `task`."""
SITE_KINDS = ("input", "norm", "feed_forward", "attention", "block", "output")


@runtime_checkable
class SourceModel(Protocol):
    """A frozen acoustic model that serves as the source of adaptation.

    Row-independent: row `i` of a padded batch equals that row alone, at every batch size and order; a model that
    cannot keep this promise says so by `equal_lengths`, and is given rows of one length only.

    Attributes:
        name: What `--model` calls it.
        sample_rate: Samples per second of its waveforms.
        tokens: The V output tokens; index 0 is the CTC blank, `" "` the word boundary.
        frame_seconds: Seconds from output frame to output frame.
        sites: The modules whose output adaptation methods may change.
        weights: The parameters that a method may change: those before the output that take part in recognition.
        fingerprint: sha256 over sorted name, shape, dtype and bytes of all weights.
        equal_lengths: Whether padding changes the rows, so that a batch may hold rows of one length only.
        spectral: Whether what `prepare` gives is a spectrum, band beside band, with a variance of about 1; only
            then may augmentation warp bands and add noise.
        card: What `asradapt models show` says of it, besides.
        module: The network that `encode` runs; always in `eval()` mode, its parameters never need gradients.
    """

    card: dict[str, Any]

    @property
    def name(self) -> str:
        """What `--model` calls it."""
        ...

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        ...

    @property
    def tokens(self) -> tuple[str, ...]:
        """The V output tokens, the blank first."""
        ...

    @property
    def frame_seconds(self) -> float:
        """Seconds from output frame to output frame."""
        ...

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where a speaker may change the network."""
        ...

    @property
    def weights(self) -> tuple[Site, ...]:
        """The parameters that a method may change."""
        ...

    @property
    def fingerprint(self) -> str:
        """sha256 over the weights."""
        ...

    @property
    def equal_lengths(self) -> bool:
        """Whether a batch may hold rows of one length only."""
        ...

    @property
    def spectral(self) -> bool:
        """Whether the prepared features are a spectrum."""
        ...

    @property
    def module(self) -> nn.Module:
        """The network."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def to(self, device: torch.device | str) -> SourceModel:
        """Move the network; the fingerprint does not change."""
        ...

    def prepare(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Turn waveforms (B, T) into what `encode` takes, (B, F', M) and (B,); no adaptation acts here."""
        ...

    def encode(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Turn prepared features into logits (B, F, V) and frame counts (B,)."""
        ...

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Turn waveforms (B, T) in [-1, 1] with lengths (B,) into logits (B, F, V) and frame counts (B,)."""
        ...


class Seq2SeqModel(SourceModel, Protocol):
    """A frozen recogniser whose decoder writes a text token by token, with no output a frame (Whisper).

    What differs from a model with CTC outputs: `encode` (and so `forward`) gives the states of the encoder
    (B, F, D) and their true counts, not logits; `tokens` is empty, because no token belongs to a frame and no beam
    search of this project can run on them; `frame_seconds` is that of the encoder's states. Adaptations act in
    encoder and decoder alike: whatever is attached must be so in `encode` and in the methods below.

    Attributes:
        window_seconds: Longest recording it takes; every recording costs as much computing as one of this length.
        most_tokens: How many tokens it can write of one recording, the end among them.
    """

    @property
    def window_seconds(self) -> float:
        """Longest recording it takes, and what each one costs."""
        ...

    @property
    def most_tokens(self) -> int:
        """Tokens of the longest text."""
        ...

    def spell(self, text: str | None) -> tuple[str, list[int]]:
        """A text normalised for scoring, and its token numbers as the model would write it, its end included.

        Raises:
            TextError: If it is empty, too long, or holds what the model cannot write.
        """
        ...

    def logits(self, states: Tensor, targets: Sequence[Tensor]) -> Tensor:
        """Logits (B, U, V) of every token of given texts (teacher forcing), the prompt left out.

        Args:
            states: (B, F, D) of the encoder.
            targets: For each row its token numbers, the end last.
        """
        ...

    def texts(self, states: Tensor) -> list[str]:
        """What every row of encoder states (B, F, D) says, the likeliest token at every place, spaces single."""
        ...

    def write(self, states: Tensor, counts: Tensor) -> list[Heard]:
        """The same with times and confidence of every word; dearer than `texts`.

        Args:
            states: (B, F, D) of the encoder.
            counts: (B,) how many of them hold the recording.
        """
        ...


def writes(model: SourceModel) -> TypeGuard[Seq2SeqModel]:
    """Whether a model's decoder writes its texts; its class is asked, as a look at a protocol runs properties."""
    return callable(getattr(type(model), "write", None))


class PhoneModel(SourceModel, Protocol):
    """A frozen recogniser with CTC outputs over phones inside, which an enrolment can teach too.

    Attributes:
        phones: The P tokens of these outputs; index 0 is the CTC blank, `" "` the word boundary.
    """

    phones: tuple[str, ...]

    def encode_inner(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """What `encode` gives, and the logits (B, F, P) of every inner output."""
        ...

    def encode_first(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The logits (B, F, P) of the first inner output alone, and frame counts (B,).

        `asradapt.pace` counts the sounds in them. A model that somebody's adaptation has been merged into gives
        those of before.
        """
        ...


def has_phones(model: SourceModel) -> TypeGuard[PhoneModel]:
    """Whether a model has inner outputs whose phones are known."""
    return bool(getattr(model, "phones", ()))


def encode_all(model: SourceModel, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """What `encode` gives, and the logits of the inner outputs of a model that has some whose phones are known."""
    return model.encode_inner(features, frames) if has_phones(model) else (*model.encode(features, frames), [])


def source_of(model: SourceModel) -> dict[str, str]:
    """What a record says of its source model: `name`, `fingerprint`, and the options that loaded it, if known."""
    return {"name": model.name, "fingerprint": model.fingerprint, **model.card.get(GIVEN, {})}


def without_ctc(model: SourceModel, what: str) -> str:
    """A sentence about something that takes CTC outputs, for a model that has none."""
    return (
        f"{what} takes a model with an output for each frame (CTC), and {model.name} writes its texts token by "
        "token; choose another --model for it"
    )


def library_prefix(model: SourceModel) -> str:
    """What stands before the library's own paths in the names of a model's sites; empty where they are the same.

    A network that holds the library's whole model as a part of its own says so by an attribute `prefix`.
    """
    return str(getattr(model.module, "prefix", ""))


def library_network(model: SourceModel) -> nn.Module:
    """The library's own model: the network, or the part of it that `library_prefix` leads to."""
    return model.module.get_submodule(library_prefix(model).rstrip("."))


def computed_seconds(model: SourceModel, seconds: float) -> float:
    """Seconds of audio that a recording costs: a whole window where the model knows nothing shorter."""
    return max(seconds, model.window_seconds) if writes(model) else seconds


def fingerprint(module: nn.Module) -> str:
    """sha256 over sorted name, shape, dtype and bytes of a module's parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)  # numpy knows no bfloat16
        digest.update(raw.numpy().tobytes())
    return digest.hexdigest()


def weight_sites(module: nn.Module, sites: Collection[Site], unused: Collection[str] = ()) -> tuple[Site, ...]:
    """One site for each parameter of a network that does not belong to an output site.

    Args:
        module: The network.
        sites: Its other sites.
        unused: Names of parameters that take no part in recognition.
    """
    outputs = tuple(f"{site.name}." for site in sites if site.kind == "output")
    return tuple(
        Site(name, "weight", value.shape[-1], value.shape[0], tuple(value.shape))
        for name, value in module.named_parameters()
        if not name.startswith(outputs) and name not in unused and value.ndim
    )
