"""Does the audio say its text? The source model compares the text with other texts of the same manifest.

A model that mishears a person gives their right texts low scores too, so no threshold on the score serves
everybody. But the right text should still fit better than a wrong one: a text is suspect where texts of other
recordings fit its audio as well. That needs no calibration and works for accents and impediments.

Letters: F frames, V tokens, K texts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from asradapt.audio import load_audio
from asradapt.batching import length_batches, pad
from asradapt.enrolment.examples import LONGEST_SECONDS
from asradapt.errors import InputError
from asradapt.models.base import SourceModel
from asradapt.scoring import normalize
from asradapt.types import Failure, Utterance

OTHERS = 40
"""So many other texts, of the most similar lengths, are tried."""
SUSPECT = 0.05
"""A text is suspect where this share of the other texts fits as well or better."""
LEAST_OTHERS = 12
"""With fewer other texts (digits, a few commands) a misheard word would already be suspect."""
BATCH_SECONDS = 60.0


@dataclass(frozen=True)
class Match:
    """How well one recording fits its text.

    Attributes:
        utterance: The recording.
        share: Share of the other texts that fit as well or better; 0 for a right text, about 0.5 for a wrong one.
        margin: By how much the text fits better than the best other one, in log probability per character.
        others: How many others were tried.
    """

    utterance: Utterance
    share: float
    margin: float
    others: int

    @property
    def suspect(self) -> bool:
        """Whether audio and text hardly belong together; never where there are too few other texts to tell."""
        return self.others >= LEAST_OTHERS and self.share >= SUSPECT

    def as_dict(self) -> dict[str, object]:
        """The match for `--json` outputs."""
        return {
            "audio": str(self.utterance.audio),
            "share": self.share,
            "margin": self.margin,
            "suspect": self.suspect,
        }


def match_texts(
    model: SourceModel,
    utterances: Sequence[Utterance],
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[list[Match], list[Failure]]:
    """Compares every recording's text with other texts of the list on its audio (CTC, Graves 2006).

    Args:
        model: The source model.
        utterances: Recordings with texts; with fewer than `LEAST_OTHERS` other texts nothing is suspect.
        seed: Seed of the choice among texts of the same length.
        progress: Called with the share that is done.

    Returns:
        A match for every recording that could be used, and what could not.
    """
    index = {token: number for number, token in enumerate(model.tokens)}
    texts = sorted({text for one in utterances if (text := _writable(one.text, index))})
    failed: list[Failure] = []
    usable, waveforms = [], []
    for one in utterances:
        try:
            if not _writable(one.text, index):
                raise InputError("the model cannot write its text")
            waveforms.append(load_audio(one.audio, model.sample_rate, max_seconds=LONGEST_SECONDS).samples)
            usable.append(one)
        except InputError as error:
            failed.append(Failure(str(one.audio), str(error)))
    found: dict[int, Match] = {}
    budget = round(BATCH_SECONDS * model.sample_rate)
    for batch in length_batches([len(waveform) for waveform in waveforms], budget=budget):
        padded, lengths = pad([waveforms[place] for place in batch])
        with torch.no_grad():
            logits, frames = model.forward(
                torch.from_numpy(padded).to(model.device), torch.tensor(lengths, device=model.device)
            )
        scores = functional.log_softmax(logits.float(), dim=-1).cpu()
        for row, place in enumerate(batch):
            found[place] = _match(usable[place], scores[row, : int(frames[row])], texts, index, seed)
        if progress:
            progress(len(found) / len(waveforms))
    return [found[place] for place in range(len(usable))], failed


def _writable(text: str | None, index: dict[str, int]) -> str:
    """The normalised text, empty where the model cannot write it."""
    normal = normalize(text or "")
    return normal if set(normal) <= index.keys() else ""


def _match(utterance: Utterance, scores: Tensor, texts: Sequence[str], index: dict[str, int], seed: int) -> Match:
    """The own text against others of similar length, on one recording's scores (F, V)."""
    own = normalize(utterance.text or "")
    generator = random.Random(f"{seed}/{own}")
    others = [text for text in texts if text != own]
    nearest = sorted(others, key=lambda text: (abs(len(text) - len(own)), generator.random()))[:OTHERS]
    fits = _fits(scores, [own, *nearest], index)
    if not nearest:
        return Match(utterance, 0.0, 0.0, 0)
    share = float((fits[1:] >= fits[0]).float().mean())
    return Match(utterance, share, float(fits[0] - fits[1:].max()), len(nearest))


def _fits(scores: Tensor, texts: Sequence[str], index: dict[str, int]) -> Tensor:
    """Log probability per character (K,) of texts on the scores (F, V) of one recording."""
    targets = [torch.tensor([index[c] for c in text]) for text in texts]
    sizes = torch.tensor([len(target) for target in targets])
    repeated = scores[:, None].expand(-1, len(texts), -1)  # (F, V) -> (F, K, V)
    frames = torch.full((len(texts),), len(scores))
    losses = functional.ctc_loss(repeated, torch.cat(targets), frames, sizes, reduction="none")
    return -losses.nan_to_num(posinf=1e4) / sizes
