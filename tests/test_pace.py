"""Slowing down of fast speech: how fast, how, and where it is used."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from asradapt.audio import load_audio
from asradapt.decoding import Decoder, DecoderOptions
from asradapt.enrolment.augmentation import Augmentation
from asradapt.enrolment.examples import Example, prepare_example, prepare_examples
from asradapt.enrolment.pseudo import cut_recordings
from asradapt.enrolment.splicing import Word, recombine
from asradapt.errors import InputError
from asradapt.models import ModelOptions, load_model
from asradapt.models.base import SourceModel
from asradapt.pace import STEP, Pace, Prepared, prepare, slowed
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance

PACE = Pace(crowded=0.5, slowest=0.7)
PHONES = ("", *"abcdef")
DEMO = sorted((Path(__file__).parents[1] / "data" / "demo" / "audio").iterdir())


def prepared_file(model: SourceModel, path: Path) -> Prepared:
    """A file made ready by itself."""
    samples = torch.from_numpy(load_audio(path, model.sample_rate).samples)[None]
    return prepare(model, samples, torch.tensor([samples.shape[1]]))


def heard(*rows: str) -> tuple[Tensor, Tensor]:
    """Logits of rows in which a letter is a frame with that sound and a dot a blank, padded with sounds."""
    width = max(map(len, rows))
    tokens = [["." if sign == "." else sign for sign in row.ljust(width, "a")] for row in rows]
    numbers = torch.tensor([[0 if sign == "." else ord(sign) - 96 for sign in row] for row in tokens])
    return torch.nn.functional.one_hot(numbers, 7).float(), torch.tensor([len(row) for row in rows])


@pytest.mark.parametrize(
    ("row", "share"),
    [
        ("a.a.b.", 3 / 5),  # what lies behind the last sound does not count
        ("....abab....", 1.0),
        ("a...b...", 2 / 5),
        ("........", 0.0),
        ("...a....", 1.0),
    ],
)
def test_the_tempo_leaves_as_many_sounds_a_frame_as_the_model_bears(row, share) -> None:
    wanted = min(1.0, max(PACE.slowest, PACE.crowded / share)) if share else 1.0
    found = float(PACE.tempo(*heard(row, "abababababababab"))[0])
    assert found == pytest.approx(round(wanted / STEP) * STEP)


def test_it_is_never_above_one_nor_below_the_slowest_and_falls_with_the_sounds() -> None:
    rows = ["ab" * n + "c." * (20 - n) + "d" for n in range(21)]
    found = PACE.tempo(*heard(*rows)).tolist()
    assert found == sorted(found, reverse=True)
    assert max(found) == pytest.approx(1.0)
    assert min(found) == pytest.approx(0.7)


def test_slowed_features_are_those_between_the_frames() -> None:
    features = torch.arange(24.0).view(2, 6, 2)
    frames = torch.tensor([6, 4])
    found, counts = slowed(features, frames, torch.tensor([0.5, 1.0]))
    assert counts.tolist() == [12, 4]
    torch.testing.assert_close(found[0, :, 0], torch.tensor([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10]))
    torch.testing.assert_close(found[1, :4], features[1, :4])
    assert not found[1, 4:].any()


def test_nothing_changes_where_nobody_is_fast() -> None:
    features, frames = torch.randn(2, 6, 2), torch.tensor([6, 4])
    found, counts = slowed(features, frames, torch.ones(2))
    assert found is features
    assert counts is frames


@pytest.mark.parametrize(
    "said",
    [
        {"crowded": 0.5},
        {"crowded": 0, "slowest": 0.7},
        3,
        {"crowded": math.nan, "slowest": 1},
        {"crowded": 10**400, "slowest": 1},
    ],
)
def test_a_card_with_an_unusable_pace_is_refused(said, tiny_model) -> None:
    model = tiny_model()
    assert Pace.of(model) is None
    model.card = {**model.card, "pace": said}
    with pytest.raises(InputError, match=f"card of the model {model.name} has a pace"):
        Pace.of(model)


@pytest.fixture
def hasty(tiny_model) -> SourceModel:
    """A model that finds much too fast."""
    model = tiny_model(seed=2, kernel=5, phones=7, conditions=(1,))
    model.phones = PHONES
    model.card = {**model.card, "pace": {"crowded": 0.01, "slowest": 0.7}}
    return model


def test_every_row_is_slowed_as_if_it_were_alone(hasty, babble, batch) -> None:
    waveforms, lengths = batch([babble(seconds, seed) for seed, seconds in enumerate((1.0, 0.5, 1.4))])
    made = prepare(hasty, waveforms, lengths)
    plain, counts = hasty.prepare(waveforms, lengths)
    assert float(made.tempo.min()) == pytest.approx(0.7)
    for row, count in enumerate(lengths.tolist()):
        alone = prepare(hasty, waveforms[row : row + 1, :count], lengths[row : row + 1])
        assert made.frames[row] == alone.frames[0] == round(int(counts[row]) / float(made.tempo[row]))
        torch.testing.assert_close(made.features[row, : made.frames[row]], alone.features[0])
    assert plain.shape[1] < made.features.shape[1]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_people_who_speak_fast_and_slowly_share_a_batch(precision, batch) -> None:
    model = load_model("source_en", device="cpu", options=ModelOptions(precision=precision))
    clips = [torch.from_numpy(load_audio(path, model.sample_rate).samples) for path in DEMO[:12]]
    waveforms, lengths = batch(clips)
    made = prepare(model, waveforms, lengths)
    assert len(set(made.tempo.tolist())) > 2
    for row, clip in enumerate(clips):
        alone = prepare(model, clip[None], lengths[row : row + 1])
        assert float(alone.tempo[0]) == float(made.tempo[row])
        torch.testing.assert_close(made.features[row, : made.frames[row]], alone.features[0], rtol=0, atol=1e-4)


def test_sentences_of_slowed_words_count_as_long_as_they_are_heard() -> None:
    def example(longer: float) -> Example:
        features = torch.zeros(round(100 * longer), 4)
        return Example(Utterance(Path("a.wav")), features, "a b", torch.tensor([3, 1, 4]), 1.0, longer=longer)

    pool = []
    for one in (example(1.0), example(1.4)):
        half, end = len(one.features) // 2, len(one.features)
        pool.append((one, (Word("a", (3,), 0, half), Word("b", (4,), half, end))))
    for seed in range(20):
        made = recombine(pool, 1, Augmentation(), random.Random(seed))
        assert made is not None
        assert made.heard_seconds == pytest.approx(len(made.features) / 100)


def test_a_pace_that_cannot_be_used_is_not_blamed_on_recordings(hasty, babble, tmp_path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, babble(1.5, 3), 16000)
    hasty.card = {**hasty.card, "pace": {"crowded": 2, "slowest": 0.7}}
    with pytest.raises(InputError, match="card"):
        prepare_examples(hasty, [Utterance(path, "aa")])
    with pytest.raises(InputError, match="card"):
        cut_recordings(hasty, [Utterance(path)])


def test_the_first_inner_output_alone_is_that_of_the_whole_network(hasty, babble, batch) -> None:
    features, frames = hasty.prepare(*batch([babble(1.0, 0), babble(0.6, 1)]))
    _, counts, (first, *_) = hasty.encode_inner(features, frames)
    alone, also = hasty.encode_first(features, frames)
    torch.testing.assert_close(alone, first)
    assert also.tolist() == counts.tolist()


def test_models_without_phones_or_pace_hear_as_they_are(tiny_model, babble, batch) -> None:
    waveforms, lengths = batch([babble(1.0, 0)])
    model = tiny_model(kernel=5)
    model.card = {**model.card, "pace": {"crowded": 0.01, "slowest": 0.7}}
    made = prepare(model, waveforms, lengths)
    torch.testing.assert_close(made.features, model.prepare(waveforms, lengths)[0])
    assert made.tempo.tolist() == [1.0]


def test_enrolment_and_transcription_hear_alike_and_times_stay_in_the_recording(hasty, babble, tmp_path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, babble(1.5, 3), 16000)
    example, _ = prepare_example(hasty, Utterance(path, "aa"))
    (cut,) = cut_recordings(hasty, [Utterance(path)]).usable
    made = prepare(hasty, torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None], torch.tensor([24000]))
    assert float(made.tempo[0]) < 1
    torch.testing.assert_close(example.features, made.features[0])
    assert len(cut.features) == len(made.features[0])
    assert example.heard_seconds == cut.heard_seconds == pytest.approx(1.5 / float(made.tempo[0]))
    logits, frames = hasty.encode(made.features, made.frames)
    (expected,) = Decoder.of(hasty)(logits, frames, tempo=made.tempo)
    (said,) = [one for one in Transcriber(hasty).transcribe([Utterance(path)]) if isinstance(one, Transcript)]
    assert said.text == expected.text
    assert said.text


def test_times_in_a_transcript_are_those_of_slowed_words() -> None:
    model = load_model("source_en", device="cpu")
    path = next(path for path in DEMO if float(prepared_file(model, path).tempo[0]) < 1)
    made = prepared_file(model, path)
    (expected,) = Decoder.of(model)(*model.encode(made.features, made.frames), tempo=made.tempo)
    (said,) = [one for one in Transcriber(model).transcribe([Utterance(path)]) if isinstance(one, Transcript)]
    assert len(said.words) > 2
    starts = [word.start for word in said.words]
    assert starts == pytest.approx([word.start for word in expected.words], abs=1e-3)


def test_what_is_slowed_down_fits_into_the_seconds_of_a_batch(hasty, tiny_model) -> None:
    options = TranscriberOptions(batch_seconds=100.0)
    assert Transcriber(hasty, None, options)._seconds == pytest.approx(70.0)
    assert Transcriber(tiny_model(kernel=5), None, options)._seconds == 100.0


def test_times_are_those_of_the_recording(hasty) -> None:
    logits = torch.full((1, 40, len(hasty.tokens)), -9.0)
    logits[0, :, 0] = 0.0
    logits[0, 20, 3] = 9.0
    frames = torch.tensor([40])
    for options in (None, DecoderOptions(beams=4)):
        decoder = Decoder.of(hasty, options=options)
        (plain,), (slow,) = decoder(logits, frames), decoder(logits, frames, tempo=torch.tensor([0.75]))
        assert [w.text for w in plain.words] == [w.text for w in slow.words] == [hasty.tokens[3]]
        assert np.array([slow.words[0].start, slow.words[0].end]) == pytest.approx(
            0.75 * np.array([plain.words[0].start, plain.words[0].end])
        )


def test_the_embedded_model_has_a_pace() -> None:
    assert Pace.of(load_model("source_en", device="cpu")) is not None
