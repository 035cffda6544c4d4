from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from samples import made

from asradapt.comparison import Comparison, Scored, fairness
from asradapt.curve import Curve, Point, Run
from asradapt.errors import InputError, UsageError
from asradapt.report import ReportOptions, check_report, write_report
from asradapt.scoring import score
from asradapt.types import Failure, Utterance

NASTY = '<script>alert("$x^2$ & more")</script>'
DICTIONARY = "cat  K AE1 T\nbat  B AE1 T\nthe  DH AH0\n"


class Page(HTMLParser):
    """The tags and texts of a page; fails where a tag is not closed in its turn."""

    VOID = frozenset({"meta", "img", "br", "!doctype"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.text += " " if tag in ("td", "th", "li", "p", "b", "tr") else ""

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for number in range(12):
        path = folder / f"u{number}.wav"
        soundfile.write(path, 0.1 * np.sin(np.arange(16_000) * 0.05), 16_000)
        said = f"the cat {number} {NASTY}"
        wrong = "the bat sat on" if number % 2 else f"{said} on"
        heard = [f"the bat {number} {NASTY}", said if number % 3 else wrong]
        utterance = Utterance(path, said, f"s{number % 4}" if number else NASTY, fields={"age": str(number * 5)})
        rows.append(Scored(utterance, tuple(heard), tuple(score(said, text) for text in heard)))
    return Comparison(("source", "new <b>"), tuple(rows), "tiny", (Failure("x<i>.wav", "gone"),), ("look & see",))


def page(comparison, path, **options):
    write_report(comparison, path, ReportOptions(**{"by": ("age",), "command": "asradapt x", **options}))
    return Page(path.read_text(encoding="utf-8"))


def test_everything_is_inside_and_nothing_is_asked_of_the_network(comparison, tmp_path):
    found = page(comparison, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    sources = [a.get("src") or a.get("href") for _, a in found.tags if "src" in a or "href" in a]
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|<script|<link|<iframe", text)
    for image in found.all("img"):
        svg = base64.b64decode(image["src"].split(",")[1]).decode()
        assert not re.search(r'(?:href|src)="(?!#)', svg)


def test_all_text_is_escaped(comparison, tmp_path):
    found = page(comparison, tmp_path / "r.html")
    assert found.all("script") == []
    assert found.all("i") == []
    assert NASTY in found.text
    assert "new <b>" in found.text
    assert "look & see" in found.text


def test_pictures_have_words_and_tables_have_heads(comparison, tmp_path):
    found = page(comparison, tmp_path / "r.html")
    images = found.all("img")
    assert len(images) == 2
    assert all(len(image["alt"]) > 40 for image in images)
    assert "s1" in images[0]["alt"]
    assert all("aria-label" in audio for audio in found.all("audio"))
    assert len(found.all("th")) > 20
    assert found.all("html") == [{"lang": "en"}]
    assert found.all("meta")[1] == {"name": "viewport", "content": "width=device-width, initial-scale=1"}


def test_alignments_say_in_signs_what_they_say_in_colours(comparison, tmp_path):
    words = " ".join(page(comparison, tmp_path / "r.html", audio=False).text.split())
    assert "cat→bat" in words
    assert "+on" in words
    assert re.search(r"−\w+", words)


def test_what_counts_is_said(comparison, tmp_path):
    words = " ".join(page(comparison, tmp_path / "r.html", seed=7).text.split())
    for said in (
        f"{comparison.total(0).wer:.1%}",
        f"{comparison.total(1).wer:.1%}",
        "asradapt-basic-1",
        "Seed 7",
        "asradapt x",
        "x<i>.wav: gone",
        "MAPSSWE p",
        "Gap between the best and the worst group",
    ):
        assert said in words


def test_recordings_play_and_can_be_left_out(comparison, tmp_path):
    with_audio = page(comparison, tmp_path / "a.html")
    assert len(with_audio.all("audio")) == 4  # every utterance with an error by the last system
    clip = base64.b64decode(with_audio.all("audio")[0]["src"].split(",")[1])
    (tmp_path / "clip.mp3").write_bytes(clip)
    samples, rate = soundfile.read(tmp_path / "clip.mp3")
    assert rate == 16_000
    assert len(samples) == pytest.approx(16_000, abs=4_000)
    without = page(comparison, tmp_path / "b.html", audio=False)
    assert without.all("audio") == []
    assert "recordings were left out" in without.text


def test_recordings_stay_within_their_budget(comparison, tmp_path):
    one = len(page(comparison, tmp_path / "a.html", worst=1).all("audio")[0]["src"])
    found = page(comparison, tmp_path / "b.html", audio_bytes=2 * one + 10)
    assert len(found.all("audio")) == 2
    assert found.text.count("the report would become too large") == 2
    short = page(comparison, tmp_path / "c.html", clip_seconds=0.5)
    assert short.all("audio") == []
    assert "at most 0.5 s are allowed" in short.text


def test_the_same_comparison_gives_the_same_pictures(comparison, tmp_path):
    first, second = (page(comparison, tmp_path / f"{n}.html").all("img") for n in "ab")
    assert first == second


def test_sounds_are_confused_too(comparison, tmp_path):
    (tmp_path / "d.dict").write_text(DICTIONARY)
    words = " ".join(page(comparison, tmp_path / "r.html", dictionary=tmp_path / "d.dict").text.split())
    assert "Sounds" in words
    assert "K B" in words  # cat heard as bat


def test_many_people_one_system_and_no_errors_have_pages_too(tmp_path):
    rows = []
    for number in range(60):
        said = "a b c d"
        heard = (said if number % 2 else "a x c d", said)
        rows.append(
            Scored(
                Utterance(tmp_path / f"{number}.wav", said, f"p{number}"),
                heard,
                tuple(score(said, t) for t in heard),
            )
        )
    many = page(Comparison(("one", "two"), tuple(rows)), tmp_path / "m.html", by=())
    assert "30 of 60 speakers better, 30 equal, 0 worse" in many.all("img")[0]["alt"]
    assert many.all("section") == []
    alone = tuple(Scored(r.utterance, r.texts[:1], r.counts[:1]) for r in rows)
    single = page(Comparison(("one",), alone), tmp_path / "s.html", by=())
    assert single.all("img") == []
    assert "one mishears 12.5% of the words" in single.text


def test_groups_tell_their_intervals_in_table_and_words(tmp_path):
    heard = {"f": ("a b c d", "a b x x", "a x c d"), "m": ("x x c d", "a b x x", "a b c x")}
    rows = [
        (f"{group}{n}", {"g": group}, "a b c d", heard[group][n], heard[group][n - 1])
        for group in "fm"
        for n in range(3)
    ]
    both = made(*rows, systems=("old", "new"))
    found = page(both, tmp_path / "two.html", by=("g",))
    before = fairness(both, "g").groups[0].before
    words = " ".join(found.text.split())
    assert f"{before.low:.1%} to {before.high:.1%}" in words
    assert "with old, " in words
    assert f"f: 25% (interval {before.low:.0%} to {before.high:.0%}) with old, 25%" in found.all("img")[1]["alt"]
    assert "f0 0% before, 25% after" in found.all("img")[0]["alt"]
    one = made(*[row[:4] for row in rows], systems=("old",))
    alone = page(one, tmp_path / "one.html", by=("g",))
    assert len(alone.all("img")) == 1
    assert "difference" not in alone.text[: alone.text.index("Method")]
    assert "best and the worst group: 16.7%." in " ".join(alone.text.split())
    assert "to" not in page(made(rows[0], rows[3]), tmp_path / "x.html", by=("g",)).all("img")[1]["alt"].split()


def test_confusions_that_are_left_out_are_counted(tmp_path):
    rows = [("ann", {}, "a b c d e", "x x x d e", "a x x d e")] * 3 + [("bob", {}, "p q", "y y", "p q")]
    words = " ".join(page(made(*rows), tmp_path / "r.html", by=()).text.split())
    assert "Left out: 2 more that changed by one, or by no more than those shown." in words
    assert "Left out" not in page(made(*rows[:3]), tmp_path / "s.html", by=()).text
    many = [("ann", {}, f"a{n}", "x", f"a{n}") for n in range(25)]
    words = " ".join(page(made(*many), tmp_path / "t.html", by=()).text.split())
    assert "Left out: 5 more" in words


def test_a_curve_is_drawn(comparison, tmp_path):
    counts = [score("a b c d", text) for text in ("x y z d", "x y c d", "x b c d")]
    points = tuple(
        Point(float(2**n), (Run(1, 60.0, 1, count), Run(2, 60.0, 0, count)), 0.3 if n == 2 else None)
        for n, count in enumerate(counts)
    )
    curve = Curve(("ann",), score("a b c d", "w x y z"), points, (), (), ())
    write_report(comparison, tmp_path / "r.html", ReportOptions(), curve=curve)
    found = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Source 100.0%; 1 min 75.0%; 2 min 50.0%; 4 min 25.0%" in found.all("img")[0]["alt"]
    assert "30.0%" in found.text


def test_what_cannot_be_written_is_told_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        check_report(tmp_path)
    with pytest.raises(InputError, match="is no folder that can be written"):
        check_report(tmp_path / "no" / "r.html")
    with pytest.raises(UsageError, match="-1"):
        ReportOptions(worst=-1)


@pytest.mark.parametrize("content", ['{"audio_filepath": "a.wav"}\n', "RIFF"])
def test_a_report_replaces_no_other_kind_of_file(tmp_path, content):
    other = tmp_path / "manifest.jsonl"
    other.write_text(content)
    with pytest.raises(UsageError, match="is no HTML file"):
        check_report(other)
    assert other.read_text() == content
    page = tmp_path / "old.html"
    page.write_text("<!doctype html>\n<title>old</title>")
    check_report(page)
