"""The CTC bundles of torchaudio as source models: wav2vec 2.0, HuBERT and VoxPopuli, by the bundle's name.

The weights come from torch's own cache, where `asradapt models fetch` (and torchaudio itself) puts them, or from
`--weights FILE`. They are a pickle, of which only tensors are read.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchaudio
from safetensors.torch import load_file
from torch import Tensor, nn

from asradapt.errors import InputError, UnknownName, UsageError
from asradapt.models.alphabet import make_alphabet
from asradapt.models.bundles import BASE, BUNDLES, checkpoints
from asradapt.models.download import Report, download
from asradapt.models.options import ModelOptions
from asradapt.models.pickles import from_a_pickle, quiet_pickles
from asradapt.models.waveform import WaveformShape, WaveformSource

logger = logging.getLogger(__name__)


class Front(nn.Module):
    """The convolutions of a torchaudio model: waveforms (B, T) to (B, F', C)."""

    def __init__(self, convolutions: nn.Module) -> None:
        super().__init__()
        self.convolutions = convolutions

    def forward(self, waveforms: Tensor) -> Tensor:
        """Run the convolutions."""
        features: Tensor = self.convolutions(waveforms, None)[0]
        return features


class Rest(nn.Module):
    """The encoder and the output layer of a torchaudio model: features (B, F', C) to logits (B, F', V)."""

    def __init__(self, encoder: nn.Module, aux: nn.Module) -> None:
        super().__init__()
        self.encoder, self.aux = encoder, aux

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and the frame counts."""
        return self.aux(self.encoder(features, frames)), frames


def bundles() -> dict[str, Any]:
    """All bundles of torchaudio that write text, by name; one that aligns known texts writes none."""
    from torchaudio.pipelines import Wav2Vec2ASRBundle, Wav2Vec2FABundle

    found = {name: getattr(torchaudio.pipelines, name) for name in dir(torchaudio.pipelines)}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, Wav2Vec2ASRBundle) and not isinstance(value, Wav2Vec2FABundle)
    }


def find_bundle(name: str) -> Any:
    """The bundle of a name.

    Raises:
        UnknownName: If it is none that writes text.
    """
    known = bundles()
    if name not in known:
        silent = hasattr(torchaudio.pipelines, name)
        hint = "It exists, but is none that writes text" if silent else ""
        raise UnknownName("torchaudio bundle", name, known, hint)
    return known[name]


def cached_file(bundle: Any) -> Path:
    """Where torch keeps the weights of a bundle."""
    return checkpoints() / Path(bundle._path).name


def fetch_bundle(name: str, *, report: Report | None = None) -> Path:
    """Download the weights of a bundle into torch's cache, as far as they are not there.

    Raises:
        UnknownName: For a name that is no bundle that writes text.
        InputError: In one sentence, whatever goes wrong: network, server, room.
    """
    path = cached_file(bundle := find_bundle(name))
    return path if path.is_file() else download(f"{BASE}{bundle._path}", path, report=report)


def load_bundle(name: str, options: ModelOptions) -> WaveformSource:
    """A bundle by name, its weights from torch's cache or `--weights`.

    Raises:
        UnknownName: For a name that is no bundle that writes text.
        InputError: If the weights are not there, damaged, or another network's.
        UsageError: If an option does not go with it.
    """
    options.refuse_unused(f"torchaudio:{name}", "weights", "precision")
    if options.precision == "int8":
        raise UsageError(
            "--precision int8 is for models of transformers on a GPU; this one takes fp32, bf16, fp16"
        )
    bundle = find_bundle(name)
    path = options.weights or cached_file(bundle)
    if not path.is_file() and options.weights:
        raise InputError(f"the weights {path} do not exist")
    if not path.is_file():
        raise InputError(
            f"the weights of torchaudio:{name} are not on this machine; with a network, `asradapt models fetch "
            f"torchaudio:{name}` downloads them once, or --weights FILE names a copy of {path.name}"
        )
    return make_source(name, bundle, path, options)


def make_source(name: str, bundle: Any, path: Path, options: ModelOptions) -> WaveformSource:
    """The source model of a bundle with the weights of a file."""
    from asradapt.models.huggingface import DTYPES

    network = torchaudio.models.wav2vec2_model(**bundle._params)
    _fill(network, read_weights(path), bundle, path)
    dtype = DTYPES[options.precision]
    labels = bundle.get_labels()
    shape = WaveformShape(
        sample_rate=int(bundle.sample_rate),
        convolutions=tuple(
            (kernel, stride) for _, kernel, stride in bundle._params["extractor_conv_layer_config"]
        ),
        width=bundle._params["extractor_conv_layer_config"][-1][0],
        normalise=bundle._normalize_waveform,
        over_time=bundle._params["extractor_mode"] == "group_norm",
        first="encoder.feature_projection.layer_norm",
        last="aux",
        epsilon=1e-5,
        dtype=dtype,
    )
    rest = Rest(network.encoder, network.aux)
    alphabet = make_alphabet(labels, blank=0, boundary="|")
    card = {
        "architecture": "Wav2Vec2Model",
        "library": "torchaudio",
        "licence": BUNDLES[name].licence if name in BUNDLES else None,
        "weights": [str(path)],
        "sha256": sha256(path),
        "precision": options.precision,
    }
    logger.info("weights %s, sha256 %s", path, card["sha256"])
    return WaveformSource(
        f"torchaudio:{name}", Front(network.feature_extractor), rest, rest, alphabet, shape, card
    )


def sha256(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of safetensors, or of a pickle, of which only tensors are read.

    Raises:
        InputError: If it is damaged, or a pickle that holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with quiet_pickles():
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the reader of pickles raises whatever its instructions run into
        if from_a_pickle(error):
            raise InputError(
                f"the weights {path} are damaged, no file of weights at all, or a pickle that holds more than "
                "tensors; they are not read further, and nothing in them was run; if they should be whole, delete "
                "the file and fetch it again"
            ) from error
        raise InputError(
            f"the weights {path} are damaged or cut off and cannot be read ({_first_line(error)}); delete the "
            "file and fetch it again"
        ) from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path} does not hold the tensors of a network by name")
    return dict(content)


def _fill(network: nn.Module, weights: dict[str, Tensor], bundle: Any, path: Path) -> None:
    """Load weights strictly, as torchaudio's own code does: outputs that mean nothing are left out.

    Raises:
        InputError: If they are another network's.
    """
    axes = set(bundle._remove_aux_axis)
    outputs = bundle._params["aux_num_out"]
    for key in ("aux.weight", "aux.bias"):
        if key in weights and len(weights[key]) > outputs:
            kept = [index for index in range(len(weights[key])) if index not in axes]
            weights[key] = weights[key][kept]
    own = network.state_dict()
    lacks, more = own.keys() - weights.keys(), weights.keys() - own.keys()
    other = [key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape]
    if lacks or more or other:
        told = "; ".join(
            f"{len(keys)} {what} (such as {min(keys)})"
            for keys, what in (
                (lacks, "tensors are missing"),
                (more, "are not of this network"),
                (other, "have another shape"),
            )
            if keys
        )
        raise InputError(f"the weights {path} are another network's: of {len(own)} tensors {told}")
    network.load_state_dict(weights, strict=True)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
