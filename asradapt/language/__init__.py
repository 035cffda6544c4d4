"""Word language models for decoding: compact, ARPA and KenLM files, and their words as a tree over tokens."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from asradapt.errors import InputError
from asradapt.language.arpa import read_arpa
from asradapt.language.base import LanguageModel
from asradapt.language.kenlm_binary import MAGIC as KENLM_MAGIC
from asradapt.language.kenlm_binary import KenlmModel, read_kenlm
from asradapt.language.lexicon import Lexicon, make_lexicon
from asradapt.language.ngram import NgramModel
from asradapt.language.packed import load_packed, save_packed

__all__ = [
    "EMBEDDED_LANGUAGE",
    "KenlmModel",
    "LanguageModel",
    "Lexicon",
    "NgramModel",
    "load_language",
    "make_lexicon",
    "read_arpa",
    "read_kenlm",
    "save_packed",
]

EMBEDDED_LANGUAGE = "lm_en"


def load_language(name: str | Path = EMBEDDED_LANGUAGE) -> LanguageModel:
    """Load a language model by name, or from a compact, an ARPA or a KenLM file.

    Args:
        name: `lm_en`, or a path: .safetensors as `recipes/lm_en` writes it, ARPA text (also .gz), or a KenLM
            binary, which is known by its content.

    Raises:
        InputError: If the file is missing or damaged.
        UsageError: If it is a KenLM binary and the module `kenlm` is not installed.
    """
    if str(name) == EMBEDDED_LANGUAGE:
        return load_packed(Path(str(files("asradapt") / "assets" / f"{EMBEDDED_LANGUAGE}.safetensors")))
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"no language model {str(name)!r}: give {EMBEDDED_LANGUAGE}, an ARPA file (also .gz), a KenLM binary, "
            "or a .safetensors file that recipes/lm_en wrote"
        )
    try:
        with path.open("rb") as file:
            begin = file.read(len(KENLM_MAGIC))
    except OSError as error:
        raise InputError(f"language model {path} cannot be read: {error.strerror}") from error
    if begin == KENLM_MAGIC:
        return read_kenlm(path)
    return load_packed(path) if path.suffix == ".safetensors" else read_arpa(path)
