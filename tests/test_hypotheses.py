from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
from pathlib import Path

import pytest

from asradapt.errors import ManifestError
from asradapt.scoring import score
from asradapt.scoring.hypotheses import ctm_lines, read_hypotheses, trn_lines
from asradapt.scoring.markup import best_reading, without_marks

SCLITE = Path("/usr/lib/sctk/bin/sclite")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"id": "u1", "text": "one two"}\n\n{"id": "u2", "text": ""}\n', {"u1": "one two", "u2": ""}),
        ("a.jsonl", '{"audio_filepath": "x/u1.wav", "text": "said", "pred_text": "heard"}', {"x/u1.wav": "heard"}),
        ("a.json", '{"results": [{"audio": "u1.wav", "text": "one"}], "failed": []}', {"u1.wav": "one"}),
        ("a.json", '[{"file": "u1", "hypothesis": "one"}]', {"u1": "one"}),
        ("a.trn", ";; note\none  two (ann-u1)\n(ann-u2)\n", {"ann-u1": "one two", "ann-u2": ""}),
        (
            "a.ctm",
            "u1 1 0.5 0.1 two 0.9\nu1 1 0.1 0.2 one\n;; x\nu2 A 0 1 three",
            {"u1": "one two", "u2": "three"},
        ),
        (
            "a.ctm",
            "u1 A 0 1 one\nu1 A * * <ALT_BEGIN>\nu1 A 2 1 two\nu1 A 3 1 b\nu1 A * * <ALT>\nu1 A 2 0 @\n"
            "u1 A * * <ALT_END>\nu1 A 1 1 three",
            {"u1": "one three { two b / @ }"},
        ),
    ],
)
def test_what_others_write_is_read(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_text(content)
    assert read_hypotheses(path) == expected


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.jsonl",
            '{"id": "u1"}\n{"text": "x"}\nno\n',
            "each of line 1, line 2 needs one of .*; line 3 is not JSON",
        ),
        ("a.trn", "one two\n", "line 1 does not end with the utterance's name"),
        ("a.ctm", "u1 1 x 0.1 two\nu1 1", "each of line 1, line 2 is not: file channel start duration word$"),
        (
            "a.ctm",
            "u1 1 0 1 one\nu1 1 -1 1 x\nu1 1 nan 1 x\nu1 1 0 -5 x\nu1 1 inf 1 x",
            "each of line 2, line 3, line 4, line 5 ",
        ),
        ("a.jsonl", '{"id": "u1", "text": "a"}\n{"id": "u1", "text": "b"}', "line 2 names u1 again"),
        ("a.trn", "\n", "holds no hypothesis"),
        ("a.trn", "one { two / three (u1)\n", "line 1 has a brace without its other one"),
        ("a.ctm", "u1 A * * <ALT_BEGIN>\nu1 A 0 1 two\n", "u1 has <ALT_BEGIN> without <ALT_END>"),
        (
            "a.ctm",
            "u1 A 0 1 two\nu1 B 0 1 three\n",
            "u1 has words of the channels A and B: .* a file name of its own",
        ),
        (
            "a.ctm",
            "u 1 0 1 two\nu A 0 1 three\nv 1 0 1 two\nv A 0 1 three\n",
            "hypotheses: each of u, v has words of the channels 1 and A: [^;]* a file name of its own$",
        ),
    ],
)
def test_what_is_wrong_is_named_all_at_once(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(ManifestError, match=said):
        read_hypotheses(tmp_path / name)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ManifestError, match="does not exist"):
        read_hypotheses(tmp_path / "no.trn")


def test_what_is_written_can_be_read_again(tmp_path):
    texts = {"u 1": "one two", "u(2)": "", "u3": "three"}
    (tmp_path / "a.trn").write_text("\n".join(trn_lines(texts, {"u 1": "an-n", "u3": "bob"})))
    assert read_hypotheses(tmp_path / "a.trn") == {"an_n-u_1": "one two", "nobody-u_2_": "", "bob-u3": "three"}
    (tmp_path / "a.ctm").write_text("\n".join(ctm_lines(texts, {"u3": 2.0, "u 1": 3.0})))
    assert read_hypotheses(tmp_path / "a.ctm") == {"u_1": "one two", "u3": "three"}
    lines = (tmp_path / "a.ctm").read_text().splitlines()
    assert "u_1 1 1.500 1.500 two" in lines
    assert json.dumps(lines[0]).startswith('";;')


@pytest.mark.parametrize(
    ("text", "words", "marks"),
    [
        ("the <sil> cat [noise]", "the cat", ["<sil>", "[noise]"]),
        ("<s>[music playing] cat</s> ++UH++", "cat", ["<s>", "[music playing]", "</s>", "++UH++"]),
        ("(%hesitation) the %uh cat", "the cat", ["(%hesitation)", "%uh"]),
        ("{ %uh / cat }", "{ / cat }", ["%uh"]),
        ("5% of it, 3 < 4 and 5 > 4 (as he said)  a", "5% of it, 3 < 4 and 5 > 4 (as he said)  a", []),
    ],
)
def test_marks_are_no_words(text, words, marks):
    assert without_marks(text) == (words, marks)


READINGS = [  # of "the cat sat on the mat": what was heard, what of it counts, how many choices there were
    ("the { bat / cat } sat { uh / @ } on the mat", "the cat sat on the mat", 2),
    ("the (cat) sat (uh) on the mat", "the cat sat on the mat", 2),
    ("the cat {sit/sat} on the { mad / hat { x / @ } }", "the cat sat on the mad", 2),
    ("the cat { @ / sat { in / on } } the { a b c / Mat }", "the cat sat on the Mat", 2),
    ("a { @ / x y z / w }", "a", 1),
    ("either/or @ the cat", "either/or @ the cat", 0),
]


@pytest.mark.parametrize(("heard", "counts", "choices"), READINGS)
def test_of_alternatives_the_best_counts(heard, counts, choices):
    assert best_reading(heard, "The cat sat on the mat.") == (counts, choices)


def test_no_other_reading_has_fewer_errors():
    generator = random.Random(3)
    for _ in range(200):
        blocks = [
            [" ".join(generator.choices("abc", k=generator.randrange(3))) for _ in range(3)] for _ in range(3)
        ]
        said = " ".join(generator.choices("abc", k=6))
        heard = " a ".join("{ " + " / ".join(block) + " }" for block in blocks)
        fewest = min(score(said, " a ".join(chosen)).errors for chosen in itertools.product(*blocks))
        assert score(said, best_reading(heard, said)[0]).errors == fewest


@pytest.mark.skipif(not SCLITE.exists(), reason="needs sctk: apt-get install sctk")
def test_sclite_counts_alternatives_the_same(tmp_path):
    said = "the cat sat on the mat"
    for heard, *_ in READINGS[:-1]:
        (tmp_path / "ref.trn").write_text(f"{said} (ann-u1)\n")
        (tmp_path / "hyp.trn").write_text(f"{heard} (ann-u1)\n")
        command = [SCLITE, "-r", tmp_path / "ref.trn", "trn", "-h", tmp_path / "hyp.trn", "trn", "-i", "rm", "-D"]
        printed = subprocess.run(
            [*command, "-o", "pra", "stdout"], check=True, capture_output=True, text=True
        ).stdout
        found = re.search(r"Scores: \(#C #S #D #I\) \d+ (\d+) (\d+) (\d+)", printed)
        assert score(said, best_reading(heard, said)[0]).errors == sum(map(int, found.groups())), heard


@pytest.mark.skipif(not SCLITE.exists(), reason="needs sctk: apt-get install sctk")
def test_sclite_counts_the_same_words_and_errors(tmp_path):
    said = {"u1": "the cat sat on the mat", "u2": "hello there", "u3": "go"}
    heard = {"u1": "the bat sat on mat", "u2": "hello there you", "u3": ""}
    speakers = {"u1": "ann", "u2": "bob", "u3": "bob"}
    for name, texts in (("ref", said), ("hyp", heard)):
        (tmp_path / f"{name}.trn").write_text("".join(f"{line}\n" for line in trn_lines(texts, speakers)))
    command = [
        SCLITE,
        "-r",
        tmp_path / "ref.trn",
        "trn",
        "-h",
        tmp_path / "hyp.trn",
        "trn",
        "-i",
        "rm",
        "-o",
        "rsum",
    ]
    printed = subprocess.run([*command, "stdout"], check=True, capture_output=True, text=True).stdout
    table = [[cell.split() for cell in line.split("|")] for line in printed.splitlines()]
    rows = {
        cells[1][0]: [int(n) for n in cells[3][1:4]]
        for cells in table
        if len(cells) > 3 and cells[1] in (["ann"], ["bob"])
    }
    for speaker in ("ann", "bob"):
        counts = [score(said[u], heard[u]) for u in said if speakers[u] == speaker]
        ours = [sum(getattr(c, k) for c in counts) for k in ("substitutions", "deletions", "insertions")]
        assert rows[speaker] == ours


def test_zero_is_a_name(tmp_path):
    path = tmp_path / "numbered.jsonl"
    path.write_text('{"id": 0, "text": "a"}\n{"id": 1, "text": "b"}\n')
    assert read_hypotheses(path) == {"0": "a", "1": "b"}
