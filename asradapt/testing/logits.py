"""What a source model's logits keep to: rows that do not depend on their company, frames, tokens, sites that fire.

Letters: B batch, T samples, F frames, V tokens.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from asradapt.decoding import BLANK, greedy_decode
from asradapt.features import mask
from asradapt.models.base import SourceModel
from asradapt.models.places import LEAK
from asradapt.testing.inputs import babble, batch, differ, once, same

SECONDS = (0.31, 1.2, 0.05, 0.8, 0.8, 2.0, 1.03)


def orders() -> list[list[int]]:
    """Which of the clips stand in a batch, and in what order."""
    chance = random.Random(0)
    return [*([i] for i in range(7)), [1, 5], [5, 1], [2, 5], *(chance.sample(range(7), 7) for _ in range(3))]


class LogitsContract:
    """The part of the contract about CTC logits; the fixture `model` gives the model."""

    def lacking(self, model: SourceModel) -> int:
        """Frames that a clip may have less than one for every begun frame time: of unpadded convolutions 2."""
        return 2

    @pytest.fixture
    def clips(self, model: SourceModel) -> list[Tensor]:
        """Clips of many lengths, or of one where the model says that padding would change them."""
        seconds = (0.8,) * len(SECONDS) if model.equal_lengths else SECONDS
        made = lambda: [babble(one, seed, rate=model.sample_rate) for seed, one in enumerate(seconds)]  # noqa: E731
        return once(model, "clips", made)

    @pytest.fixture
    def alone(self, model: SourceModel, clips: list[Tensor]) -> list[Tensor]:
        """Logits (F, V) of every clip by itself."""
        with torch.no_grad():
            return once(model, "alone", lambda: [model.forward(*batch([clip]))[0][0] for clip in clips])

    @pytest.mark.parametrize("order", orders(), ids=lambda order: "".join(map(str, order)))
    @torch.no_grad()
    def test_a_row_of_a_batch_equals_the_row_alone(
        self, model: SourceModel, clips: list[Tensor], alone: list[Tensor], order: list[int]
    ) -> None:
        logits, frames = model.forward(*batch([clips[i] for i in order]))
        written = greedy_decode(logits, frames, model.tokens)
        for row, index in enumerate(order):
            expected = alone[index]
            assert int(frames[row]) == len(expected)
            same(logits[row, : len(expected)], expected)
            text = greedy_decode(expected[None], torch.tensor([len(expected)]), model.tokens)
            assert written[row] == text[0]

    @torch.no_grad()
    def test_clips_that_differ_give_logits_that_differ(self, model: SourceModel, clips: list[Tensor]) -> None:
        logits, _ = model.forward(*batch(clips))
        assert float(logits.std(dim=(0, 1)).min()) > 1e-2
        assert not torch.allclose(logits[0, 0], logits[1, 0], atol=1e-2)

    @torch.no_grad()
    def test_noise_in_the_padding_changes_nothing(self, model: SourceModel, clips: list[Tensor]) -> None:
        waveforms, lengths = batch(clips)
        noise = torch.randn(waveforms.shape, generator=torch.Generator().manual_seed(1))
        dirty = torch.where(mask(lengths, waveforms.shape[1]), waveforms, 30 * noise)
        clean, frames = model.forward(waveforms, lengths)
        other, _ = model.forward(dirty, lengths)
        for row, count in enumerate(frames.tolist()):
            assert torch.equal(clean[row, :count], other[row, :count])

    @torch.no_grad()
    def test_noise_behind_the_features_changes_nothing(self, model: SourceModel, clips: list[Tensor]) -> None:
        features, frames = model.prepare(*batch(clips))
        noise = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
        dirty = torch.where(mask(frames, features.shape[1])[..., None], features, 30 * noise)
        clean, counts = model.encode(features, frames)
        other, _ = model.encode(dirty, frames)
        for row, count in enumerate(counts.tolist()):
            assert torch.equal(clean[row, :count], other[row, :count])

    @torch.no_grad()
    def test_more_padding_than_needed_changes_nothing(
        self, model: SourceModel, clips: list[Tensor], alone: list[Tensor]
    ) -> None:
        if model.equal_lengths:
            pytest.skip("takes no padding, and says so")
        waveforms, lengths = batch([clips[0]])
        features, frames = model.prepare(torch.nn.functional.pad(waveforms, (0, 8000)), lengths)
        logits, counts = model.encode(torch.nn.functional.pad(features, (0, 0, 0, 37)), frames)
        same(logits[0, : counts[0]], alone[0])

    @pytest.mark.parametrize("samples", [1, 160, 640, 641, 4000, 16000, 24001])
    @torch.no_grad()
    def test_logits_have_a_frame_for_every_begun_frame_time(self, model: SourceModel, samples: int) -> None:
        logits, frames = model.forward(torch.zeros(1, samples), torch.tensor([samples]))
        assert logits.dtype == torch.float32
        assert logits.shape == (1, int(frames[0]), len(model.tokens))
        assert bool(logits.isfinite().all())
        begun = -(-samples // round(model.frame_seconds * model.sample_rate))
        lacking = self.lacking(model)
        least, most = (begun - lacking, begun + 1) if lacking else (begun, begun)
        assert least <= int(frames[0]) <= most  # pooling may make one up

    @torch.no_grad()
    def test_forward_is_encode_after_prepare(self, model: SourceModel, clips: list[Tensor]) -> None:
        waveforms, lengths = batch(clips[:3])
        ours, frames = model.forward(waveforms, lengths)
        theirs, counts = model.encode(*model.prepare(waveforms, lengths))
        assert torch.equal(ours, theirs)
        assert torch.equal(frames, counts)

    def test_a_forward_pass_leaves_no_gradient(self, model: SourceModel, clips: list[Tensor]) -> None:
        assert not model.forward(*batch(clips[:1]))[0].requires_grad

    def test_the_first_token_is_the_blank_and_no_character(self, model: SourceModel) -> None:
        assert model.tokens.index(model.tokens[0]) == BLANK
        assert len(model.tokens[BLANK]) != 1
        assert len(set(model.tokens)) == len(model.tokens)
        assert " " in model.tokens

    def test_letters_are_small_as_texts_are(self, model: SourceModel) -> None:
        """Or of both cases: texts are compared and learned from in lower case."""
        letters = {token for token in model.tokens if len(token) == len(token.lower()) == 1}
        assert {letter.lower() for letter in letters} <= set(model.tokens)

    @torch.no_grad()
    def test_every_site_has_the_stated_widths_and_fires_once(
        self, model: SourceModel, clips: list[Tensor]
    ) -> None:
        modules, handles = dict(model.module.named_modules()), []
        shapes: dict[str, list[tuple[torch.Size, torch.Size]]] = {}
        for site in model.sites:

            def hook(_: torch.nn.Module, inputs: Any, output: Any, name: str = site.name) -> None:
                first = output[0] if isinstance(output, tuple) else output
                shapes.setdefault(name, []).append((inputs[0].shape, first.shape))

            handles.append(modules[site.name].register_forward_hook(hook))
        try:
            model.forward(*batch(clips[:3]))
        finally:
            for handle in handles:
                handle.remove()
        assert [site.name for site in model.sites if site.name not in shapes] == [], "these never fire"
        for site in model.sites:
            ((taken, given),) = shapes[site.name]
            assert (taken[0], given[0]) == (3, 3), site.name
            assert (taken[2], given[2]) == (site.width_in, site.width), site.name
            assert taken[1] == given[1], site.name

    @torch.no_grad()
    def test_a_model_that_cannot_take_padding_says_so(self, model: SourceModel) -> None:
        """And only such a model."""
        worst = 0.0
        for seconds in (0.5, 0.52, 0.54, 0.56):
            pair = [babble(one, seed, rate=model.sample_rate) for one, seed in ((1.0, 1), (seconds, 2))]
            logits, frames = model.forward(*batch(pair))
            alone, _ = model.forward(*batch(pair[1:]))
            worst = max(worst, differ(logits[1, : frames[1]], alone[0]) / float(alone.abs().max()))
        assert model.equal_lengths == (worst > LEAK)
