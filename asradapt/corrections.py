"""What a person changed in transcripts that `transcribe` wrote, as stretches of audio with their true text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from asradapt.enrolment.examples import LONGEST_SECONDS
from asradapt.errors import TextError
from asradapt.scoring import normalize
from asradapt.transcript_files import Piece, Written

_SLACK_SECONDS = 0.05  # times are written in milliseconds, and resampling moves the end


@dataclass(frozen=True)
class Correction:
    """A stretch of audio and what was said in it.

    Attributes:
        start: Seconds from the beginning of the audio.
        end: Seconds.
        recognised: What was heard.
        text: What was said, in the person's words.
        altered: Whether `recognised` is not what was heard any more, and so says nothing.
    """

    start: float
    end: float
    recognised: str
    text: str
    altered: bool = False

    @property
    def edited(self) -> bool:
        """Whether other words stand there than were heard."""
        return self.altered or _differs(self.text, self.recognised)


def corrections(written: Written) -> list[Correction]:
    """Every stretch of a transcript with its text after the person's changes, changed or not.

    Changes stand in the text of segments or in the text of the whole; a whole text is laid beside what was
    heard, word by word, and segments whose border lies in a change become one.

    Raises:
        TextError: If both were changed and differ, or only the list of words was; if times do not fit the audio,
            or a change lies in a stretch that is too long to learn from.
    """
    pieces = written.pieces
    if problems := _wrong_times(written):
        raise TextError("; ".join(problems[:5]))
    own = _differs(written.text, written.recognised)  # not where an editor has replaced words in both
    whole = written.altered or own
    if not any(piece.altered or _differs(piece.text, piece.recognised) for piece in pieces):
        if not whole and written.words is not None and _differs(written.words, written.recognised):
            raise TextError("words were changed, but no text, which is what is read: change `text` instead")
        return _from_whole(written) if whole else [_unchanged(piece) for piece in pieces]
    joined = " ".join(piece.text for piece in pieces)
    if own and _differs(written.text, joined):
        raise TextError(
            "both the whole text and segments were changed, and they differ: change one of the two, in the "
            "transcript as it was written"
        )
    return [_checked(Correction(p.start, p.end, p.recognised, p.text, p.altered)) for p in pieces]


def _differs(text: str, recognised: str) -> bool:
    return normalize(text) != normalize(recognised)


def _unchanged(piece: Piece) -> Correction:
    return Correction(piece.start, piece.end, piece.recognised, piece.recognised)


def _wrong_times(written: Written) -> list[str]:
    problems = [
        f"a segment from {piece.start:g} to {piece.end:g} s lies outside the audio of {written.seconds:g} s"
        for piece in written.pieces
        if not 0 <= piece.start < piece.end <= written.seconds + _SLACK_SECONDS
    ]
    if any(later.start < earlier.start for earlier, later in pairwise(written.pieces)):
        problems.append("the segments are not in the order of time")
    return problems


def _checked(one: Correction) -> Correction:
    """Refuse a change that cannot be learned from because its stretch is too long."""
    if one.edited and one.end - one.start > LONGEST_SECONDS:
        raise TextError(
            f"the change from {one.start:.1f} to {one.end:.1f} s is in a stretch of more than {LONGEST_SECONDS:g} "
            "s: change the text of its segments instead of the whole"
        )
    return one


def _from_whole(written: Written) -> list[Correction]:
    """A changed whole text, shared out among the segments."""
    pieces = written.pieces or (Piece(0.0, written.seconds, "", ""),)
    heard = [word for piece in pieces for word in normalize(piece.recognised).split()]
    said = normalize(written.text).split()
    ends: list[int] = []
    for piece in pieces:
        ends.append((ends[-1] if ends else 0) + len(normalize(piece.recognised).split()))
    cuts = _cuts(heard, said)
    found, first, place = [], 0, 0
    for number, end in enumerate(ends):
        last = number == len(ends) - 1
        if not last and end not in cuts:
            continue  # a change lies across this border: the segments become one
        until = len(said) if last else cuts[end]
        texts = " ".join(piece.recognised for piece in pieces[first : number + 1]).strip()
        one = Correction(pieces[first].start, pieces[number].end, texts, " ".join(said[place:until]))
        found.append(_checked(one))
        first, place = number + 1, until
    return found


def _cuts(heard: Sequence[str], said: Sequence[str]) -> Mapping[int, int]:
    """Places between words, from those heard to those said, where no change touches the place."""
    blocks = SequenceMatcher(None, heard, said, autojunk=False).get_matching_blocks()
    return {block.a + offset: block.b + offset for block in blocks for offset in range(1, block.size)}
