from __future__ import annotations

from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch

from asradapt.features import FeatureOptions, frame_count, log_mel, mask, normalise

OPTIONS = FeatureOptions()
TELEPHONE = FeatureOptions(
    sample_rate=8000, window=200, hop=80, fft=256, mels=40, low=100.0, high=3800.0, floor=1e-4
)

# fp32 log-mels of the same frames: the products with the filters are summed in an order that depends on
# the number of rows. Measured 1e-6; the features themselves are of size 10.
SAME = {"rtol": 0, "atol": 1e-5}


def by_librosa(waveform: torch.Tensor, options: FeatureOptions) -> np.ndarray:
    """The same frames, cut out by hand, through librosa's own window, transform and filters."""
    frames = int(frame_count(torch.tensor(len(waveform)), options))
    before = (options.window - options.hop) // 2 + (options.fft - options.window) // 2
    total = (frames - 1) * options.hop + options.fft
    padded = np.zeros(max(total, before + len(waveform)), np.float32)
    padded[before : before + len(waveform)] = waveform.numpy()
    mel = librosa.feature.melspectrogram(
        y=padded[:total],
        sr=options.sample_rate,
        n_fft=options.fft,
        hop_length=options.hop,
        win_length=options.window,
        window="hann",
        center=False,
        power=2.0,
        n_mels=options.mels,
        fmin=options.low,
        fmax=options.high,
        htk=True,
        norm=None,
    )
    return np.log(np.maximum(mel, options.floor)).T


@pytest.mark.parametrize("options", [OPTIONS, TELEPHONE], ids=["wideband", "telephone"])
@pytest.mark.parametrize("samples", [1, 159, 160, 161, 4000, 16000])
def test_log_mel_equals_librosa(babble, options, samples):
    waveform = babble(samples / 16000, seed=samples)[:samples]
    ours, frames = log_mel(waveform[None], torch.tensor([samples]), options)
    theirs = by_librosa(waveform, options)
    assert ours.shape[1] == int(frames[0]) == len(theirs)
    # transform and filters are computed in another order in fp32: measured 8e-5 nepers where little power is left
    np.testing.assert_allclose(ours[0].numpy(), theirs, rtol=0, atol=5e-4)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (3, 3, 0)])
def test_a_row_of_a_batch_equals_the_row_alone(babble, batch, order):
    waveforms = [babble(seconds, seed) for seed, seconds in enumerate((0.3, 1.01, 0.0001, 0.77))]
    features, frames = log_mel(*batch([waveforms[i] for i in order]), OPTIONS)
    normal = normalise(features, frames)
    for row, index in enumerate(order):
        alone, count = log_mel(*batch([waveforms[index]]), OPTIONS)
        assert frames[row] == count[0]
        torch.testing.assert_close(features[row, : count[0]], alone[0], **SAME)
        torch.testing.assert_close(normal[row, : count[0]], normalise(alone, count)[0], **SAME)


def test_noise_in_the_padding_changes_nothing(babble, batch):
    waveforms, lengths = batch([babble(0.31, 1), babble(1.0, 2), babble(0.5, 3)])
    noise = torch.randn(waveforms.shape, generator=torch.Generator().manual_seed(4))
    dirty = torch.where(mask(lengths, waveforms.shape[1]), waveforms, 100 * noise)
    clean = normalise(*log_mel(waveforms, lengths, OPTIONS))
    assert not torch.equal(waveforms, dirty)
    assert torch.equal(clean, normalise(*log_mel(dirty, lengths, OPTIONS)))


def test_more_padding_than_needed_changes_nothing(babble, batch):
    waveforms, lengths = batch([babble(0.31, 1), babble(0.5, 3)])
    longer = torch.nn.functional.pad(waveforms, (0, 5000), value=9.0)
    for ours, theirs in zip(log_mel(waveforms, lengths, OPTIONS), log_mel(longer, lengths, OPTIONS), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("samples", "frames"), [(0, 1), (1, 1), (160, 1), (161, 2), (320, 2), (16000, 100)])
def test_there_is_a_frame_for_every_begun_hop(samples, frames):
    assert int(frame_count(torch.tensor(samples), OPTIONS)) == frames
    features, counts = log_mel(torch.zeros(1, samples), torch.tensor([samples]), OPTIONS)
    assert features.shape == (1, frames, 80)
    assert counts.tolist() == [frames]


def test_a_click_shows_in_the_frames_whose_window_holds_it():
    waveform = torch.zeros(1, 16000)
    waveform[0, 50 * 160 + 80] = 1.0  # the centre of frame 50
    loud = log_mel(waveform, torch.tensor([16000]), OPTIONS)[0][0].exp().sum(1)
    assert int(loud.argmax()) == 50
    torch.testing.assert_close(loud[49], loud[51])
    assert torch.all(loud[:49] == loud[0])
    assert torch.all(loud[52:] == loud[0])


def test_a_tone_shows_in_the_band_of_its_frequency(tone):
    centres = librosa.mel_frequencies(82, fmin=OPTIONS.low, fmax=OPTIONS.high, htk=True)[1:-1]
    for hertz in (300.0, 1000.0, 4000.0):
        features, _ = log_mel(tone(0.5, hertz)[None], torch.tensor([8000]), OPTIONS)
        band = int(features[0, 10:40].mean(0).argmax())
        assert abs(band - int(np.abs(centres - hertz).argmin())) <= 1


def test_silence_is_finite_and_at_the_floor():
    features, frames = log_mel(torch.zeros(2, 8000), torch.tensor([8000, 1]), OPTIONS)
    assert torch.all(features == torch.log(torch.tensor(OPTIONS.floor)))
    assert torch.all(normalise(features, frames).abs() < 1e-3)  # the mean of equal numbers is rounded


def test_the_floor_is_an_option(babble):
    waveform, lengths = babble(0.2)[None], torch.tensor([3200])
    high, _ = log_mel(waveform, lengths, replace(OPTIONS, floor=1e-1))
    low, _ = log_mel(waveform, lengths, OPTIONS)
    assert float(low.min()) < float(np.log(1e-1))
    torch.testing.assert_close(high, low.clamp(min=float(np.log(1e-1))))


def test_normalised_rows_have_zero_mean_per_band_and_unit_variance():
    generator = torch.Generator().manual_seed(5)
    features = 3 + 4 * torch.randn(3, 50, 8, generator=generator) + torch.arange(8)
    frames = torch.tensor([50, 20, 7])
    normal = normalise(features, frames)
    for row, count in zip(normal, frames.tolist(), strict=True):
        torch.testing.assert_close(row[:count].mean(0), torch.zeros(8), rtol=0, atol=1e-5)
        torch.testing.assert_close(row[:count].square().mean(), torch.tensor(1.0))
        assert torch.all(row[count:] == 0)


def test_normalising_ignores_what_lies_behind_a_row():
    generator = torch.Generator().manual_seed(6)
    features = torch.randn(2, 30, 8, generator=generator)
    frames = torch.tensor([30, 11])
    dirty = features.clone()
    dirty[1, 11:] = 1e6
    assert torch.equal(normalise(features, frames), normalise(dirty, frames))


@pytest.mark.parametrize("value", [0.0, -11.5, 1e4])
def test_constant_features_stay_finite(value):
    normal = normalise(torch.full((1, 9, 4), value), torch.tensor([9]))
    assert torch.all(normal.abs() < 1)


def test_a_single_frame_normalises_to_zero():
    assert torch.all(normalise(torch.arange(4.0).view(1, 1, 4), torch.tensor([1])) == 0)


def test_the_mask_marks_the_real_frames():
    assert mask(torch.tensor([0, 2, 3]), 3).tolist() == [[False] * 3, [True, True, False], [True] * 3]
