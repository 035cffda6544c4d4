from __future__ import annotations

import numpy as np
import pytest
import soundfile

from asradapt.adaptation.mixed import MixedBank
from asradapt.batching import segments
from asradapt.decoding import Decoder, Heard, Word
from asradapt.enrollees import Enrollees
from asradapt.runs import best_runs, runs_of
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance
from asradapt.voice import (
    RATE,
    VoiceOptions,
    detector_installed,
    everywhere,
    left_out,
    loud,
    passed_over,
    pieces,
)
from asradapt.windows import Sizes, WindowReader

OPTIONS = VoiceOptions(longest=10.0, padding=0.3, gap=2.0)


def recording(spans: list[tuple[float, float]], seconds: float) -> np.ndarray:
    """Faint noise with loud noise in some spans."""
    rng = np.random.default_rng(0)
    samples = 1e-4 * rng.standard_normal(round(seconds * RATE)).astype(np.float32)
    for start, end in spans:
        samples[round(start * RATE) : round(end * RATE)] *= 2000
    return samples


def knowing(spans: list[tuple[float, float]]):
    """A detector that is told where speech is."""
    return lambda samples, rate, threshold: [(round(a * rate), round(b * rate)) for a, b in spans]


def cut(spans: list[tuple[float, float]], seconds: float) -> list[float]:
    """Where pieces begin and end, one after another."""
    samples = recording(spans, seconds)
    found = pieces(samples, RATE, OPTIONS, knowing(spans))
    for piece in found:
        assert np.array_equal(piece.samples, samples[piece.start : piece.start + len(piece.samples)])
        assert len(piece.samples) <= OPTIONS.longest * RATE
    return [place / RATE for piece in found for place in (piece.start, piece.start + len(piece.samples))]


def test_short_recordings_stay_whole_and_empty_ones_are_nothing():
    samples = recording([(1, 2)], 9.0)
    (piece,) = pieces(samples, RATE, OPTIONS, knowing([]))
    assert piece.samples is samples
    assert pieces(samples[:0], RATE, OPTIONS) == []


def test_long_silences_are_left_out_and_speech_keeps_some_on_both_sides():
    assert cut([(1, 3), (20, 22)], 30.0) == pytest.approx([0.7, 3.3, 19.7, 22.3])


def test_neighbours_share_a_piece_while_they_fit_and_cuts_lie_in_the_middle_of_pauses():
    spans = [(0.5, 4), (4.6, 8), (8.4, 12), (12.8, 17), (17.5, 19)]
    found = cut(spans, 20.0)
    assert found == pytest.approx([0.2, 8.2, 8.2, 17.25, 17.25, 19.3])
    for start, end in spans:  # nobody is cut in two
        assert any(a <= start and end <= b for a, b in zip(found[::2], found[1::2], strict=True))


def test_speech_without_a_pause_is_cut_at_its_quietest_place():
    samples = recording([(0, 25)], 25.0)
    samples[round(8.0 * RATE) : round(8.2 * RATE)] *= 0.001
    found = pieces(samples, RATE, OPTIONS, knowing([(0, 25)]))
    assert sum(len(piece.samples) for piece in found) == len(samples)
    assert 8.0 < found[1].start / RATE < 8.2


def test_loudness_finds_speech_where_it_is_clear():
    samples = recording([(1, 3), (3.1, 5), (20, 22)], 30.0)
    assert [t / RATE for span in loud(samples, RATE, 0.0) for t in span] == pytest.approx([1, 5, 20, 22], abs=0.06)
    even = recording([(0, 30)], 30.0)
    assert loud(even, RATE, 0.0) == [(0, len(even))]
    assert loud(even[:10], RATE, 0.0) == [(0, 10)]
    assert loud(np.zeros(RATE, dtype=np.float32), RATE, 0.0) == [(0, RATE)]


@pytest.mark.parametrize(
    ("loud_spans", "speech", "said"),
    [
        ([(1, 10), (20, 28)], [(1, 10), (20, 28)], None),  # only silence is left out
        ([(1, 10), (20, 28)], [(1, 10)], "8 of its 30 seconds"),
        ([(1, 10), (20, 22)], [(1, 10)], None),  # a little of something
        ([(1, 10), (20, 28)], [], "no speech was found"),
        ([(0, 30)], [(0, 30)], None),
    ],
)
def test_sound_that_is_not_taken_for_speech_is_told_of(loud_spans, speech, said):
    samples = recording(loud_spans, 30.0)
    told = left_out(samples, RATE, pieces(samples, RATE, OPTIONS, knowing(speech)))
    assert said in told if said else told is None


def test_what_is_much_fainter_than_the_speech_is_silence():
    samples = recording([(1, 10), (20, 28)], 30.0)
    samples[18 * RATE :] *= 0.1
    assert left_out(samples, RATE, pieces(samples, RATE, OPTIONS, knowing([(1, 10)]))) is None
    assert passed_over(samples, RATE, []) == pytest.approx(30.0)


def test_a_long_recording_with_much_that_is_left_out_is_warned_of(tiny_model, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, recording([(1, 10), (20, 28)], 30.0), RATE)
    model, sizes = tiny_model(), Sizes(RATE, OPTIONS.longest, 60.0)
    for spans, count in (([(1, 10)], 1), ([(1, 10), (20, 28)], 0)):
        reader = WindowReader(sizes, Enrollees(model, None, MixedBank(model)), lambda _: (), knowing(spans))
        (window,) = reader.windows([Utterance(path)])
        assert len(window.warnings) == count
        assert all("--no-vad" in warning for warning in window.warnings)


def test_where_speech_is_everywhere_nothing_is_left_out():
    samples = recording([(1, 3), (20, 22)], 30.0)
    found = pieces(samples, RATE, OPTIONS, everywhere)
    expected = segments(samples, RATE, shortest=6.0, longest=10.0)
    assert [len(piece.samples) for piece in found] == [len(piece) for piece in expected]


@pytest.mark.skipif(not detector_installed(), reason="silero-vad is not installed")
def test_the_installed_detector_leaves_noise_out():
    assert pieces(recording([], 30.0), RATE, OPTIONS) == []


def test_times_of_words_are_those_in_the_whole_recording(tiny_model, tmp_path, monkeypatch):
    model = tiny_model(kernel=5)
    soundfile.write(tmp_path / "long.wav", recording([(1, 3), (20, 22)], 30.0), RATE)
    spans = [(1.0, 3.0), (20.0, 22.0)]
    monkeypatch.setattr("asradapt.windows.pieces", lambda *given: pieces(*given[:2], OPTIONS, knowing(spans)))
    word = Heard((Word("hello", 0.4, 0.8, 1.0),))
    monkeypatch.setattr(Decoder, "__call__", lambda self, *given, **named: [word] * len(given[0]))
    found = Transcriber(model, None, TranscriberOptions()).transcribe([Utterance(tmp_path / "long.wav")])
    (transcript,) = [item for item in found if isinstance(item, Transcript)]
    assert transcript.text == "hello hello"
    assert [word.start for word in transcript.words] == pytest.approx([0.7 + 0.4, 19.7 + 0.4])


def test_neighbours_with_little_between_them_are_heard_as_one_too():
    places = [(0.0, 2.0), (2.9, 3.0), (8.0, 2.0), (10.5, 9.0)]
    assert runs_of(places, 10.0, 1.0) == [range(0, 1), range(0, 2), range(1, 2), range(2, 3), range(3, 4)]
    assert runs_of(places, 20.0, 5.0)[1::2] == [range(0, 2), range(1, 3), range(2, 4)]
    assert runs_of(places, 20.0, -1.0) == [range(number, number + 1) for number in range(4)]
    assert runs_of([], 10.0, 1.0) == []


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_the_hearings_that_count_hold_every_piece_once_and_are_worth_most(count):
    runs = runs_of([(2.0 * number, 1.5) for number in range(count)], 10.0, 1.0)
    rng = np.random.default_rng(count)
    for _ in range(20):
        worth = rng.uniform(0, 3, len(runs)).tolist()
        found = best_runs(runs, worth)
        assert [number for place in found for number in runs[place]] == list(range(count))
        sums = [sum(worth[place] for place in way) for way in ways(runs, 0, count)]
        assert sum(worth[place] for place in found) == pytest.approx(max(sums))
    level = best_runs(runs, [float(len(run)) for run in runs])
    assert [len(runs[place]) for place in level] == [1] * count


def ways(runs: list[range], start: int, count: int) -> list[list[int]]:
    """All ways to hold every piece from `start` on once."""
    if start == count:
        return [[]]
    first = [place for place, run in enumerate(runs) if run.start == start]
    return [[place, *rest] for place in first for rest in ways(runs, runs[place].stop, count)]


@pytest.mark.parametrize(
    ("worth", "expected"), [(3.0, ["hello@0.7", "hello@4.0"]), (5.0, ["both@0.7", "there@4.1"])]
)
def test_a_pause_inside_a_sentence_is_bridged_where_it_is_heard_better(
    worth, expected, tiny_model, tmp_path, monkeypatch
):
    spans = [(1.0, 3.0), (4.3, 6.3)]  # pieces of 2.6 s, from 0.7 s and 4.0 s on
    options = VoiceOptions(longest=6.0, padding=0.3, gap=0.7)
    soundfile.write(tmp_path / "long.wav", recording(spans, 30.0), RATE)
    monkeypatch.setattr("asradapt.windows.pieces", lambda *given: pieces(*given[:2], options, knowing(spans)))
    alone, together = (Word("hello", 0.0, 0.8, 1.0),), (Word("both", 0.0, 0.8, 1.0), Word("there", 2.7, 3.1, 1.0))
    # a piece of 2.6 s has 65 frames
    monkeypatch.setattr(
        Decoder,
        "__call__",
        lambda self, logits, frames, *_, **named: [Heard(together if n > 70 else alone) for n in frames],
    )
    monkeypatch.setattr(
        "asradapt.transcriber.letters_expected", lambda logits, frames: [worth if n > 70 else 2.0 for n in frames]
    )
    found = Transcriber(tiny_model(kernel=5), None, TranscriberOptions()).transcribe(
        [Utterance(tmp_path / "long.wav")]
    )
    (transcript,) = [item for item in found if isinstance(item, Transcript)]
    assert [f"{word.text}@{word.start:.1f}" for word in transcript.words] == expected
    assert [segment.text for segment in transcript.segments] == [one.split("@")[0] for one in expected]
