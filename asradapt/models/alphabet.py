"""The vocabulary of a foreign CTC model as this project's tokens: the blank first, spaces between words.

Letters: V tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asradapt.errors import InputError

BLANK = "<blank>"
APOSTROPHE, APOSTROPHES = "'", "\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}"


@dataclass(frozen=True)
class Alphabet:
    """The outputs of a CTC model.

    Attributes:
        tokens: The V tokens, the blank first, `" "` the word boundary.
        order: For each of them its number in the model's own order.
    """

    tokens: tuple[str, ...]
    order: tuple[int, ...]

    @property
    def moved(self) -> bool:
        """Whether the model's own order is another one."""
        return self.order != tuple(range(len(self.order)))


def make_alphabet(own: Sequence[str], *, blank: int, boundary: str) -> Alphabet:
    """The alphabet of a model whose outputs are `own`.

    A vocabulary that holds letters of one case only is written in lower case, as all texts here are compared and
    as the language models know them; what it writes differs from the model's own decoder in nothing else.

    Args:
        own: The outputs in the model's order.
        blank: Number of the CTC blank among them.
        boundary: The output that stands between words, such as `|`.

    Raises:
        InputError: If there is no word boundary, or the blank is not among the outputs.
    """
    if not 0 <= blank < len(own):
        raise InputError(f"the vocabulary has {len(own)} tokens, and the blank is said to be number {blank}")
    if boundary not in own:
        raise InputError(
            f"the vocabulary has no word boundary {boundary!r} among its {len(own)} tokens; models that write "
            "phones or syllables without spaces cannot be used"
        )
    own = _with_apostrophe(own)
    letters = [token for token in own if len(token) == len(token.upper()) == 1 and token.lower() != token.upper()]
    lower = bool(letters) and all(token == token.upper() for token in letters)
    order = (blank, *(number for number in range(len(own)) if number != blank))
    return Alphabet((BLANK, *(_shown(own[number], boundary, lower) for number in order[1:])), order)


def _with_apostrophe(own: Sequence[str]) -> list[str]:
    """The outputs with ' for the apostrophe that a vocabulary writes otherwise; so do all texts here."""
    others = [token for token in own if token in APOSTROPHES]
    return (
        [APOSTROPHE if token == others[0] else token for token in own]
        if others and APOSTROPHE not in own
        else [*own]
    )


def _shown(token: str, boundary: str, lower: bool) -> str:
    if token == boundary:
        return " "
    return token.lower() if lower and len(token) == len(token.lower()) == 1 else token
