"""The command line in this process, on a tiny model that mishears, with recordings and a store of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from samples import write_rows

from asradapt.cli import run
from asradapt.models.source import ConformerSource, load_source, save_source
from asradapt.transcriber import Transcriber
from asradapt.transcript import Transcript
from asradapt.types import Utterance

RATE = 16_000
ENROLLED_FROM, TESTED_ON = 12, 4
NEEDS_MODEL = {"enroll", "correct", "transcribe", "evaluate", "curve", "demo"}


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout; fails if there is anything else."""
        content = json.loads(self.out)
        assert isinstance(content, dict)
        return content

    @property
    def failed(self) -> dict[str, str]:
        """What failed and why, by the last part of its path."""
        return {Path(failure["item"]).name: failure["reason"] for failure in self.json["failed"]}


Command = Callable[..., Outcome]


def save(model: ConformerSource, path: Path) -> Path:
    """Saves a model as it is."""
    save_source(model, path, dtype=torch.float32)
    return path


@pytest.fixture(scope="session")
def true_model(tiny_model: Callable[..., ConformerSource]) -> ConformerSource:
    """The model whose transcripts are what was said: whatever it hears is right."""
    return tiny_model(kernel=5)


@pytest.fixture(scope="session")
def model_path(tiny_model: Callable[..., ConformerSource], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source model of all tests: the true one with shifted activations, which `affine` can shift back."""
    model, generator = tiny_model(kernel=5), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.module.named_parameters():
            if name.endswith("norm.bias"):
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
    return save(model, tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture(scope="session")
def other_path(tiny_model: Callable[..., ConformerSource], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another source model."""
    return save(
        tiny_model(kernel=5, seed=7, name="other"), tmp_path_factory.mktemp("models") / "other.safetensors"
    )


@pytest.fixture(scope="session")
def tiny(model_path: Path) -> ConformerSource:
    """The source model of all tests, for filling stores by hand."""
    return load_source(model_path)


@pytest.fixture(scope="session")
def recordings(
    tmp_path_factory: pytest.TempPathFactory, babble: Callable[..., torch.Tensor], true_model: ConformerSource
) -> Path:
    """Clips `ann0.wav` ... and `bob0.wav` ... with texts beside them, and `manifest.jsonl`; never written to.

    The first twelve of each are the part `enroll`, the others the part `test`.
    """
    folder = tmp_path_factory.mktemp("recordings")
    clips = []
    for offset, speaker in enumerate(("ann", "bob")):
        for number in range(ENROLLED_FROM + TESTED_ON):
            path = folder / f"{speaker}{number}.wav"
            soundfile.write(path, babble(0.9 + 0.05 * number, 100 * offset + number).numpy(), RATE)
            clips.append(Utterance(path, None, speaker, fields={"number": str(number)}))
    rows = []
    for item in Transcriber(true_model).transcribe(clips):
        if isinstance(item, Transcript):
            audio, number = item.utterance.audio, int(item.utterance.fields["number"])
            audio.with_suffix(".txt").write_text(item.text)
            part = "enroll" if number < ENROLLED_FROM else "test"
            rows.append(
                {"audio_filepath": audio.name, "text": item.text, "speaker": item.utterance.speaker, "part": part}
            )
    write_rows(folder / "manifest.jsonl", rows)
    return folder


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Writes a manifest: `manifest(row, row, ...)`."""
    return lambda *rows, name="m.jsonl": write_rows(tmp_path / name, list(rows))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the store, still missing."""
    monkeypatch.setenv("ASRADAPT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def asradapt(home: Path, model_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command: `asradapt("speakers", "list")`; the model is given where one is needed and none named."""

    def command(*arguments: object) -> Outcome:
        words = [str(argument) for argument in arguments]
        if NEEDS_MODEL & set(words[:1]) and "--model" not in words:
            words += ["--model", str(model_path)]
        capsys.readouterr()
        code = run(words)
        return Outcome(code, *capsys.readouterr())

    return command


@pytest.fixture(scope="session")
def enrolled_once(tmp_path_factory: pytest.TempPathFactory, recordings: Path, model_path: Path) -> Path:
    """A store in which `ann` is adapted and `bob` keeps the source, both truly enrolled; never written to."""
    folder = tmp_path_factory.mktemp("enrolled") / "home"
    common = ["--model", str(model_path), "--store", str(folder)]
    rows = ["--manifest", str(recordings / "manifest.jsonl"), "--where", "part=enroll"]
    assert run(["enroll", "ann", *rows, "--method", "affine", *common]) == 0
    assert run(["enroll", "bob", str(recordings / "bob0.wav"), str(recordings / "bob1.wav"), *common]) == 0
    return folder


@pytest.fixture
def enrolled(enrolled_once: Path, home: Path) -> Path:
    """The store with `ann` adapted and `bob` on the source, as a copy of this test's own."""
    shutil.copytree(enrolled_once, home)
    return home


@pytest.fixture
def words(tmp_path: Path, recordings: Path) -> Path:
    """A language model of what the two people say."""
    said = sorted({word for text in recordings.glob("*.txt") for word in text.read_text().split()})
    grams = ["-99\t<s>", "-1.0\t</s>", "-7.0\t<unk>", *(f"-2.0\t{word}" for word in said)]
    path = tmp_path / "words.arpa"
    path.write_text("\n".join(["\\data\\", f"ngram 1={len(grams)}", "", "\\1-grams:", *grams, "", "\\end\\", ""]))
    return path
