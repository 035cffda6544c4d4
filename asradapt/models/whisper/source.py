"""Whisper (Radford et al. 2022, arXiv 2212.04356) as a source model: an encoder of windows, a decoder that writes.

Rows are independent by construction: every recording is brought to a whole window of its own, and the decoder sees
no other row. Speakers may change encoder and decoder; generation is the library's own, greedy.

Letters: B batch, T samples, F frames, M mel bands, D width, U tokens of the longest text, V tokens.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asradapt.decoding.words import Heard
from asradapt.errors import TextError, UnwritableText
from asradapt.models.base import Site, fingerprint, weight_sites
from asradapt.models.frozen import FrozenSource
from asradapt.models.whisper.features import MelWindow, fill_window, silence
from asradapt.models.whisper.network import WhisperNetwork
from asradapt.models.whisper.words import costs_of, entries, split_words, timed_words
from asradapt.scoring import normalize


def _told(weights: str, generation: Mapping[str, str]) -> str:
    """The fingerprint of weights that are told a language and a task: adaptations to others are of no use."""
    if not generation:
        return weights
    return hashlib.sha256(f"{weights}|{sorted(generation.items())}".encode()).hexdigest()


def more_words(tokenizer: Any, end: int) -> frozenset[int]:
    """The tokens behind the end of a text that are words all the same: those that somebody has added."""
    signs = set(tokenizer.all_special_ids)
    added = tokenizer.get_added_vocab().items()
    return frozenset(
        number for token, number in added if number > end and number not in signs and token[:2] != "<|"
    )


class WhisperSource(FrozenSource[WhisperNetwork]):
    """A Whisper model as a `Seq2SeqModel`: frozen, in `eval()` mode, row-independent.

    Args:
        name: What `--model` calls it.
        network: The library's network.
        tokenizer: The library's tokenizer.
        mel: How its features are computed.
        prompt: What the decoder is given before it writes: language, task, no timestamps.
        generation: What is told to the library's `generate`, language and task of the prompt.
        card: What `asradapt models show` says of it.
    """

    def __init__(
        self,
        name: str,
        network: WhisperNetwork,
        tokenizer: Any,
        mel: MelWindow,
        prompt: Sequence[int],
        generation: dict[str, str],
        card: dict[str, Any],
    ) -> None:
        super().__init__(name, network, _told(fingerprint(network), generation))
        self._tokenizer, self._mel, self._prompt = tokenizer, mel, tuple(prompt)
        self._generation, self.card = generation, card
        self._end = int(network.whisper.config.eos_token_id)
        self._more = more_words(tokenizer, self._end)

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return self._mel.sample_rate

    @property
    def tokens(self) -> tuple[str, ...]:
        """Empty: no token belongs to a frame."""
        return ()

    @property
    def frame_seconds(self) -> float:
        """Seconds from state to state of the encoder."""
        return 2 * self._mel.hop / self._mel.sample_rate

    @property
    def window_seconds(self) -> float:
        """Length of a window: 30 s."""
        return self._mel.seconds

    @property
    def prompt(self) -> tuple[int, ...]:
        """What the decoder is given before it writes."""
        return self._prompt

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Where a speaker may change the network."""
        return self._network.sites()

    @cached_property
    def weights(self) -> tuple[Site, ...]:
        """The parameters that a method may change: all but the embeddings, which are the output layer too."""
        names = [name for name, _ in self._network.named_parameters()]
        return weight_sites(self._network, self.sites, [name for name in names if "embed_" in name])

    @property
    def spectral(self) -> bool:
        """True: log-mel bands."""
        return True

    def to(self, device: torch.device | str) -> Self:
        """Move network and filters; the fingerprint does not change."""
        self._mel.to(device)
        return super().to(device)

    def prepare(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, T) to the log-mel frames of the recordings (B, F, M) and their counts (B,)."""
        return self._mel(waveforms, lengths)

    def encode(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F, M) to encoder states (B, W/2, D) and how many of them hold the recording (B,)."""
        level = silence(features, frames)  # of the recording itself, whatever a speaker's adaptation does to it
        window = fill_window(self._network.features(features), frames, level, self._mel.frames)
        dtype = next(self._network.parameters()).dtype
        return self._network.encode(window.to(dtype)), torch.div(frames + 1, 2, rounding_mode="floor")

    def spell(self, text: str | None) -> tuple[str, list[int]]:
        """A text normalised for scoring, and the tokens of the text as it was written, the end last.

        Capitals and punctuation are kept in the tokens: Whisper writes them, and a text without them would teach a
        person's adaptation to leave them out.

        Raises:
            TextError: If it is empty, too long, or holds what cannot be said.
        """
        if text is None or not text.strip():
            raise TextError("the text is empty; write down what is said in the recording")
        if odd := {c for c in text if unicodedata.category(c) in ("So", "Co", "Cn", "Cs")}:
            raise UnwritableText(odd, addable=False)
        normal = normalize(text)
        if not normal:
            raise TextError(f"the text {text!r} holds no word")
        tokens = self._tokenizer(f" {' '.join(text.split())}", add_special_tokens=False).input_ids
        if not all(self._is_word(token) for token in tokens):
            raise TextError(
                f"the text {text!r} holds a sign of the model's own, such as <|endoftext|>; leave it out"
            )
        most = self.most_tokens - 1
        if len(tokens) > most:
            raise TextError(
                f"the text has {len(tokens)} tokens, and the model writes {most} at most; cut it in two"
            )
        return normal, [*tokens, self._end]

    @property
    def most_tokens(self) -> int:
        """Tokens that the decoder can write behind the prompt, the end among them."""
        return int(self._network.whisper.config.max_target_positions) - len(self._prompt)

    def logits(self, states: Tensor, targets: Sequence[Tensor]) -> Tensor:
        """Logits (B, U, V) that the decoder gives for each token of the targets, given those before it."""
        written = [torch.tensor([*self._prompt, *target.tolist()]) for target in targets]
        given = pad_sequence(written, batch_first=True, padding_value=self._end)[:, :-1].to(states.device)
        return self._network.decode(states, given)[:, len(self._prompt) - 1 :]

    def texts(self, states: Tensor) -> list[str]:
        """What every row of encoder states (B, W/2, D) says, in words between single spaces."""
        return [" ".join(self._decode(tokens).split()) for tokens in self._written(states)]

    @torch.no_grad()
    def _written(self, states: Tensor) -> list[list[int]]:
        """The text tokens of every row, by the library's greedy generation."""
        from transformers.modeling_outputs import BaseModelOutput

        sequences = self._network.whisper.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            num_beams=1,
            do_sample=False,
            force_unique_generate_call=True,
            return_timestamps=False,  # whatever the checkpoint's settings say: it was taught and is prompted so
            **self._generation,
        )
        return [self._until_end(row[len(self._prompt) :]) for row in sequences.tolist()]

    def _until_end(self, tokens: list[int]) -> list[int]:
        end = tokens.index(self._end) if self._end in tokens else len(tokens)
        return [token for token in tokens[:end] if self._is_word(token)]

    def _is_word(self, token: int) -> bool:
        return token < self._end or token in self._more

    def _decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    @torch.no_grad()
    def write(self, states: Tensor, counts: Tensor) -> list[Heard]:
        """What every row of encoder states (B, W/2, D) says, with times and confidence of every word."""
        written = self._written(states)
        heads, first = self._network.alignment_heads(), len(self._prompt) - 1
        targets = [torch.tensor([*tokens, self._end]) for tokens in written]
        with self._network.watched(heads) as seen:
            logits = self.logits(states, targets)
        width = int(self._network.whisper.config.median_filter_width)
        found = []
        for row, (tokens, count) in enumerate(zip(written, counts.tolist(), strict=True)):
            words = split_words(tokens, self._decode)
            weights = self._network.looks(seen, heads, row)[:, first : first + len(tokens) + 1, :count]
            sure = (
                logits[row, : len(tokens)].float().softmax(-1).gather(1, targets[row][:-1, None].to(logits.device))
            )
            starts = entries(costs_of(weights, width))
            times = timed_words(words, starts, sure[:, 0].tolist(), self.frame_seconds, count * self.frame_seconds)
            found.append(Heard(times))
        return found
