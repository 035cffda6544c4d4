"""Does the audio say its text? The source model compares the text with other texts of the same manifest.

A model that mishears a person gives their right texts low scores too, so no threshold on the score serves
everybody. But the right text should still fit better than a wrong one: a text is suspect where texts of other
recordings fit its audio as well. That needs no calibration and works for accents and impediments.

Letters: F frames, V tokens, K texts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asradapt.audio import load_audio
from asradapt.batching import length_batches, pad
from asradapt.enrolment.examples import LONGEST_SECONDS
from asradapt.errors import InputError, UsageError
from asradapt.models.base import SourceModel, without_ctc, writes
from asradapt.models.turns import using
from asradapt.pace import prepare
from asradapt.recordings.fits import fit_texts, log_scores, token_index, writable
from asradapt.scoring import normalize
from asradapt.types import Failure, Utterance

OTHERS = 40
"""So many other texts, of the most similar lengths, are tried."""
SUSPECT = 0.05
"""A text is suspect where this share of the other texts fits as well or better."""
LEAST_OTHERS = 12
"""With fewer other texts (digits, a few commands) a misheard word would already be suspect."""
BATCH_SECONDS = 60.0
WINDOW_SECONDS = 600.0
"""So much audio is read at a time; bounds the memory."""

Samples = npt.NDArray[np.float32]


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

    Raises:
        UsageError: If the model has no CTC outputs.
    """
    if writes(model):
        raise UsageError(without_ctc(model, "comparing recordings with their texts"))
    index = token_index(model.tokens)
    texts = sorted({text for one in utterances if (text := writable(one.text, index))})
    failed: list[Failure] = []
    found: dict[int, Match] = {}
    for window in _windows(model, utterances, index, failed):
        for batch, scores in _listened(model, window):
            for place, score in zip(batch, scores, strict=True):
                found[place] = _match(utterances[place], score, texts, index, seed)
            if progress:
                progress(min(1.0, (len(found) + len(failed)) / len(utterances)))
    return [found[place] for place in sorted(found)], failed


def _windows(
    model: SourceModel, utterances: Sequence[Utterance], index: dict[str, int], failed: list[Failure]
) -> Iterator[dict[int, Samples]]:
    """The recordings by number, so many at a time as fit into a window; what cannot be used goes to `failed`."""
    window: dict[int, Samples] = {}
    for place, one in enumerate(utterances):
        try:
            if not writable(one.text, index):
                raise InputError("the model cannot write its text")
            window[place] = load_audio(one.audio, model.sample_rate, max_seconds=LONGEST_SECONDS).samples
        except InputError as error:
            failed.append(Failure(str(one.audio), str(error)))
        if sum(map(len, window.values())) >= WINDOW_SECONDS * model.sample_rate:
            yield window
            window = {}
    if window:
        yield window


@torch.no_grad()
def _listened(model: SourceModel, window: dict[int, Samples]) -> Iterator[tuple[list[int], list[Tensor]]]:
    """Numbers and log probabilities (F, V) of the recordings of a window, a batch at a time."""
    places = list(window)
    budget = round(BATCH_SECONDS * model.sample_rate)
    for batch in length_batches(
        [len(window[place]) for place in places], budget=budget, equal=model.equal_lengths
    ):
        chosen = [places[row] for row in batch]
        padded, lengths = pad([window[place] for place in chosen])
        waveforms = torch.from_numpy(padded).to(model.device)
        made = prepare(model, waveforms, torch.tensor(lengths, device=model.device))
        with using(model.module):
            logits, frames = model.encode(made.features, made.frames)
        yield chosen, log_scores(logits, frames)


def _match(utterance: Utterance, scores: Tensor, texts: Sequence[str], index: dict[str, int], seed: int) -> Match:
    """The own text against others of similar length, on one recording's scores (F, V)."""
    own = normalize(utterance.text or "")
    generator = random.Random(f"{seed}/{own}")
    others = [text for text in texts if text != own]
    nearest = sorted(others, key=lambda text: (abs(len(text) - len(own)), generator.random()))[:OTHERS]
    fits = fit_texts(scores, [own, *nearest], index)
    if not nearest:
        return Match(utterance, 0.0, 0.0, 0)
    share = float((fits[1:] >= fits[0]).float().mean())
    return Match(utterance, share, float(fits[0] - fits[1:].max()), len(nearest))
