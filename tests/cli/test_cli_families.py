"""Every family of CTC models through the commands, on small checkpoints in their real formats.

Enrolment is short here and says only that all of it works: what random networks learn is chance. Whether an
adaptation reaches texts and error rates is shown by one that is stored by hand. That learning helps is tested on
networks that really recognise something: `tests/models/test_trained.py`, and `test_cli_whisper.py` for Whisper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import soundfile
import torchaudio

pytest.importorskip("transformers")
from families import BUNDLES, KINDS, save_bundle, save_ctc, save_mms, small_bundle
from samples import store_speaker, write_rows

from asradapt import enrolment
from asradapt.enrolment import EnrolmentOptions
from asradapt.models import ModelOptions, load_model
from asradapt.models.base import SourceModel
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance


@dataclass(frozen=True)
class Checkpoint:
    """A model on the command line, and the same from Python."""

    words: tuple[str, ...]
    options: ModelOptions

    def load(self) -> SourceModel:
        """The model as the commands load it."""
        return load_model(self.words[1], device="cpu", options=self.options)


def saved(family: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """A checkpoint of a family, as its library saves it."""
    if family.startswith("torchaudio-"):
        bundle = small_bundle(family.removeprefix("torchaudio-"))
        monkeypatch.setattr(torchaudio.pipelines, "SMALL", bundle, raising=False)
        path = save_bundle(folder / "small.pth", bundle)
        return Checkpoint(("--model", "torchaudio:SMALL", "--weights", str(path)), ModelOptions(weights=path))
    if family == "mms":
        home = save_mms(folder / family)
        return Checkpoint(("--model", str(home), "--language", "fra"), ModelOptions(language="fra"))
    return Checkpoint(("--model", str(save_ctc(folder / family, family))), ModelOptions())


def written(model: SourceModel, store: SpeakerStore | None, clips: Sequence[Utterance]) -> list[str]:
    """What a model writes of recordings, with the adaptations of a store."""
    heard = Transcriber(model, store, TranscriberOptions(detect_voice=False)).transcribe(clips)
    return [one.text for one in heard if isinstance(one, Transcript)]


def adapted_to_bob(model: SourceModel, store: SpeakerStore, people: Sequence[Utterance]) -> list[str]:
    """Store an adaptation for `bob` with which his recordings say something else, and something."""
    unadapted = written(model, None, people)
    for seed in range(9):
        store_speaker(store, model, "bob", "affine", seed=seed)
        said = written(model, store, people)
        his = [(said[n], unadapted[n]) for n, one in enumerate(people) if one.speaker == "bob"]
        if all(text and text != other for text, other in his):
            return said
    raise AssertionError("nine random adaptations write nothing")


@pytest.fixture
def clips(tmp_path, babble):
    """Six recordings, with texts beside them that every model can write."""
    paths = [tmp_path / f"{number}.wav" for number in range(6)]
    for number, path in enumerate(paths):
        soundfile.write(path, babble(0.7 + 0.1 * (number % 2), number).numpy(), 16000)
        path.with_suffix(".txt").write_text(f"tea {'hat net' if number % 2 else 'a neat tin'}")
    return paths


@pytest.fixture
def few_updates(monkeypatch):
    """Enrolment trains for a moment only."""
    few = partial(EnrolmentOptions, passes=1, least_steps=2, checkpoints=1)
    monkeypatch.setattr(enrolment, "EnrolmentOptions", few)


@pytest.mark.usefixtures("few_updates")
@pytest.mark.parametrize("family", [*KINDS, "mms", *(f"torchaudio-{like}" for like in BUNDLES)])
def test_people_are_enrolled_transcribed_and_evaluated(asradapt, tmp_path, clips, monkeypatch, family):
    checkpoint, store = saved(family, tmp_path, monkeypatch), SpeakerStore(tmp_path / "store")
    common = ["--store", tmp_path / "store", *checkpoint.words, "--device", "cpu", "--json"]
    done = asradapt("enroll", "ann", *clips[:4], "--method", "affine", "--folds", "2", *common)
    assert done.code == 0, done.err
    assert [(one["speaker"], one["utterances"]) for one in done.json["speakers"]] == [("ann", 4)]

    model = checkpoint.load()
    assert store.load("ann").record.source["fingerprint"] == model.fingerprint
    people = [Utterance(path, None, name) for path in clips[4:] for name in ("ann", "bob")]
    said = adapted_to_bob(model, store, people)
    rows = [{"audio_filepath": str(one.audio), "speaker": one.speaker} for one in people]
    heard = asradapt("transcribe", "--manifest", write_rows(tmp_path / "all.jsonl", rows), "--no-vad", *common)
    assert heard.code == 0, heard.err
    assert [one["text"] for one in heard.json["results"]] == said

    spoken = [{**row, "text": text} for row, text in zip(rows, said, strict=True) if row["speaker"] == "bob"]
    judged = asradapt("evaluate", "--manifest", write_rows(tmp_path / "bob.jsonl", spoken), *common)
    assert judged.code == 0, judged.err
    assert judged.json["pooled"]["after"]["wer"] == 0 < judged.json["pooled"]["before"]["wer"]
