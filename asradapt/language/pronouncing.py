"""How English words sound, as a small network has learned it from a pronouncing dictionary.

Any spelling has a pronunciation, also of names that no dictionary holds. Letters go through a recurrent network
that reads both ways (Rao et al. 2015), two frames a letter, with a CTC output over phones; it comes from
`recipes/pronounce_en`.

Letters: W words, L letters of the longest, D width, P phones and the blank.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from asradapt.errors import InputError

EMBEDDED_PRONUNCIATIONS = "pronounce_en"
LETTERS = "'abcdefghijklmnopqrstuvwxyz"  # number 0 is padding
BOUNDARY = " "
FORMAT = 1
LONGEST = 60  # letters; what is longer is no word
TOGETHER = 128  # words at once
KEPT = 200_000  # pronunciations in memory: a search through hours of speech spells words without end


class PronouncingNetwork(nn.Module):
    """Numbers of letters (W, L) to logits (W, 2 L, P).

    Args:
        phones: How many phones there are, the blank among them.
        width: Width D of the letters.
        hidden: Width of the recurrent layers, each way.
    """

    def __init__(self, phones: int, width: int = 128, hidden: int = 192) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS) + 1, width, padding_idx=0)
        self.place = nn.Parameter(torch.zeros(2, width))
        self.layers = nn.GRU(width, hidden, 2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, phones)

    def forward(self, letters: Tensor, lengths: Tensor) -> Tensor:
        """Logits of words with `lengths` (W,) letters; what is behind a word changes nothing in it."""
        frames = (self.letters(letters)[:, :, None, :] + self.place).flatten(1, 2)
        packed = nn.utils.rnn.pack_padded_sequence(frames, 2 * lengths, batch_first=True, enforce_sorted=False)
        found, _ = nn.utils.rnn.pad_packed_sequence(self.layers(packed)[0], batch_first=True)
        logits: Tensor = self.out(found)
        return logits


def spell_words(words: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Words of `LETTERS` as numbers (W, L), zero behind a word, and their lengths (W,)."""
    lengths = torch.tensor([len(word) for word in words])
    numbers = torch.zeros(len(words), max(map(len, words)), dtype=torch.long)
    for row, word in enumerate(words):
        numbers[row, : len(word)] = torch.tensor([LETTERS.index(letter) + 1 for letter in word])
    return numbers, lengths


class Pronouncer:
    """Words to phones, each word once.

    Args:
        network: The network, on the CPU, where words are few and short.
        phones: Names of its outputs, the blank first.
    """

    def __init__(self, network: PronouncingNetwork, phones: Sequence[str]) -> None:
        self.network, self.phones = network.eval().requires_grad_(False), tuple(phones)
        self._known: dict[str, tuple[str, ...]] = {}

    def pronounce(self, word: str) -> tuple[str, ...]:
        """The phones of a word of a to z and apostrophes; none for anything else, and for apostrophes alone."""
        if not _is_word(word):
            return ()
        known = self._known.get(word)
        return known if known is not None else self.learn([word])[word]

    def learn(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Pronounce words at once, which takes a sixth of the time of one by one; those that are not known yet."""
        if len(self._known) >= KEPT:
            self._known.clear()
        new = sorted({word for word in words if word not in self._known and _is_word(word)})
        found: dict[str, tuple[str, ...]] = {}
        for start in range(0, len(new), TOGETHER):
            part = new[start : start + TOGETHER]
            found |= zip(part, self._say(part), strict=True)
        self._known.update(found)
        return found

    @torch.inference_mode()
    def _say(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """In full precision, also where the caller computes in less: the same phones whatever for."""
        letters, lengths = spell_words(words)
        with torch.autocast("cpu", enabled=False):
            likeliest = self.network(letters, lengths).argmax(-1)
        rows = (row[: 2 * size] for row, size in zip(likeliest, lengths.tolist(), strict=True))
        return [tuple(self.phones[n] for n in torch.unique_consecutive(row).tolist() if n) for row in rows]

    def encode(self, text: str, phones: Sequence[str]) -> list[int]:
        """The numbers that a model's `phones` have in a text, with boundaries between words.

        Apostrophes that stand alone are not heard. Empty where a word has no pronunciation, or the model lacks
        one of its phones.
        """
        found: list[int] = []
        for word in text.split():
            if word.strip("'") == "":
                continue
            said = self.pronounce(word)
            if not said or not set(said) <= set(phones):
                return []
            found += [phones.index(BOUNDARY)] if found else []
            found += map(phones.index, said)
        return found


def _is_word(text: str) -> bool:
    """Whether something can be pronounced: letters, perhaps with apostrophes, and not too many."""
    return set(text) <= set(LETTERS) and text.strip("'") != "" and len(text) <= LONGEST


def save_pronouncer(pronouncer: Pronouncer, path: Path, about: str) -> None:
    """Write the weights in fp16, with the names of the phones and what it was made of in the header."""
    header = {"format": FORMAT, "phones": list(pronouncer.phones), "about": about}
    weights = {name: value.half().contiguous() for name, value in pronouncer.network.state_dict().items()}
    save_file(weights, path, metadata={"pronouncer": json.dumps(header)})


@lru_cache(maxsize=2)
def load_pronouncer(path: Path | None = None) -> Pronouncer:
    """Read a pronouncer, the one that comes with asradapt by default.

    Raises:
        InputError: If the file is missing, damaged or of another format.
    """
    path = path or Path(str(files("asradapt") / "assets" / f"{EMBEDDED_PRONUNCIATIONS}.safetensors"))
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["pronouncer"])
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}, this version reads {FORMAT}")
        if not all(value.isfinite().all() for value in weights.values()):
            raise ValueError("it holds numbers that are none")
        phones = tuple(map(str, header["phones"]))
        width, hidden = weights["letters.weight"].shape[1], weights["layers.weight_hh_l0"].shape[1]
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers are not touched
            network = PronouncingNetwork(len(phones), width, hidden)
        network.load_state_dict(weights, strict=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"pronunciations {path} cannot be used: {str(error)[:300]}") from error
    return Pronouncer(network, phones)
