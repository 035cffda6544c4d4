from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from asradapt import audio
from asradapt.audio import AUDIO_SUFFIXES, Recording, audio_files, load_audio
from asradapt.audio_checks import LevelMeter, is_silent, missing_bytes
from asradapt.errors import AudioError

FORMATS = {
    "wav16": ("a.wav", {"subtype": "PCM_16"}, 1e-4),
    "wav24": ("a.wav", {"subtype": "PCM_24"}, 1e-6),
    "wav32": ("a.wav", {"subtype": "PCM_32"}, 1e-6),
    "wav8": ("a.wav", {"subtype": "PCM_U8"}, 1e-2),
    "float": ("a.wav", {"subtype": "FLOAT"}, 0.0),
    "double": ("a.wav", {"subtype": "DOUBLE"}, 1e-7),
    "ulaw": ("a.wav", {"subtype": "ULAW"}, 3e-2),
    "flac16": ("a.flac", {"subtype": "PCM_16"}, 1e-4),
    "flac24": ("a.flac", {"subtype": "PCM_24"}, 1e-6),
    "vorbis": ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}, 0.05),
    "opus": ("a.opus", {"format": "OGG", "subtype": "OPUS"}, 0.05),
    "mp3": ("a.mp3", {"format": "MP3"}, 0.05),
    "aiff": ("a.aiff", {}, 1e-4),
    "au": ("a.au", {}, 1e-4),
    "caf": ("a.caf", {}, 1e-4),
    "w64": ("a.w64", {}, 1e-4),
    "rf64": ("a.rf64", {}, 1e-4),
}
LOSSY = {"vorbis", "opus", "mp3"}


def sine(rate: int = 16_000, seconds: float = 1.0, hertz: float = 440.0, level: float = 0.5) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 16_000, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def cut(path: Path, keep: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    return path


def strongest(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """Frequency (Hz) and amplitude of the strongest partial, away from the edges."""
    middle = samples[len(samples) // 4 : len(samples) // 4 + len(samples) // 2]
    window = np.hanning(len(middle))
    spectrum = np.abs(np.fft.rfft(middle * window))
    amplitude = np.sqrt(2 * np.mean(middle**2))
    return float(np.argmax(spectrum) * rate / len(middle)), float(amplitude)


class TestFormats:
    @pytest.mark.parametrize("name", FORMATS)
    def test_every_format_gives_the_written_samples(self, tmp_path, name):
        file, options, tolerance = FORMATS[name]
        samples = sine()
        recording = load_audio(write(tmp_path / file, samples, **options))
        assert recording.samples.dtype == np.float32
        assert recording.samples.ndim == 1
        edge = 800 if name in LOSSY else 0  # codecs smear the sudden start and end of the sine
        assert len(recording.samples) == len(samples)
        middle = slice(edge, len(samples) - edge)
        assert np.abs(recording.samples[middle] - samples[middle]).max() <= tolerance
        assert recording.seconds == pytest.approx(1.0)
        assert recording.peak == pytest.approx(0.5, abs=1.0 if name in LOSSY else tolerance + 1e-3)
        assert (recording.channels, recording.original_rate) == (1, 16_000)
        assert recording.warnings == ()

    @pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg"])
    @pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
    def test_resampling_keeps_pitch_level_and_length(self, tmp_path, rate, suffix):
        recording = load_audio(write(tmp_path / f"a{suffix}", sine(rate, 2.0), rate))
        hertz, amplitude = strongest(recording.samples, 16_000)
        assert recording.sample_rate == 16_000
        assert recording.original_rate == rate
        assert hertz == pytest.approx(440, abs=1.5)
        assert amplitude == pytest.approx(0.5, abs=0.03)
        assert len(recording.samples) == pytest.approx(32_000, abs=1)
        assert recording.seconds == pytest.approx(2.0)

    def test_what_the_target_rate_cannot_hold_is_filtered_out(self, tmp_path):
        path = write(tmp_path / "a.wav", sine(48_000, hertz=12_000.0), 48_000)
        middle = load_audio(path).samples[1000:-1000]
        assert np.abs(middle).max() < 1e-3  # a decimation without filter would alias to 4 kHz

    def test_other_target_rates(self, tmp_path):
        path = write(tmp_path / "a.wav", sine())
        recording = load_audio(path, 8_000)
        assert (recording.sample_rate, len(recording.samples)) == (8_000, 8_000)
        assert strongest(recording.samples, 8_000)[0] == pytest.approx(440, abs=2)

    @pytest.mark.parametrize("rate", [16_000, 44_100])
    def test_blocks_do_not_show(self, tmp_path, monkeypatch, rate):
        path = write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.9, 0.9, rate), rate)
        whole = load_audio(path)
        monkeypatch.setattr(audio, "_BLOCK", 997)
        blocks = load_audio(path)
        np.testing.assert_array_equal(blocks.samples, whole.samples)
        assert (blocks.seconds, blocks.peak, blocks.silent) == (whole.seconds, whole.peak, whole.silent)
        if rate == 44_100:
            once = soxr.resample(soundfile.read(path, dtype="float32")[0], rate, 16_000)
            np.testing.assert_array_equal(blocks.samples, once)

    def test_channels_are_averaged(self, tmp_path):
        left, right = sine(hertz=440.0, level=0.8), sine(hertz=700.0, level=0.2)
        recording = load_audio(write(tmp_path / "a.wav", np.stack([left, right], 1), subtype="FLOAT"))
        np.testing.assert_allclose(recording.samples, (left + right) / 2, atol=1e-7)
        assert recording.channels == 2
        assert recording.peak == pytest.approx(0.8, abs=1e-3)

    @pytest.mark.parametrize("rate", [16_000, 44_100])
    def test_channels_that_cancel_each_other_out_are_heard_one_alone(self, tmp_path, rate, monkeypatch):
        monkeypatch.setattr(audio, "_BLOCK", 5_003)
        voice = sine(rate, hertz=440.0, level=0.5)
        path = write(tmp_path / "a.wav", np.stack([0.95 * voice, -voice], 1), rate, subtype="FLOAT")
        alone = load_audio(write(tmp_path / "b.wav", -voice, rate, subtype="FLOAT"))
        recording = load_audio(path)
        np.testing.assert_array_equal(recording.samples, alone.samples)
        (warning,) = recording.warnings
        assert "channel 2 alone is heard" in warning
        assert not recording.silent
        assert recording.peak == pytest.approx(0.5, abs=1e-3)

    @pytest.mark.parametrize("other", [0.0, 1.0, -0.5])
    def test_channels_that_leave_something_of_each_other_are_averaged(self, tmp_path, other):
        voice = sine(hertz=440.0, level=0.5)
        recording = load_audio(write(tmp_path / "a.wav", np.stack([voice, other * voice], 1), subtype="FLOAT"))
        np.testing.assert_allclose(recording.samples, (1 + other) / 2 * voice, atol=1e-6)
        assert recording.warnings == ()

    def test_channels_that_cancel_in_a_part_are_averaged(self, tmp_path, monkeypatch):
        monkeypatch.setattr(audio, "_BLOCK", 4_000)
        voice = sine(hertz=440.0, level=0.5)
        other = voice * np.where(np.arange(len(voice)) < len(voice) // 2, 1, -1)
        recording = load_audio(write(tmp_path / "a.wav", np.stack([voice, other], 1), subtype="FLOAT"))
        np.testing.assert_allclose(recording.samples, (voice + other) / 2, atol=1e-6)

    @pytest.mark.parametrize("offset", [0.02, 0.4])
    def test_an_offset_that_channels_share_does_not_hide_that_they_cancel(self, tmp_path, offset):
        voice = sine(hertz=440.0, level=0.3)
        pair = offset + np.stack([0.9 * voice, -voice], 1)
        recording = load_audio(write(tmp_path / "a.wav", pair, subtype="FLOAT"))
        np.testing.assert_allclose(recording.samples, offset - voice, atol=1e-6)
        assert len(recording.warnings) == 1

    def test_an_offset_alone_is_no_channel_to_choose(self, tmp_path):
        pair = np.full((16_000, 2), 0.3) * [1, -1]
        recording = load_audio(write(tmp_path / "a.wav", pair, subtype="FLOAT"))
        np.testing.assert_allclose(recording.samples, 0.0, atol=1e-6)
        assert not any("channel" in warning for warning in recording.warnings)

    def test_one_channel_of_many_does_not_count_as_cancelled(self, tmp_path):
        voice = sine(hertz=440.0, level=0.5)
        twelve = np.stack([voice, *[np.zeros_like(voice)] * 11], 1)
        assert load_audio(write(tmp_path / "a.wav", twelve, subtype="FLOAT")).warnings == ()

    def test_stereo_at_another_rate(self, tmp_path):
        stereo = np.stack([sine(44_100), np.zeros(44_100, np.float32)], 1)
        recording = load_audio(write(tmp_path / "a.flac", stereo, 44_100, subtype="PCM_24"))
        assert strongest(recording.samples, 16_000)[1] == pytest.approx(0.25, abs=0.01)

    def test_the_samples_may_be_written_to(self, tmp_path):
        samples = load_audio(write(tmp_path / "a.wav", sine())).samples
        samples[0] = 1.0  # torch.from_numpy warns about arrays that cannot be
        assert samples.flags.c_contiguous

    def test_memory_stays_near_the_mono_result(self, tmp_path):
        rng = np.random.default_rng(0)
        path = tmp_path / "long.wav"
        with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as file:
            for _ in range(120):
                file.write(rng.integers(-9000, 9000, (48_000, 2), np.int16))
        tracemalloc.start()
        recording = load_audio(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert recording.seconds == 120.0
        assert peak < recording.samples.nbytes * 1.2 + 16 * 2**20  # read at once: 46 MB as float32 stereo

    def test_a_recording_is_frozen(self, tmp_path):
        recording = load_audio(write(tmp_path / "a.wav", sine()))
        with pytest.raises(AttributeError):
            recording.seconds = 3.0  # type: ignore[misc]
        assert isinstance(recording, Recording)
        assert hash(recording) != hash(load_audio(tmp_path / "a.wav"))

    def test_strings_and_odd_names_are_paths(self, tmp_path):
        path = write(tmp_path / "ein Wort, größer #1.wav", sine())
        assert load_audio(str(path)).seconds == 1.0


class TestWarnings:
    def test_silence(self, tmp_path):
        recording = load_audio(write(tmp_path / "a.wav", np.zeros(16_000, np.float32)))
        assert recording.silent
        assert "silent" in recording.warnings[0]

    @pytest.mark.parametrize(("level", "silent"), [(0.0013, True), (0.0015, False)])
    def test_silence_is_below_minus_60_dbfs(self, tmp_path, level, silent):
        path = write(tmp_path / "a.wav", sine(level=level), subtype="FLOAT")  # RMS is level / sqrt(2)
        assert load_audio(path).silent is silent

    @pytest.mark.parametrize("start", [0, 8_000, 15_900])
    def test_one_word_in_a_long_pause_is_not_silence(self, tmp_path, start):
        samples = np.zeros(16_000 + 50, np.float32)
        samples[start : start + 150] = sine()[:150]
        assert not load_audio(write(tmp_path / "a.wav", samples)).silent

    def test_a_frame_shorter_than_25_ms_counts(self):
        assert not is_silent(sine()[:40], 16_000)
        assert is_silent(0.001 * sine()[:40], 16_000)
        assert not is_silent(0.004 * sine()[:40], 16_000)

    def test_clipping(self, tmp_path):
        clipped = np.clip(sine(level=2.0), -1, 1)
        recording = load_audio(write(tmp_path / "a.wav", clipped))
        assert recording.clipped == pytest.approx(2 / 3, abs=0.02)  # |sin| > 1/2 for two thirds of the time
        assert recording.peak == pytest.approx(1.0, abs=1e-3)
        assert "clipped: 66%" in recording.warnings[0]

    def test_clipping_is_counted_exactly(self):
        meter = LevelMeter()
        runs = [0, 1, 1, 0, -1, -1, -1, 0, 1, 1, 1, 1, 1, 0.9985, 0.9985, 0.9985, 1, 0, 0.999, 0.999]
        meter.add(np.array([runs, [0.0] * 20], np.float32).T)
        assert meter.clipped == 8 / 40
        meter.add(np.array([[1, 0], [1, 0], [1, 0]], np.float32))
        assert meter.clipped == 11 / 46
        meter.add(np.array([[1, 1], [1, 1]], np.float32))
        assert (meter.clipped, meter.frames) == (11 / 50, 25)

    def test_one_clipped_channel_is_seen_though_the_mean_is_not(self, tmp_path):
        stereo = np.stack([np.clip(sine(level=3.0), -1, 1), np.zeros(16_000)], 1)
        recording = load_audio(write(tmp_path / "a.wav", stereo))
        assert recording.clipped > 0.3
        assert np.abs(recording.samples).max() < 0.51

    def test_a_normalised_peak_is_not_clipping(self, tmp_path):
        samples = 0.3 * sine()
        samples[[100, 4000, 4001]] = 1.0
        recording = load_audio(write(tmp_path / "a.wav", samples))
        assert recording.clipped == 0.0
        assert recording.warnings == ()

    def test_very_short(self, tmp_path):
        recording = load_audio(write(tmp_path / "a.wav", sine(seconds=0.05)))
        assert recording.warnings == ("very short: 0.050 s; no word fits into less than 0.1 s",)
        assert load_audio(write(tmp_path / "b.wav", sine(seconds=0.1))).warnings == ()

    def test_all_warnings_at_once(self, tmp_path):
        recording = load_audio(write(tmp_path / "a.wav", np.zeros(10, np.float32)))
        assert len(recording.warnings) == 2

    @pytest.mark.parametrize("subtype", ["OPUS", "VORBIS"])
    @pytest.mark.parametrize("keep", [0.5, 0.9, 0.999])
    def test_a_cut_off_ogg_stream_is_noted(self, tmp_path, subtype, keep):
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, 80_000)  # a sine fits into one Vorbis page
        path = write(tmp_path / "a.ogg", noise, format="OGG", subtype=subtype)
        recording = load_audio(cut(path, keep))
        assert "maybe cut off" in recording.warnings[-1]
        assert 0 < recording.seconds <= 5.0

    def test_an_ogg_stream_without_its_last_page_is_noted(self, tmp_path):
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, 80_000)
        path = write(tmp_path / "a.ogg", noise, format="OGG", subtype="OPUS")
        content = path.read_bytes()
        path.write_bytes(content[: content.rindex(b"OggS")])
        assert "maybe cut off" in load_audio(path).warnings[-1]


class TestErrors:
    @pytest.mark.parametrize("name", [n for n in FORMATS if n not in {"vorbis", "opus"}])
    @pytest.mark.parametrize("keep", [0.5, 0.9])
    def test_cut_off_files(self, tmp_path, name, keep):
        file, options, _ = FORMATS[name]
        path = cut(write(tmp_path / file, sine(seconds=3.0), **options), keep)
        with pytest.raises(AudioError, match=r"cut off.*copy it again"):
            load_audio(path)

    @pytest.mark.parametrize("name", [n for n in FORMATS if n not in {"vorbis", "opus"}])
    def test_nothing_but_a_header(self, tmp_path, name):
        file, options, _ = FORMATS[name]
        path = write(tmp_path / file, sine(seconds=3.0), **options)
        path.write_bytes(path.read_bytes()[:60])
        with pytest.raises(AudioError):
            load_audio(path)

    def test_the_last_sample_is_missing(self, tmp_path):
        path = write(tmp_path / "a.wav", sine())
        path.write_bytes(path.read_bytes()[:-2])
        with pytest.raises(AudioError, match="promises 2 bytes more"):
            load_audio(path)

    @pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFF000, 0x80000000])
    def test_a_wav_from_a_pipe_has_no_length_and_is_whole(self, tmp_path, size):
        path = write(tmp_path / "a.wav", sine())
        content = bytearray(path.read_bytes())
        content[4:8] = content[40:44] = size.to_bytes(4, "little")
        path.write_bytes(content)
        assert load_audio(path).seconds == 1.0

    def test_a_wrong_riff_size_alone_loses_nothing(self, tmp_path):
        path = write(tmp_path / "a.wav", sine())
        content = bytearray(path.read_bytes())
        content[4:8] = len(content).to_bytes(4, "little")  # a common bug: 8 too many
        path.write_bytes(content)
        assert load_audio(path).seconds == 1.0

    def test_lengths_in_the_log_of_libsndfile(self):
        assert missing_bytes("RIFF : 96036 (should be 48014)\ndata : 96000 (should be 47978)\n") == 48_022
        assert missing_bytes("data : 100 (should be 200)\n") == 0
        assert missing_bytes("data : 3000 (should be 200)\n") == 2800
        assert missing_bytes("data : 3000000000 (should be 200)\n") == 3_000_000_000 - 200
        assert missing_bytes("") == 0

    def test_damaged_in_the_middle(self, tmp_path):
        path = write(tmp_path / "a.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 48_000))
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 500] = bytes(500)
        path.write_bytes(content)
        with pytest.raises(AudioError, match="damaged or cut off"):
            load_audio(path)

    @pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3", "a.raw", "a.m4a", "a"])
    @pytest.mark.parametrize("content", [b"these are words, not sounds\n" * 200, bytes(range(256)) * 50, b"x"])
    def test_not_audio(self, tmp_path, name, content):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(AudioError, match=r"not audio.*ffmpeg"):
            load_audio(path)

    @pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
    def test_zero_bytes(self, tmp_path, name):
        (tmp_path / name).touch()
        with pytest.raises(AudioError, match=r"is empty \(0 bytes\)"):
            load_audio(tmp_path / name)

    @pytest.mark.parametrize("suffix", [".wav", ".aiff", ".ogg"])
    def test_zero_samples(self, tmp_path, suffix):
        path = write(tmp_path / f"a{suffix}", np.zeros(0, np.float32))
        with pytest.raises(AudioError, match="holds no sound"):
            load_audio(path)

    def test_an_ogg_stream_cut_off_in_its_first_page(self, tmp_path):
        path = write(tmp_path / "a.ogg", sine(), format="OGG", subtype="VORBIS")
        with pytest.raises(AudioError, match="cut off before its first sound"):
            load_audio(cut(path, 0.9))

    def test_too_few_samples_to_resample(self, tmp_path):
        path = write(tmp_path / "a.wav", np.ones(1, np.float32), 48_000)
        with pytest.raises(AudioError, match=r"holds no sound \(1 samples at 48000 Hz\)"):
            load_audio(path)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("rate", [16_000, 44_100])
    def test_not_numbers(self, tmp_path, bad, rate):
        samples = sine()
        samples[700] = bad
        path = write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
        with pytest.raises(AudioError, match="NaN"):
            load_audio(path)

    def test_integers_in_a_float_file(self, tmp_path):
        path = write(tmp_path / "a.wav", 32_768 * sine(), subtype="FLOAT")
        with pytest.raises(AudioError, match=r"up to 16\d+.*full scale is 1"):
            load_audio(path)

    def test_a_little_above_full_scale_is_kept(self, tmp_path):
        path = write(tmp_path / "a.wav", sine(level=1.5), subtype="FLOAT")
        recording = load_audio(path)
        assert recording.peak == pytest.approx(1.5, abs=1e-3)
        assert recording.samples.max() == pytest.approx(1.5, abs=1e-3)

    @pytest.mark.parametrize("rate", [1, 100, 3_999])
    def test_absurd_sample_rate(self, tmp_path, rate):
        path = write(tmp_path / "a.wav", sine(), rate)
        with pytest.raises(AudioError, match=f"sample rate of {rate} Hz; at least 4000"):
            load_audio(path)

    def test_unknown_length(self, tmp_path):
        path = write(tmp_path / "a.flac", sine())
        content = bytearray(path.read_bytes())
        content[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
        content[22:26] = bytes(4)
        path.write_bytes(content)
        with pytest.raises(AudioError, match=r"does not say how long it is.*ffmpeg"):
            load_audio(path)

    def test_max_seconds(self, tmp_path):
        path = write(tmp_path / "a.wav", sine(8_000, 3.0), 8_000)
        assert load_audio(path, max_seconds=3.0).seconds == 3.0
        with pytest.raises(AudioError, match=r"lasts 3.0 s; at most 2.5 s are allowed"):
            load_audio(path, max_seconds=2.5)

    @pytest.mark.parametrize("name", ["none.wav", "none/none.wav", "x" * 5000, "a\0b.wav"])
    def test_missing(self, tmp_path, name):
        with pytest.raises(AudioError, match="does not exist: check the path"):
            load_audio(tmp_path / name)

    def test_dangling_link(self, tmp_path):
        (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
        with pytest.raises(AudioError, match="does not exist"):
            load_audio(tmp_path / "a.wav")

    def test_folder(self, tmp_path):
        with pytest.raises(AudioError, match="is a folder: give one audio file"):
            load_audio(tmp_path)

    def test_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "a.wav")
        with pytest.raises(AudioError, match="not a regular file"):
            load_audio(tmp_path / "a.wav")

    def test_unreadable(self, tmp_path, monkeypatch):
        path = write(tmp_path / "a.wav", sine())

        def refuse(*_args, **_kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)  # chmod does not stop root
        with pytest.raises(AudioError, match=r"cannot be opened \(Permission denied\)"):
            load_audio(path)

    def test_errors_name_the_file(self, tmp_path):
        with pytest.raises(AudioError, match=r"lost\.wav"):
            load_audio(tmp_path / "lost.wav")


class TestWhatAMacLeaves:
    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("place", ["._{}", ".AppleDouble/{}"])
    def test_a_file_beside_the_recording_does_not_hide_it(self, tmp_path, name, place):
        path, options, _ = FORMATS[name]
        audio = write(tmp_path / path, sine(), **options)
        alone = load_audio(audio)
        fork = tmp_path / place.format(path)
        fork.parent.mkdir(exist_ok=True)
        fork.write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X        " + bytes(4000))
        beside = load_audio(audio)
        assert np.array_equal(beside.samples, alone.samples)

    def test_what_is_no_audio_is_still_refused(self, tmp_path):
        (tmp_path / "a.mp3").write_bytes(b"hello " * 1000)
        (tmp_path / "._a.mp3").write_bytes(b"Mac OS X")
        with pytest.raises(AudioError, match=r"a\.mp3 is not audio"):
            load_audio(tmp_path / "a.mp3")


class TestAudioFiles:
    def test_folder_is_listed_recursively_and_sorted(self, tmp_path):
        names = ["b.wav", "a.FLAC", "sub/c.opus", "sub/deep/d.mp3", "sub/a.ogg", "z.m4a"]
        others = ["notes.txt", ".hidden.wav", "._a.wav", ".cache/e.wav", "sub/.x/f.wav", "m.jsonl", "z.pdf"]
        for name in names + others:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "folder.wav").mkdir()
        assert audio_files(tmp_path) == sorted(tmp_path / name for name in names)
        assert audio_files(str(tmp_path / "sub" / "deep")) == [tmp_path / "sub/deep/d.mp3"]

    def test_a_hidden_folder_may_be_named(self, tmp_path):
        (tmp_path / ".mine").mkdir()
        path = write(tmp_path / ".mine" / "a.wav", sine())
        assert audio_files(tmp_path / ".mine") == [path]

    def test_a_file_is_its_own_list(self, tmp_path):
        (tmp_path / "speech.xyz").touch()
        assert audio_files(tmp_path / "speech.xyz") == [tmp_path / "speech.xyz"]

    @pytest.mark.parametrize("name", ["none", "x" * 5000])
    def test_missing(self, tmp_path, name):
        with pytest.raises(AudioError, match="does not exist"):
            audio_files(tmp_path / name)

    def test_no_audio(self, tmp_path):
        (tmp_path / "a.txt").touch()
        with pytest.raises(AudioError, match=r"holds no audio file: looked for .*\.wav"):
            audio_files(tmp_path)

    def test_what_cannot_be_read_is_found_in_a_folder_and_refused(self, tmp_path):
        (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0")
        (path,) = audio_files(tmp_path)
        with pytest.raises(AudioError, match=r"a\.m4a is not audio in a format that can be read: convert it"):
            load_audio(path)
        write(tmp_path / "a.wav", sine())
        write(tmp_path / "a.flac", sine())
        assert [one.name for one in audio_files(tmp_path)] == ["a.flac", "a.wav"], "what it was converted into"

    def test_every_suffix_can_be_read(self, tmp_path):
        for suffix in AUDIO_SUFFIXES:
            options = {"format": "OGG", "subtype": "OPUS"} if suffix in {".opus", ".oga"} else {}
            options = {"format": "AIFF"} if suffix == ".aif" else options
            write(tmp_path / f"a{suffix}", sine(), **options)
        found = audio_files(tmp_path)
        assert {path.suffix for path in found} == AUDIO_SUFFIXES
        assert all(load_audio(path).seconds == pytest.approx(1.0) for path in found)
