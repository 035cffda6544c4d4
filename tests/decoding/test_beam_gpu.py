"""On a CUDA device, and on a pretended one, the search finds the texts it finds on the CPU; on CUDA sooner."""

from __future__ import annotations

import time

import pytest
import torch

from asradapt.decoding import BeamOptions, Fusion, Weights, align, beam_search, greedy_emissions, make_hotwords
from asradapt.language import load_language, make_lexicon

TOKENS = ("", " ", "'", *"abcdefghijklmnopqrstuvwxyz")


@pytest.fixture(scope="module")
def language():
    return load_language()


def random_logits(rows: int, frames: int) -> torch.Tensor:
    return 3 * torch.randn(rows, frames, len(TOKENS), generator=torch.Generator().manual_seed(0))


def test_texts_and_scores_are_those_of_the_cpu(language, device):
    logits, lengths = random_logits(8, 60), torch.tensor([60, 50, 40, 30, 20, 10, 1, 0])
    lexicon, hotwords = make_lexicon(language, TOKENS), make_hotwords([["zoe miller"], []] * 4, TOKENS)
    found = []
    for place in ("cpu", device):
        fusion = Fusion(1, Weights(), language.to(place), lexicon.to(place), hotwords.to(place))
        found.append(beam_search(logits.to(place), lengths.to(place), TOKENS, fusion, BeamOptions(best=3)))
    for here, there in zip(*found, strict=True):
        assert here[0].text == there[0].text
        assert here[0].score == pytest.approx(there[0].score, abs=1e-2)


def test_greedy_tokens_and_alignments_are_those_of_the_cpu(device):
    logits, lengths = random_logits(4, 40), torch.tensor([40, 30, 5, 0])
    texts = [(3, 4, 4, 1, 5), (6,), (), ()]
    for function in (greedy_emissions, lambda logits, lengths: align(logits, lengths, texts)):
        here, there = function(logits, lengths), function(logits.to(device), lengths.to(device))
        assert (here.tokens == there.tokens).all()
        assert (here.first == there.first).all()
        assert (here.last == there.last).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is available here")
def test_a_large_batch_is_faster_on_the_device(language):
    logits, lengths = random_logits(256, 200), torch.full((256,), 200)
    lexicon, seconds = make_lexicon(language, TOKENS), {}
    for device in ("cuda", "cpu"):
        fusion = Fusion(1, Weights(), language.to(device), lexicon.to(device))
        given = logits.to(device), lengths.to(device)
        beam_search(given[0][:, :5], given[1].clamp(max=5), TOKENS, fusion)
        began = time.perf_counter()
        beam_search(*given, TOKENS, fusion)
        seconds[device] = time.perf_counter() - began
    assert seconds["cuda"] < seconds["cpu"]
