"""Log-mel features against librosa, torchaudio, kaldi-native-fbank and Whisper's extractor.

    python tools/bench/features.py [--clips 1000] [--device cpu] [--wall] [--json OUT]

All compute 80 bands at 10 ms of the same clips of 1 to 15 s; ours in padded batches, the others as they are made
to be called, in a loop over clips. A peer that is not installed is named in the notes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from measuring import Table, Work, clips, in_turn, ratio, write

from asradapt.batching import length_batches, pad
from asradapt.features import KALDI, FeatureOptions, log_mel

SPEC = {"sr": 16000, "n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80, "fmin": 20, "fmax": 7600}


def ours(waves: Sequence[np.ndarray], options: FeatureOptions, device: str) -> Work:
    """Batches of 96 s (on a GPU of 2,000 s), padding included."""
    budget = (96 if device == "cpu" else 2000) * 16000
    batches = [pad([waves[i] for i in batch]) for batch in length_batches([len(w) for w in waves], budget=budget)]
    ready = [(torch.from_numpy(padded).to(device), torch.tensor(n, device=device)) for padded, n in batches]

    def work() -> None:
        for padded, lengths in ready:
            log_mel(padded, lengths, options)

    return work


def by_librosa(waves: Sequence[np.ndarray]) -> Work:
    """Librosa in a loop."""
    import librosa

    def work() -> None:
        for wave in waves:
            np.log(np.maximum(librosa.feature.melspectrogram(y=wave, htk=True, norm=None, **SPEC), 1e-5))

    return work


def by_torchaudio(waves: Sequence[np.ndarray], device: str) -> Work:
    """Torchaudio's transform in a loop."""
    from torchaudio.transforms import MelSpectrogram

    transform = MelSpectrogram(16000, 512, 400, 160, 20, 7600, n_mels=80).to(device)
    ready = [torch.from_numpy(wave).to(device) for wave in waves]

    def work() -> None:
        for wave in ready:
            transform(wave).clamp(min=1e-5).log()

    return work


def by_kaldi_native(waves: Sequence[np.ndarray]) -> Work:
    """kaldi-native-fbank in a loop."""
    import kaldi_native_fbank

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = 80

    def work() -> None:
        for wave in waves:
            fbank = kaldi_native_fbank.OnlineFbank(options)
            fbank.accept_waveform(16000, wave)
            fbank.input_finished()
            np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])

    return work


def by_whisper(waves: Sequence[np.ndarray]) -> Work:
    """Transformers' Whisper extractor, without its padding to 30 s."""
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor()

    def work() -> None:
        for wave in waves:
            extractor(wave, sampling_rate=16000, padding=False)

    return work


def main() -> None:
    """Run the rivals in turn and print seconds of audio per second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--wall", action="store_true", help="wall time also on a CPU: for quiet cores")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    waves = clips(args.clips)
    audio = sum(map(len, waves)) / 16000
    makers = {
        "asradapt, batched": lambda: ours(waves, FeatureOptions(), args.device),
        "asradapt, Kaldi's analysis": lambda: ours(waves, KALDI, args.device),
        "librosa, loop": lambda: by_librosa(waves),
        "torchaudio transform, loop": lambda: by_torchaudio(waves, args.device),
        "kaldi-native-fbank, loop": lambda: by_kaldi_native(waves),
        "transformers WhisperFeatureExtractor, loop": lambda: by_whisper(waves),
    }
    table = Table(
        f"Features of {args.clips} clips, {audio / 60:.0f} min", ["", "audio s per s", "times ours takes"]
    )
    rivals: dict[str, Work] = {}
    for name, make in makers.items():
        try:
            rivals[name] = make()
        except ImportError as error:
            table.notes.append(f"{name}: not measured ({error}).")
    wall = args.wall or args.device != "cpu"
    clock = time.perf_counter if wall else time.process_time
    seconds = in_turn(rivals, args.rounds, clock=clock)
    for name, each in seconds.items():
        table.rows.append([name, audio / min(each), ratio(seconds, name, "asradapt, batched")])
    write([table], args.json, "wall" if wall else "processor")


if __name__ == "__main__":
    main()
