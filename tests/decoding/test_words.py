from __future__ import annotations

import itertools

import pytest
import torch
from language_samples import TOKENS, read_small, write_arpa

from asradapt.decoding import (
    Calibration,
    Decoder,
    DecoderOptions,
    Heard,
    Timing,
    Weights,
    Word,
    align,
    greedy_decode,
    greedy_emissions,
    joined,
)
from asradapt.errors import InputError, UsageError
from asradapt.models import load_model


def random_logits(seed: int, rows: int, frames: int) -> torch.Tensor:
    return 3 * torch.randn(rows, frames, len(TOKENS), generator=torch.Generator().manual_seed(seed))


def spans(emissions, row: int) -> list[tuple[int, int, int]]:
    found = zip(emissions.tokens[row], emissions.first[row], emissions.last[row], strict=True)
    return [(int(t), int(a), int(b)) for t, a, b in found if t]


@pytest.mark.parametrize("seed", range(5))
def test_greedy_tokens_have_the_frames_and_probabilities_of_their_runs(seed):
    logits, lengths = random_logits(seed, 4, 30), torch.tensor([30, 17, 1, 0])
    found = greedy_emissions(logits, lengths)
    for row, length in enumerate(lengths.tolist()):
        best = logits[row, :length].argmax(dim=-1).tolist()
        expected, frame = [], 0
        for token, run in itertools.groupby(best):
            count = len(list(run))
            if token:
                sure = float(logits[row, frame : frame + count].softmax(-1)[:, token].max())
                expected.append((token, frame, frame + count - 1, pytest.approx(sure)))
            frame += count
        assert [
            (*s, float(p)) for s, p in zip(spans(found, row), found.probability[row], strict=False)
        ] == expected


def best_alignment(logits: torch.Tensor, text: tuple[int, ...]) -> float:
    """Log probability of the likeliest way to write a text, by trying all."""
    logp = logits.log_softmax(dim=-1).tolist()
    return max(
        (
            sum(logp[frame][token] for frame, token in enumerate(path))
            for path in itertools.product(range(len(TOKENS)), repeat=len(logp))
            if tuple(token for token, _ in itertools.groupby(path) if token) == text
        ),
        default=float("-inf"),
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_alignment_is_the_likeliest_of_all(seed):
    texts = [(2, 3), (2, 2), (3,), (2, 1, 3, 3), ()]
    logits, lengths = random_logits(seed, len(texts), 6), torch.tensor([6, 4, 1, 6, 3])
    found = align(logits, lengths, texts)
    logp = logits.log_softmax(dim=-1)
    for row, text in enumerate(texts):
        length = int(lengths[row])
        path = [0] * length
        for token, first, last in spans(found, row):
            path[first : last + 1] = [token] * (last + 1 - first)
        assert tuple(token for token, _ in itertools.groupby(path) if token) == text
        total = sum(float(logp[row, frame, token]) for frame, token in enumerate(path))
        assert total == pytest.approx(best_alignment(logits[row, :length], text), abs=1e-4)


def test_a_text_that_does_not_fit_gets_no_frames():
    found = align(random_logits(0, 2, 3), torch.tensor([2, 3]), [(2, 2), (2, 2)])
    assert spans(found, 0) == []
    assert spans(found, 1) == [(2, 0, 0), (2, 2, 2)]


def test_no_rows_no_frames_and_no_texts_align_to_nothing():
    assert align(random_logits(0, 2, 3), torch.tensor([3, 3]), [(), ()]).tokens.shape == (2, 0)
    assert align(random_logits(0, 1, 3)[:, :0], torch.tensor([0]), [(2,)]).tokens.shape[0] == 1


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    return read_small(write_arpa(tmp_path_factory.mktemp("arpa")))


@pytest.fixture(params=["greedy", "beam", "language"])
def decoder(request, language):
    if request.param == "greedy":
        return Decoder(TOKENS, 0.04)
    options = DecoderOptions(beams=8, best=3)
    return Decoder(TOKENS, 0.04, language if request.param == "language" else None, options)


@pytest.mark.parametrize("seed", range(4))
def test_words_have_times_that_rise_within_the_audio_and_confidence_within_0_and_1(decoder, seed):
    lengths = torch.tensor([50, 31, 3, 0])
    for heard, length in zip(decoder(random_logits(seed, 4, 50), lengths), lengths.tolist(), strict=True):
        times = [time for word in heard.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(word.start < word.end for word in heard.words)
        assert not times or (times[0] >= 0 and times[-1] <= length * 0.04 + 1e-9)
        assert all(0 <= word.confidence <= 1 for word in heard.words)
        assert 0 <= heard.confidence <= 1 if heard.words else heard.confidence is None
        assert not heard.alternatives or heard.alternatives[0] == heard.text


def test_greedy_words_are_the_greedy_text():
    logits, lengths = random_logits(9, 5, 40), torch.tensor([40, 33, 21, 4, 0])
    heard = Decoder(TOKENS, 0.04)(logits, lengths)
    assert [one.text for one in heard] == greedy_decode(logits, lengths, TOKENS)


def test_phrases_of_a_row_and_of_everybody_are_heard():
    logits, lengths = random_logits(3, 1, 8).expand(2, -1, -1), torch.tensor([8, 8])
    weights = Weights(phrase=30.0)
    own = Decoder(TOKENS, 0.04, None, DecoderOptions(weights=weights))(logits, lengths, [("BAB",), ()])
    assert "bab" in own[0].text.split()
    assert "bab" not in own[1].text.split()
    all_of_them = Decoder(TOKENS, 0.04, None, DecoderOptions(weights=weights, phrases=("bab",)))(logits, lengths)
    assert ["bab" in one.text.split() for one in all_of_them] == [True, True]


def test_parts_are_joined_at_their_places():
    part = Heard((Word("a", 0.2, 0.4, 0.5), Word("b", 0.5, 0.9, 1.0)))
    whole = joined([part, Heard(()), part.placed([(1.0, 1.0)], 1.8)])
    assert whole.text == "a b a b"
    times = [time for w in whole.words for time in (w.start, w.end)]
    assert times == pytest.approx([0.2, 0.4, 0.5, 0.9, 1.2, 1.4, 1.5, 1.8])
    assert whole.confidence == pytest.approx(0.75)
    assert Heard(()).confidence is None


def test_words_of_stretches_heard_as_one_go_back_to_their_places():
    ends = (
        Word("a", 0.2, 1.0, 1.0),
        Word("across", 0.9, 1.3, 1.0),
        Word("b", 1.0, 1.2, 1.0),
        Word("c", 2.5, 2.9, 1.0),
    )
    found = Heard(ends, ("a across b c",)).placed([(5.0, 1.0), (7.5, 1.5)], 8.8)
    assert [(w.start, w.end) for w in found.words] == [
        pytest.approx(times) for times in [(5.2, 6.0), (5.9, 7.8), (7.5, 7.7), (8.8, 8.8)]
    ]
    assert found.alternatives == ("a across b c",)


def test_no_word_ends_before_it_begins_at_a_seam():
    (word,) = Heard((Word("a", 1.0, 1.0, 1.0),)).placed([(5.0, 1.0), (7.5, 1.5)], 9.0).words
    assert (word.start, word.end) == (7.5, 7.5)


def test_calibration_keeps_the_order_and_ends():
    plain, flat = Calibration(), Calibration(slope=0.5, offset=0.0)
    assert plain([0.9, 0.9]) == pytest.approx(0.9)
    assert plain([0.25, 1.0]) == pytest.approx(0.5, abs=1e-3)
    assert 0.5 < flat([0.9]) < 0.9
    assert 0 < flat([0.0, 0.0]) < flat([1.0, 1.0]) < 1


def test_a_negative_number_of_beams_is_refused():
    with pytest.raises(UsageError, match="must be 0"):
        Decoder(TOKENS, 0.04, None, DecoderOptions(beams=-1))


def test_words_reach_beyond_their_frames_but_not_over_each_other():
    words = [Word("a", 0.04, 0.2, 1.0), Word("b", 0.24, 0.28, 1.0), Word("c", 0.6, 0.9, 1.0)]
    moved = Timing(lead=0.07, trail=0.1)(words, 0.92)
    times = [(round(w.start, 3), round(w.end, 3)) for w in moved]
    assert times == [(0.0, 0.24), (0.24, 0.38), (0.53, 0.92)]
    assert [word.text for word in moved] == ["a", "b", "c"]


def test_a_negative_trail_leaves_every_word_some_time():
    (word,) = Timing(trail=-0.5)([Word("a", 0.04, 0.08, 1.0)], 1.0)
    assert word.start == 0.04
    assert word.end == pytest.approx(0.06)


def test_the_embedded_model_moves_words_and_a_card_without_timing_does_not():
    assert Decoder.of(load_model("source_en", device="cpu")).options.timing.lead > 0
    assert Timing.of({}) == Timing()


@pytest.mark.parametrize("said", [{"lead": "soon"}, {"lead": -1}, {"before": 0.1}, [1], {"trail": float("nan")}])
def test_a_card_with_odd_timing_is_refused(said):
    with pytest.raises(InputError, match="word_timing"):
        Timing.of({"word_timing": said})
