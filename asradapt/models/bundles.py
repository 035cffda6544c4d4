"""The CTC bundles of torchaudio by name, without importing it: what each is, and where torch keeps its weights."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

BASE = "https://download.pytorch.org/torchaudio/models/"
"""Where torchaudio downloads weights from."""


@dataclass(frozen=True)
class Bundle:
    """A bundle.

    Attributes:
        file: The last part of the address of its weights, and their name in torch's cache.
        summary: What it is.
        licence: Of the weights, as torchaudio states it.
    """

    file: str
    summary: str
    licence: str = "MIT"


def _english(size: str, learned: str, taught: str) -> str:
    return f"wav2vec 2.0 {size}, English, {learned}, taught by {taught} of LibriSpeech"


BUNDLES = {
    **{
        f"WAV2VEC2_ASR_{name}_{hours}": Bundle(
            f"wav2vec2_fairseq_{file}_asr_{part}.pth", _english(size, learned, taught)
        )
        for name, file, size, learned in (
            ("BASE", "base_ls960", "base", "960 hours of LibriSpeech heard"),
            ("LARGE", "large_ls960", "large", "960 hours of LibriSpeech heard"),
            ("LARGE_LV60K", "large_lv60k", "large", "60,000 hours of Libri-Light heard"),
        )
        for hours, part, taught in (
            ("10M", "ll10m", "10 minutes"),
            ("100H", "ls100", "100 hours"),
            ("960H", "ls960", "960 hours"),
        )
    },
    **{
        f"HUBERT_ASR_{size.upper()}": Bundle(
            f"hubert_fairseq_{size}_ll60k_asr_ls960.pth",
            f"HuBERT {size}, English, 60,000 hours of Libri-Light heard, taught by 960 hours of LibriSpeech",
        )
        for size in ("large", "xlarge")
    },
    **{
        f"VOXPOPULI_ASR_BASE_10K_{code.upper()}": Bundle(
            f"wav2vec2_voxpopuli_base_10k_asr_{code}.pt",
            f"wav2vec 2.0 base, {language}, 10,000 hours of VoxPopuli heard, taught by its transcribed part",
            "CC BY-NC 4.0",
        )
        for code, language in (
            ("de", "German"),
            ("en", "English"),
            ("es", "Spanish"),
            ("fr", "French"),
            ("it", "Italian"),
        )
    },
}
"""The bundles that write text; a test compares them with those of the installed torchaudio."""


def checkpoints() -> Path:
    """Torch's folder of downloaded weights."""
    if torch := sys.modules.get("torch"):  # it may have been told another folder
        return Path(torch.hub.get_dir()) / "checkpoints"
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", Path(cache) / "torch")).expanduser() / "hub" / "checkpoints"
