from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from asradapt.decoding import Word
from asradapt.formats import FORMATS, clock
from asradapt.subtitles import LEAST, LINE, LONGEST, SHORTEST, cues, lines_of
from asradapt.transcript import Transcript
from asradapt.types import Utterance


def spoken(text: str, *, each: float = 0.3, gap: float = 0.1, begin: float = 0.5) -> tuple[Word, ...]:
    return tuple(
        Word(word, begin + place * (each + gap), begin + place * (each + gap) + each, 0.75)
        for place, word in enumerate(text.split())
    )


def transcript(text: str, **times: float) -> Transcript:
    words = spoken(text, **times)
    seconds = words[-1].end + 0.25 if words else 2.0
    return Transcript(Utterance(Path("a/my talk.wav"), speaker="ann"), text, seconds, True, words, 0.75)


SHORT = transcript("good morning everybody")


def test_subrip():
    assert FORMATS["srt"](SHORT) == "1\n00:00:00,500 --> 00:00:01,600\ngood morning everybody\n"


def test_webvtt():
    assert FORMATS["vtt"](SHORT) == "WEBVTT\n\n00:00:00.500 --> 00:00:01.600\ngood morning everybody\n"


def test_tables_and_ctm():
    assert FORMATS["tsv"](SHORT) == "start\tend\ttext\n500\t1600\tgood morning everybody\n"
    assert FORMATS["ctm"](SHORT).splitlines()[1] == "my_talk 1 0.900 0.300 morning 0.7500"


def test_json_and_text():
    assert FORMATS["txt"](SHORT) == "good morning everybody\n"
    for name in ("json", "jsonl"):
        content = json.loads(FORMATS[name](SHORT))
        assert content["words"][2] == {"word": "everybody", "start": 1.3, "end": 1.6, "confidence": 0.75}
        assert (content["confidence"], content["speaker"]) == (0.75, "ann")
    assert FORMATS["jsonl"](SHORT).count("\n") == 1


@pytest.mark.parametrize("name", FORMATS)
def test_silence_is_written_too(name):
    text = FORMATS[name](transcript(""))
    assert "-->" not in text
    assert text == "" or text.endswith("\n")


def test_the_clock_carries_over():
    assert clock(3599.9996, ",") == "01:00:00,000"
    assert clock(59.9994, ".") == "00:00:59.999"


LONG = transcript("this is a rather long sentence that nobody could read in one go " * 12)


def test_subtitles_are_short_in_lines_and_time_and_hold_every_word_once():
    found = cues(LONG.words, LONG.seconds)
    assert " ".join(line for cue in found for line in cue.lines).split() == LONG.text.split()
    assert all(len(cue.lines) <= 2 and max(map(len, cue.lines)) <= LINE for cue in found)
    assert all(cue.end - cue.start <= LONGEST for cue in found)
    times = [time for cue in found for time in (cue.start, cue.end)]
    assert times == sorted(times)
    assert times[-1] <= LONG.seconds


def test_a_pause_ends_a_subtitle():
    words = spoken("one two") + spoken("three four", begin=5.0)
    assert [cue.lines for cue in cues(words, 9.0)] == [("one two",), ("three four",)]


def test_a_short_word_stands_long_enough_where_there_is_room():
    alone = (Word("yes", 1.0, 1.1, 1.0),)
    assert cues(alone, 9.0)[0].end == pytest.approx(1.0 + SHORTEST)
    assert cues(alone, 1.5)[0].end == pytest.approx(1.5)


def test_two_lines_are_about_equally_long_and_long_words_stay_whole():
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "again", "and", "again"]
    first, second = lines_of(words)
    assert abs(len(first) - len(second)) < 12
    giant = "x" * 60
    assert lines_of([giant]) == (giant,)
    assert giant in lines_of(["a", giant, "b"])


@pytest.mark.parametrize("times", [[2.0] * 3, [0.0, 0.0, 0.0], [8.9, 9.0, 9.0], [1.0, 1.0, 8.9], [9.0] * 3])
def test_words_of_one_time_are_subtitles_that_can_be_seen_and_do_not_overlap(times):
    line = "a line of words that fills a subtitle by itself and goes on until there is no room left"
    words = [Word(word, time, time, 1.0) for time in times for word in line.split()]
    found = cues(words, 9.0)
    assert " ".join(part for cue in found for part in cue.lines) == " ".join(word.text for word in words)
    assert all(cue.end - cue.start >= LEAST - 1e-9 for cue in found)
    assert all(before.end <= after.start + 1e-9 for before, after in pairwise(found))
    assert found[0].start >= 0
    assert found[-1].end <= 9.0


def test_more_subtitles_than_an_audio_has_room_for_share_it():
    words = [Word("x" * 60, 0.1, 0.1, 1.0) for _ in range(20)]  # two a subtitle
    found = cues(words, 1.0)
    assert [cue.end - cue.start for cue in found] == pytest.approx([0.1] * 10)
    assert (found[0].start, found[-1].end) == pytest.approx((0.0, 1.0))
