from __future__ import annotations

import numpy as np
import pytest
import soundfile

from asradapt.batching import segments
from asradapt.decoding import Decoder, Heard, Word
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance
from asradapt.voice import RATE, VoiceOptions, detector_installed, everywhere, loud, pieces

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
    monkeypatch.setattr(
        "asradapt.transcriber.voiced_pieces", lambda *given: pieces(*given[:2], OPTIONS, knowing(spans))
    )
    word = Heard((Word("hello", 0.4, 0.8, 1.0),))
    monkeypatch.setattr(Decoder, "__call__", lambda self, *given: [word] * len(given[0]))
    found = Transcriber(model, None, TranscriberOptions()).transcribe([Utterance(tmp_path / "long.wav")])
    (transcript,) = [item for item in found if isinstance(item, Transcript)]
    assert transcript.text == "hello hello"
    assert [word.start for word in transcript.words] == pytest.approx([0.7 + 0.4, 19.7 + 0.4])
