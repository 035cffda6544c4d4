"""Word language models for decoding: a compact file, ARPA files, and their words as a tree over tokens."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from asradapt.errors import InputError
from asradapt.language.arpa import read_arpa
from asradapt.language.lexicon import Lexicon, make_lexicon
from asradapt.language.ngram import NgramModel
from asradapt.language.packed import load_packed, save_packed

__all__ = [
    "EMBEDDED_LANGUAGE",
    "Lexicon",
    "NgramModel",
    "load_language",
    "make_lexicon",
    "read_arpa",
    "save_packed",
]

EMBEDDED_LANGUAGE = "lm_en"
_KENLM_MAGIC = b"mmap lm http://kheafield.com/code"


def load_language(name: str | Path = EMBEDDED_LANGUAGE) -> NgramModel:
    """Load a language model by name, or from a compact or an ARPA file.

    Args:
        name: `lm_en`, or a path: .safetensors as `recipes/lm_en` writes it, or ARPA text (also .gz).

    Raises:
        InputError: If the file is missing, damaged, or a KenLM binary.
    """
    if str(name) == EMBEDDED_LANGUAGE:
        return load_packed(Path(str(files("asradapt") / "assets" / f"{EMBEDDED_LANGUAGE}.safetensors")))
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"no language model {str(name)!r}: give {EMBEDDED_LANGUAGE}, an ARPA file (also .gz), or a "
            ".safetensors file that recipes/lm_en wrote"
        )
    with path.open("rb") as file:
        begin = file.read(len(_KENLM_MAGIC))
    if begin == _KENLM_MAGIC:
        raise InputError(
            f"{path} is a KenLM binary; its n-grams cannot be listed. Give the ARPA file that it was built from"
        )
    return load_packed(path) if path.suffix == ".safetensors" else read_arpa(path)
