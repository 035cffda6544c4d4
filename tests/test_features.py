from __future__ import annotations

from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch
import torchaudio

from asradapt.features import (
    KALDI,
    LIBROSA,
    FeatureOptions,
    LogMel,
    frame_count,
    log_mel,
    mask,
    normalise,
    resample,
)

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


# ---- the analyses of other tools


def librosa_mel(waveform: torch.Tensor, options: FeatureOptions) -> np.ndarray:
    """What librosa gives with its own framing."""
    mel = librosa.feature.melspectrogram(
        y=waveform.numpy(),
        sr=options.sample_rate,
        n_fft=options.fft,
        hop_length=options.hop,
        win_length=options.window,
        n_mels=options.mels,
        fmin=options.low,
        fmax=options.high,
        htk=options.scale == "htk",
        norm="slaney" if options.unit_area else None,
    )
    return np.log(np.maximum(mel, options.floor)).T


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("fft", [400, 512])
def test_the_preset_of_librosa_equals_librosa(babble, batch, scale, fft):
    options = replace(LIBROSA, scale=scale, unit_area=scale == "slaney", fft=fft)
    waveforms = [babble(seconds, seed) for seed, seconds in enumerate((0.3, 1.0, 0.05))]
    ours, frames = log_mel(*batch(waveforms), options)
    for row, waveform in enumerate(waveforms):
        theirs = librosa_mel(waveform, options)
        assert int(frames[row]) == len(theirs)
        # nepers where little power is left between the harmonics; measured 6e-4 where it is 1e-8 of the loudest
        loud = theirs > theirs.max() - 14
        difference = np.abs(ours[row, : len(theirs)].numpy() - theirs)
        assert difference[loud].max() < 1e-3
        assert np.median(difference) < 1e-5


@pytest.mark.parametrize("samples", [400, 559, 560, 16000])
def test_the_preset_of_kaldi_equals_kaldi(babble, samples):
    waveform = babble(1.0, seed=samples)[:samples] + 0.01  # with a constant that is to be removed
    ours, frames = log_mel(waveform[None], torch.tensor([samples]), KALDI)
    theirs = torchaudio.compliance.kaldi.fbank(
        waveform[None], num_mel_bins=80, dither=0.0, energy_floor=0.0, sample_frequency=16000.0
    )
    assert int(frames[0]) == len(theirs)
    loud = theirs > theirs.max() - 14
    assert float((ours[0] - theirs).abs()[loud].max()) < 1e-3


def test_less_than_a_window_is_one_frame_also_where_kaldi_gives_none(babble):
    features, frames = log_mel(babble(1.0, seed=1)[None, :100], torch.tensor([100]), KALDI)
    assert features.shape == (1, 1, 80)
    assert frames.tolist() == [1]
    assert features.isfinite().all()


def test_other_analyses_leak_no_padding_either(babble, batch):
    waveforms = [babble(seconds, seed) for seed, seconds in enumerate((0.3, 1.01, 0.77))]
    for options in (KALDI, LIBROSA):
        together, frames = log_mel(*batch(waveforms), options)
        for row, waveform in enumerate(waveforms):
            alone, count = log_mel(*batch([waveform]), options)
            assert frames[row] == count[0]
            torch.testing.assert_close(together[row, : int(count[0])], alone[0], **SAME)


def test_unknown_analyses_are_refused_with_all_that_is_wrong():
    with pytest.raises(ValueError, match=r"scale must be one of htk, .* got 'bark'; taper must be one of hann"):
        FeatureOptions(scale="bark", taper="square")


@pytest.mark.parametrize("chunk", [1, 7, 64, 10_000])
def test_blocks_change_nothing(babble, batch, chunk):
    inputs = batch([babble(seconds, seed) for seed, seconds in enumerate((0.3, 1.01, 0.77))])
    torch.testing.assert_close(log_mel(*inputs, OPTIONS, chunk=chunk)[0], log_mel(*inputs, OPTIONS)[0], **SAME)


def test_half_precision_is_the_rounded_result(babble, batch):
    inputs = batch([babble(0.3, 1), babble(0.5, 2)])
    half, _ = log_mel(*inputs, OPTIONS, dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, log_mel(*inputs, OPTIONS)[0].bfloat16())


@pytest.mark.filterwarnings("ignore:Guards may run slower")  # of Python 3.13.0 alone
def test_log_mel_is_one_graph(babble, batch):
    """Traced whole, without a break; only the width may be that of the padding."""
    inputs = batch([babble(0.3, 1), babble(0.5, 2)])
    traced = torch.compile(LogMel(OPTIONS), backend="eager", fullgraph=True, dynamic=False)
    for ours, theirs in zip(traced(*inputs), log_mel(*inputs, OPTIONS), strict=True):
        torch.testing.assert_close(ours, theirs, **SAME)


# ---- another sample rate


def test_resampling_keeps_a_tone_and_its_place(tone):
    for rate, new_rate in ((8000, 16000), (44100, 16000), (16000, 8000)):
        time = torch.arange(rate) / rate
        waveform = torch.sin(2 * torch.pi * 440 * time)
        changed, lengths = resample(waveform[None], torch.tensor([rate]), rate, new_rate)
        assert int(lengths[0]) == new_rate
        expected = torch.sin(2 * torch.pi * 440 * torch.arange(new_rate) / new_rate)
        middle = slice(new_rate // 10, -new_rate // 10)  # at the ends the tone is cut
        torch.testing.assert_close(changed[0, middle], expected[middle], rtol=0, atol=2e-3)


def test_resampling_a_row_of_a_batch_equals_the_row_alone(babble, batch):
    waveforms, lengths = batch([babble(0.31, 1), babble(1.0, 2), babble(0.5, 3)])
    dirty = torch.where(mask(lengths, waveforms.shape[1]), waveforms, torch.tensor(9.0))
    together, new = resample(dirty, lengths, 16000, 11025)
    for row, length in enumerate(lengths.tolist()):
        alone, count = resample(waveforms[row : row + 1, :length], lengths[row : row + 1], 16000, 11025)
        assert count[0] == new[row] == -(-length * 11025 // 16000)
        torch.testing.assert_close(together[row, : int(count[0])], alone[0, : int(count[0])], rtol=0, atol=1e-5)
        assert not together[row, int(count[0]) :].any()
