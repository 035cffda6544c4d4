"""New characters, per speaker: outputs behind those of the model.

Letters: B batch, F frames, D width, V tokens, N new characters, K letters that one is likened to.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from asradapt.adaptation.method import Method, TensorSpec, register
from asradapt.errors import UsageError
from asradapt.models.base import Site, SourceModel
from asradapt.scoring import normalize

MOST = 64  # characters of one speaker
MARGIN = 3.0
"""By so much, in nats, a new character lies below the letter it is likened to; docs/new-tokens.md."""
WITHOUT_PARTS = dict(zip("øłđðßæœıþħŧŋ", "olddsaoithtn", strict=True))
"""Letters that Unicode does not take apart, and what they look or sound like."""


def base_letter(character: str) -> str:
    """The letter without its accents: `e` of `é`, `o` of `ø`; the character itself where it has no parts."""
    return WITHOUT_PARTS.get(character, unicodedata.normalize("NFKD", character)[0])


def character_problems(characters: str) -> list[str]:
    """What is wrong with a list of new characters, in sentences."""
    problems = [f"at most {MOST} new characters, got {len(characters)}"] if len(characters) > MOST else []
    if twice := sorted({one for one in characters if characters.count(one) > 1}):
        problems.append(f"named twice: {' '.join(twice)}")
    for one in dict.fromkeys(characters):
        plain = normalize(one)
        if len(plain) == 1 and plain != one:
            problems.append(f"texts are compared in one form only: write {plain} for {one}")
        elif plain != one and not unicodedata.category(one).startswith("M"):
            problems.append(f"{one!r} is no part of a word: texts are compared without it")
    return problems


@register
@dataclass(frozen=True)
class Tokens(Method):
    """`like - margin + x W / sqrt(D) + b` for each new character, behind the logits of the model.

    Those stay as they are. `like` is the logit of the letter that the character is made of (`e` for `é`), or the
    greatest of all letters where it is made of none. As a new character starts below a letter, nothing that is
    written changes.

    Attributes:
        characters: The N new characters, in the order of their logits.
    """

    name = "tokens"
    summary = "new characters behind those of the model (enroll --add-tokens); joins others, as in lowrank+tokens"
    kinds = frozenset({"output"})
    rate = 1e-1

    characters: str = ""

    def __post_init__(self) -> None:
        if problems := character_problems(self.characters):
            raise ValueError("; ".join(problems))

    @property
    def added(self) -> tuple[str, ...]:
        """The new characters."""
        return tuple(self.characters)

    def sites(self, model: SourceModel) -> list[Site]:
        """The output layer.

        Raises:
            UsageError: If there is no new character, the model can write it already, or writes no characters.
        """
        if not self.characters:
            raise UsageError("method 'tokens' needs the new characters: --add-tokens")
        if known := [one for one in self.characters if one in model.tokens]:
            raise UsageError(f"the model {model.name!r} can write {' '.join(known)} already")
        found = [site for site in super().sites(model) if site.width == len(model.tokens)]
        if found and not any(map(is_letter, model.tokens)):
            raise UsageError(f"the model {model.name!r} writes no single letters, so none can be added")
        return found

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """`weight` (D_in, N) and `bias` (N,), both differences from the start."""
        count = len(self.characters)
        return {"weight": TensorSpec((site.width_in, count)), "bias": TensorSpec((count,))}

    def constants(self, model: SourceModel, site: Site) -> dict[str, Tensor]:
        """`like` (N, K), the columns of the letters that each character is likened to."""
        columns = dict(zip(model.tokens, site.order or range(site.width), strict=True))
        return {"like": torch.tensor(likenesses(self.characters, columns), device=model.device)}

    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Append N logits to `y` (B, F, V)."""
        like = y[..., tensors["like"]].amax(dim=-1)  # (B, F, N)
        # divided, so that a step of the optimiser is one of about the same size for models of every width
        own = (x @ tensors["weight"]) * x.shape[-1] ** -0.5 + tensors["bias"][:, None, :]
        return torch.cat((y, like - MARGIN + own), dim=-1)


def is_letter(token: str) -> bool:
    """Whether a token is one letter."""
    return len(token) == 1 and token.isalpha()


def likenesses(characters: str, columns: Mapping[str, int]) -> list[list[int]]:
    """For each character the K columns of the letters it is likened to, some of them several times."""
    letters = [column for token, column in columns.items() if is_letter(token)]
    own = [[columns[base_letter(one)]] if base_letter(one) in columns else letters for one in characters]
    most = max(map(len, own))
    return [one * most if len(one) == 1 else one for one in own]
