"""A stronger text normalisation for scoring English, by name only: numbers, contractions, British spellings.

It is never applied unasked: error rates of different normalisations cannot be compared, so its name, its version
and that of the library that it stands on belong in every report. The only file that imports whisper_normalizer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from asradapt.errors import UnknownName, UsageError
from asradapt.scoring.normalization import NORMALIZER, normalize

LIBRARY = "whisper_normalizer"
ENGLISH = "asradapt-english-1"
NORMALIZERS = {
    NORMALIZER: "letters, digits and apostrophes in lower case; the default",
    ENGLISH: "numbers as digits, contractions written out, American spelling (Radford et al. 2022, appendix C)",
}


@dataclass(frozen=True)
class TextNormalizer:
    """A text normalisation with the name that goes into reports.

    Attributes:
        name: Name and version, with the library's where one is used.
        function: From text to text.
    """

    name: str
    function: Callable[[str], str]

    def __call__(self, text: str) -> str:
        """The normalised text."""
        return self.function(text)


def text_normalizer(name: str = NORMALIZER) -> TextNormalizer:
    """A text normalisation by name.

    Both sides of a comparison go through it once, and then through `score`: `score(n(reference), n(heard))`.

    Args:
        name: One of `NORMALIZERS`.

    Raises:
        UnknownName: If there is none of that name.
        UsageError: If the library that it needs is not installed.
    """
    if name == NORMALIZER:
        return TextNormalizer(NORMALIZER, normalize)
    if name != ENGLISH:
        raise UnknownName("text normaliser", name, NORMALIZERS)
    return _english()


def _english() -> TextNormalizer:
    if find_spec(LIBRARY) is None:
        raise UsageError(f"the text normaliser {ENGLISH} needs whisper-normalizer: pip install 'asradapt[text]'")
    from whisper_normalizer.english import EnglishTextNormalizer

    rules = EnglishTextNormalizer()

    def function(text: str) -> str:
        return normalize(rules(normalize(text)))

    try:
        release = version("whisper-normalizer")
    except PackageNotFoundError:  # on the path without being installed
        release = "unknown"
    return TextNormalizer(f"{ENGLISH}+whisper_normalizer-{release}", function)
