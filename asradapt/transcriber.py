"""Transcription of any number of files of any number of speakers, each with its own adaptation.

Files are read in windows of bounded length, long ones are cut in pauses, and segments of all speakers
share the batches. Results come in the order of the inputs.

Letters: B batch, T samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import torch

from asradapt.adaptation.mixed import IDENTITY, Member, MixedBank
from asradapt.batching import length_batches, pad
from asradapt.budget import batch_seconds, in_halves
from asradapt.decoding import Decoder, Heard, joined, letters_expected
from asradapt.enrollees import NOBODY, Enrollees
from asradapt.errors import UsageError
from asradapt.models import require_fp32
from asradapt.models.base import Seq2SeqModel, SourceModel, computed_seconds, encode_all, without_ctc, writes
from asradapt.models.turns import using
from asradapt.pace import Pace, prepare
from asradapt.phrases import Phrases
from asradapt.runs import Run, best_runs, runs_of
from asradapt.store import SpeakerStore
from asradapt.test_time import adapted_outputs
from asradapt.transcript import Loaded, TranscriberOptions, Transcript, Window
from asradapt.types import Utterance
from asradapt.voice import VoiceOptions, everywhere
from asradapt.windows import Sizes, WindowReader

Progress = Callable[[float], None]  # the share that is done


Row = tuple[list[npt.NDArray[np.float32]], Member, Sequence[str]]  # samples, who speaks, that speaker's phrases
Part = tuple[Heard, float]  # what was heard, and how many of its letters are expected to be right


class Transcriber:
    """A source model with a store of speakers.

    Threads may share one, and one model: they take turns where the model hears for one of them. What is stored
    anew is used from the next call on.

    Args:
        model: The source model.
        store: Where adaptations come from; None transcribes everybody with the source model.
        options: Sizes of the work.
        decoder: How logits become words; greedy by default, and of no use for a model that writes itself.

    Raises:
        UsageError: If such a model is to be searched, or every segment is to adapt it to itself, or if tensors are
            of another type than fp32 by default.
    """

    def __init__(
        self,
        model: SourceModel,
        store: SpeakerStore | None = None,
        options: TranscriberOptions | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        require_fp32()
        self.model, self.store, self.options = model, store, options or TranscriberOptions()
        self._bank = MixedBank(model)
        if writes(model):
            self._refuse(model, decoder)
        self.decoder = decoder or Decoder.of(model)
        self.enrollees = Enrollees(model, store, self._bank, listens=bool(self.decoder.options.beams))

    def _refuse(self, model: Seq2SeqModel, decoder: Decoder | None) -> None:
        """Refuse what takes CTC outputs."""
        if self.options.adapt_each:
            raise UsageError(without_ctc(model, "adapting to each segment"))
        if decoder and decoder.options.beams:
            raise UsageError(without_ctc(model, "beam search"))

    @cached_property
    def _seconds(self) -> float:
        found = self.options.batch_seconds or batch_seconds(self.model)
        found = min(found, self.options.adapt_each.batch_seconds) if self.options.adapt_each else found
        pace = Pace.of(self.model)
        return found * pace.slowest if pace else found  # what is slowed down fits as well

    @property
    def _longest(self) -> float:
        """Seconds of a piece at most."""
        asked = self.options.segment_seconds
        return min(asked, self.model.window_seconds) if writes(self.model) else asked

    def member(self, speaker: str) -> Member:
        """The stored adaptation of a speaker; raises as `Enrollees.member`."""
        return self.enrollees.member(speaker)

    def transcribe(
        self,
        utterances: Iterable[Utterance],
        *,
        source_only: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[Window | Transcript]:
        """Transcripts in the order of the inputs, each window's report before its transcripts.

        Inputs are taken ahead of the results, many at a time. Who waits for the result of one before giving the
        next calls this for each; the texts are the same.

        Args:
            utterances: What to transcribe; `speaker` says whose adaptation applies, if enrolled.
            source_only: Ignore all adaptations and vocabularies.
            progress: Called after every batch with the share of the current window that is done.

        Yields:
            For every window of files first the `Window` with its failures and warnings, then a `Transcript`
            for every file that could be read.
        """
        for window in self.windows(utterances, source_only=source_only):
            yield window
            found = self.heard(window.loaded, progress=progress)
            for one, heard in zip(window.loaded, found, strict=True):
                adapted = one.member.method != IDENTITY
                parts = one.segments(heard.words, self.model.sample_rate)
                text, sure = heard.text, heard.confidence
                yield Transcript(one.utterance, text, one.seconds, adapted, heard.words, sure, parts, one.digest)

    def windows(self, utterances: Iterable[Utterance], *, source_only: bool = False) -> Iterator[Window]:
        """Read files in windows of bounded length; what cannot be read is in the window's `failed`."""
        seconds = self.options.window_seconds or max(600.0, 2 * self._seconds)  # two passes of a large device
        detector = None if self.options.detect_voice else everywhere
        sizes = Sizes(self.model.sample_rate, self._longest, seconds)
        reader = WindowReader(sizes, self.enrollees, self.phrases, detector)
        return reader.windows(utterances, source_only=source_only)

    def texts(
        self, loaded: Sequence[Loaded], *, source_only: bool = False, progress: Progress | None = None
    ) -> list[str]:
        """The texts of files that were read, in their order; arguments as for `heard`."""
        return [one.text for one in self.heard(loaded, source_only=source_only, progress=progress)]

    def heard(
        self, loaded: Sequence[Loaded], *, source_only: bool = False, progress: Progress | None = None
    ) -> list[Heard]:
        """The words of files that were read, with times and confidence, in their order.

        Args:
            loaded: The files.
            source_only: Ignore all adaptations.
            progress: Called after every batch with the share of the audio that is done.
        """
        runs = [self._runs(one) for one in loaded]
        rows = [self._row(one, run, source_only) for one, own in zip(loaded, runs, strict=True) for run in own]
        parts = iter(self._hear(rows, progress))
        return [self._whole(one, own, [next(parts) for _ in own]) for one, own in zip(loaded, runs, strict=True)]

    def _runs(self, one: Loaded) -> list[Run]:
        """What of a file is heard at once: its pieces, and neighbours as one where they may be one sentence."""
        # what writes by itself has no letters to judge by, and what adapts to a piece makes itself sure of them
        near = -1.0 if writes(self.model) or self.options.adapt_each else VoiceOptions.near
        return runs_of(one.places(self.model.sample_rate), self._longest, near)

    def _row(self, one: Loaded, run: Run, source_only: bool) -> Row:
        pieces = [one.pieces[number] for number in run]
        return (pieces, NOBODY, ()) if source_only else (pieces, one.member, one.phrases)

    def _hear(self, rows: Sequence[Row], progress: Progress | None) -> list[Part]:
        """What is heard in every row, in batches of like length."""
        lengths = [sum(map(len, pieces)) for pieces, _, _ in rows]
        decode = partial(self._decode, weigh=any(len(pieces) > 1 for pieces, _, _ in rows))
        parts: list[Part] = [(Heard(()), 0.0)] * len(rows)
        done = 0
        for lane in self._lanes([member for _, member, _ in rows]):
            for batch in self._batches([lengths[number] for number in lane]):
                numbers = [lane[place] for place in batch]
                found = in_halves(decode, [rows[number] for number in numbers])
                for number, part in zip(numbers, found, strict=True):
                    parts[number] = part
                    done += lengths[number]
                if progress:
                    progress(done / sum(lengths))
        return parts

    def _whole(self, one: Loaded, runs: Sequence[Run], parts: Sequence[Part]) -> Heard:
        """What is heard in a file: the hearings that are worth most, with their times in it."""
        places = one.places(self.model.sample_rate)
        found = []
        for number in best_runs(runs, [worth for _, worth in parts]):
            own = [places[place] for place in runs[number]]
            found.append(parts[number][0].placed(own, min(one.seconds, sum(own[-1]))))
        return joined(found)

    def phrases(self, speaker: str | None) -> Phrases:
        """What a speaker's vocabulary holds now; nothing for greedy decoding or who is not enrolled."""
        found = self.enrollees.phrases(speaker) if self.decoder.options.beams else Phrases()
        strength = self.options.phrase_strength
        return found if strength is None else Phrases(found, strength)

    def _lanes(self, members: Sequence[Member]) -> Iterator[list[int]]:
        """Numbers of the pieces that may share batches: speakers whose method changes all weights are alone."""
        lanes: dict[Member, list[int]] = {}
        for number, member in enumerate(members):
            lanes.setdefault(member if self._is_alone(member) else NOBODY, []).append(number)
        yield from lanes.values()

    @staticmethod
    def _is_alone(member: Member) -> bool:
        """Whether a speaker's method changes the weights."""
        from asradapt.adaptation import METHODS

        return member.method in METHODS and METHODS[member.method].one_speaker

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        budget = round(self._seconds * self.model.sample_rate)
        whole, most = round(computed_seconds(self.model, 0.0) * self.model.sample_rate), self.options.batch_size
        lengths = [max(length, whole) for length in lengths]
        return length_batches(lengths, budget=budget, most=most, equal=self.model.equal_lengths)

    @torch.inference_mode(mode=False)  # what stays in memory serves callers in any mode
    @torch.no_grad()
    def _decode(self, rows: Sequence[Row], *, weigh: bool) -> list[Part]:
        """What is heard in the rows of one batch, and where hearings compete what each is worth."""
        pieces, speakers, phrases = zip(*rows, strict=True)
        padded, lengths = pad([own[0] if len(own) == 1 else np.concatenate(own) for own in pieces])
        device = self.model.device
        waveforms = torch.from_numpy(padded).to(device)
        counts = torch.tensor(lengths, device=device)
        made = prepare(self.model, waveforms, counts)
        alone = any(self._is_alone(one) for one in speakers)
        with using(self.model.module, alone=alone), self._bank.attach(self.model, speakers) as added:
            if writes(self.model):
                states = self.model.encode(made.features, made.frames)
                return [(one, 0.0) for one in self.model.write(*states)]
            each, search = self.options.adapt_each, self.decoder.with_language
            if each:
                found = adapted_outputs(self.model, made.features, made.frames, each, search=search)
            else:
                found = encode_all(self.model, made.features, made.frames)
        logits, frames, inner = found
        heard = self.decoder(logits, frames, phrases, added, each=each is not None, inner=inner, tempo=made.tempo)
        worth = letters_expected(logits, frames) if weigh else [0.0] * len(heard)
        return list(zip(heard, worth, strict=True))
