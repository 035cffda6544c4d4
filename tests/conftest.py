"""Small models and waveforms for the tests of everything that needs a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from own_models import make_model
from pretended import DEVICES, NAME, pretended
from server import Server, serving
from torch import Tensor

from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.models.source import ConformerSource
from asradapt.testing import inputs

torch.set_num_threads(1)

try:  # the extra [hf]; without it the models of this project alone are tested
    from families import FOREIGN, foreign_models
except ImportError:
    FOREIGN = ()

RATE = 16000
MODELS: dict[str, Callable[[], ConformerSource]] = {
    "tiny": lambda: make_model(kernel=5),
    "other": lambda: make_model(seed=1, name="other", mels=40, width=24, heads=3, expansion=2, kernel=9),
    "inner": lambda: make_model(seed=2, name="inner", kernel=5, phones=7, conditions=(1,)),
}
EMBEDDED = ("source_en",) if (files("asradapt") / "assets" / "source_en.safetensors").is_file() else ()


def _make(name: str, folders: pytest.TempPathFactory) -> SourceModel:
    if name in EMBEDDED:
        return load_model(name, device="cpu")
    return MODELS[name]() if name in MODELS else foreign_models(folders.mktemp("models"))[name]()


@pytest.fixture(scope="session", params=[*MODELS, *EMBEDDED, *FOREIGN])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SourceModel:
    """Every CTC model that the contracts are tested on, one after the other; shared, so never change it."""
    return _make(request.param, tmp_path_factory)


@pytest.fixture(scope="session", params=list(MODELS))
def own_model(request: pytest.FixtureRequest) -> SourceModel:
    """Every small model of this project's own network."""
    return MODELS[request.param]()


@pytest.fixture(scope="session", params=[*EMBEDDED, *FOREIGN])
def family_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SourceModel:
    """The embedded model, and a CTC model of every other family."""
    return _make(request.param, tmp_path_factory)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """A CUDA device, or the pretended one where `ASRADAPT_TEST_DEVICE` says so."""
    with pretended() if request.param == NAME else nullcontext(request.param) as name:
        yield name


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a small Whisper that writes tones down; taught when it is first asked for."""
    from whispering import tone_whisper

    return tone_whisper(tmp_path_factory.mktemp("taught") / "tones", tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., ConformerSource]:
    """Makes new random models: `tiny_model(seed=3, width=32)`."""
    return make_model


@pytest.fixture(scope="session")
def tone() -> Callable[..., Tensor]:
    """Makes a sine wave (T,): `tone(seconds, hertz)`."""

    def make(seconds: float, hertz: float = 440.0, level: float = 0.3, rate: int = RATE) -> Tensor:
        return level * torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * rate)) / rate)

    return make


@pytest.fixture(scope="session")
def babble() -> Callable[..., Tensor]:
    """Makes a waveform (T,) of syllable-like changing tones in noise, new for every seed."""
    return inputs.babble


@pytest.fixture(scope="session")
def batch() -> Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]:
    """Pads waveforms to (B, T) and gives their lengths (B,)."""
    return inputs.batch


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A file server on this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def all_of_torch() -> None:
    """Loads the parts of torch that an optimiser imports late: `pytester` forgets what is imported inside of its
    runs, and these parts cannot be imported twice."""
    weight = torch.zeros(1, requires_grad=True)
    weight.sum().backward()
    torch.optim.Adam([weight]).step()
