"""How log-mel features are computed: the options of the analysis, and those that agree with other tools."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from asradapt.mel import SCALES, TAPERS

FRAMINGS = ("hop", "centre", "inside")


@dataclass(frozen=True)
class FeatureOptions:
    """How log-mel features are computed; stored with a model, so that they always agree.

    The defaults are those of the embedded model; `KALDI` and `LIBROSA` below are those of other tools.

    Attributes:
        sample_rate: Samples per second of the waveforms.
        window: Length of the analysis window in samples (25 ms at 16 kHz).
        hop: Samples from frame to frame (10 ms at 16 kHz).
        fft: Length of the Fourier transform in samples.
        mels: Number M of mel bands.
        low: Lowest frequency in Hz.
        high: Highest frequency in Hz.
        floor: Power below which the logarithm is cut, so that digital silence stays finite.
        scale: Mel scale: `htk`, `slaney` or `kaldi` (HTK with triangles over mel).
        unit_area: Filters of equal area instead of equal height.
        taper: Window shape: `hann`, `hamming` or `povey`.
        framing: Where frame `f` lies: `hop` is centred on sample `(f + 1/2) * hop`, one frame per begun hop;
            `centre` on `f * hop`, as in librosa and torchaudio with zeros beyond the ends; `inside` begins at
            `f * hop` and never reaches beyond the end, as Kaldi with snipped edges.
        remove_mean: Whether every frame loses its mean first, as in Kaldi.
        preemphasis: Share of the previous sample that is taken off within a frame; 0.97 in Kaldi.
    """

    sample_rate: int = 16000
    window: int = 400
    hop: int = 160
    fft: int = 512
    mels: int = 80
    low: float = 20.0
    high: float = 7600.0
    floor: float = 1e-5
    scale: str = "htk"
    unit_area: bool = False
    taper: str = "hann"
    framing: str = "hop"
    remove_mean: bool = False
    preemphasis: float = 0.0

    def __post_init__(self) -> None:
        allowed = (("scale", SCALES), ("taper", TAPERS), ("framing", FRAMINGS))
        numbers = ("sample_rate", "window", "hop", "fft", "mels")
        strange = [name for name in numbers if not isinstance(getattr(self, name), int) or getattr(self, name) < 1]
        if strange:
            got = ", ".join(f"{name} {getattr(self, name)!r}" for name in strange)
            raise ValueError(f"{got}: must be whole and at least 1")
        if self.fft < self.window:
            raise ValueError(f"fft {self.fft} must be at least the window, {self.window}")
        wrong = [(name, known) for name, known in allowed if getattr(self, name) not in known]
        if wrong:
            told = (
                f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}" for name, known in wrong
            )
            raise ValueError("; ".join(told))


LIBROSA = FeatureOptions(fft=400, high=8000.0, scale="slaney", unit_area=True, framing="centre", floor=1e-10)
"""As `librosa.feature.melspectrogram(sr=16000, n_fft=400, hop_length=160, n_mels=80)`, zero-padded; then log."""
KALDI = FeatureOptions(
    high=8000.0,
    scale="kaldi",
    taper="povey",
    framing="inside",
    remove_mean=True,
    preemphasis=0.97,
    floor=float(torch.finfo(torch.float32).eps),
)
"""As Kaldi's `compute-fbank-feats --num-mel-bins=80 --dither=0` on samples in [-1, 1]."""
