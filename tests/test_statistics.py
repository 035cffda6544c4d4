"""Tests of significance by hand, against sclite, and in simulated experiments with a known truth."""

from __future__ import annotations

import math
import random
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta
from simulated_experiments import World, coverage, experiment, false_alarms, gap_alarms, rate_coverage
from simulated_statistics import ALARMS, COVERED, GATED, GROUPS, RATES, TOUCHED

from asradapt.errors import UsageError
from asradapt.scoring import ErrorCounts, Step, align, holm, mapsswe, mcnemar, paired_bootstrap, rate_interval
from asradapt.scoring.mapsswe import segment_errors
from asradapt.scoring.partly import effective, product_interval

SCTK = Path("/usr/lib/sctk/bin")  # where Debian's package `sctk` puts sclite and sc_stats
TIMES = "it was the best of times it was the worst of times it was"
FIRST = "its the best of times it is the worst of times or it was"
SECOND = "it was the best times it won the test of times it was"


def words(errors: int, length: int = 10) -> ErrorCounts:
    return ErrorCounts(errors, 0, 0, length, errors, length)


# Bootstrap over speakers


def test_a_speaker_counts_as_one_unit_whatever_they_said():
    before, after = [words(5)] * 12, [words(4)] * 4 + [words(7)] * 4 + [words(4)] * 4
    found = paired_bootstrap(before, after, speakers=["a"] * 4 + ["b"] * 4 + ["c"] * 4)
    assert (found.over, found.difference) == ("speakers", 0.0)
    # Three speakers with -0.1, 0.2 and -0.1: the t interval with two degrees of freedom, mean +- 4.3 * 0.1.
    assert found.high == pytest.approx(4.303 * 0.1, rel=0.05)
    assert found.high > 3 * (paired_bootstrap(before, after).high or 0)


def test_two_speakers_have_no_interval_over_speakers():
    before, after = [words(5)] * 8, [words(4)] * 4 + [words(6)] * 4
    assert paired_bootstrap(before, after, speakers=["a"] * 4 + ["b"] * 4).low is None


def test_one_speaker_has_no_interval_over_speakers():
    found = paired_bootstrap([words(3)] * 9, [words(1)] * 9, speakers=["a"] * 9)
    assert (found.low, found.high, found.probability_better) == (None, None, None)


def test_the_order_of_the_rows_does_not_matter():
    generator = random.Random(0)
    rows = [(words(generator.randrange(9)), words(generator.randrange(9)), f"s{n % 5}") for n in range(40)]
    ordered = paired_bootstrap(*zip(*[(a, b) for a, b, _ in rows], strict=True), speakers=[s for *_, s in rows])
    generator.shuffle(rows)
    assert ordered == paired_bootstrap(
        *zip(*[(a, b) for a, b, _ in rows], strict=True), speakers=[s for *_, s in rows]
    )


def test_the_interval_over_utterances_is_students_for_equal_lengths():
    differences = np.array([-3, -1, 0, 2, -4, -2, 1, -3, -1, 0, -2, -5])
    before = [words(5)] * len(differences)
    after = [words(5 + int(d)) for d in differences]
    found = paired_bootstrap(before, after, samples=20_000)
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    reach = 2.228 * error / 10  # t with 10 degrees of freedom: ten of twelve changed
    assert found.low == pytest.approx(differences.mean() / 10 - reach, rel=0.02)
    assert found.high == pytest.approx(differences.mean() / 10 + reach, rel=0.02, abs=0.002)


def test_a_speaker_for_every_utterance_is_asked_for():
    with pytest.raises(UsageError, match="2 speakers for 3 utterances"):
        paired_bootstrap([words(1)] * 3, [words(1)] * 3, speakers=["a", "b"])


def test_the_rate_of_one_system_is_never_below_zero():
    found = rate_interval([words(0), words(1), words(1)])
    assert found.low == 0.0
    assert found.difference == pytest.approx(2 / 30)
    assert rate_interval([words(2)]).low is None


def test_equal_changes_are_not_certainty_and_neither_is_no_change_at_all():
    people = [f"s{n}" for n in range(8)]
    for who in (None, people):
        found = paired_bootstrap([words(5)] * 8, [words(4)] * 8, speakers=who)
        assert (found.low, found.high) == (None, None)
    same = [words(5)] * 8
    assert (paired_bootstrap(same, same).low, paired_bootstrap(same, same).high) == (None, None)
    # Eight people who keep the source do not tell how others would change who do not.
    assert paired_bootstrap(same, same, speakers=people).low is None


@pytest.mark.parametrize("changed", [0, 1, 2, 3])
def test_utterances_of_which_few_change_are_not_certain(changed):
    before, after = [words(5)] * 100, [words(4)] * changed + [words(5)] * (100 - changed)
    found = paired_bootstrap(before, after)
    assert (found.low is None) == (changed < 2)
    if found.low is not None and found.high is not None:  # all changes are for the better, and yet:
        assert found.low < -changed / 1000 < 0 < found.high


@pytest.mark.parametrize(("changed", "given"), [(0, False), (1, False), (2, True), (5, True), (19, True)])
def test_people_beside_unchanged_ones_have_an_interval_from_two_on(changed, given):
    after = [words(3 - n % 2) for n in range(changed)] + [words(5)] * (20 - changed)
    found = paired_bootstrap([words(5)] * 20, after, speakers=[f"s{n}" for n in range(20)])
    assert (found.low is not None, found.high is not None) == (given, given)
    assert not given or found.low < found.difference < found.high
    alike = paired_bootstrap(
        [words(5)] * 20, [words(3)] * 5 + [words(5)] * 15, speakers=list("abcdefghijklmnopqrst")
    )
    assert alike.low is None


def test_an_interval_of_a_share_and_a_change_has_that_of_each_as_its_limit():
    # A change known without error: Jeffreys' interval of the share (Brown, Cai and DasGupta 2001).
    low, high = product_interval(-0.1, 1e-9, changed=1000, share=3 / 20, people=20, level=0.95)
    assert (low, high) == pytest.approx([-0.1 * end for end in beta.ppf([0.975, 0.025], 3.5, 17.5)], rel=0.01)
    # Nearly everybody of very many changes: Student's interval of the change, with four degrees of freedom.
    low, high = product_interval(-0.1, 0.02, changed=5, share=1 - 1e-9, people=1e9, level=0.95)
    assert (low, high) == pytest.approx((-0.1 - 2.776 * 0.02, -0.1 + 2.776 * 0.02), rel=1e-3)
    up = product_interval(0.1, 0.02, changed=5, share=0.4, people=20, level=0.9)
    down = product_interval(-0.1, 0.02, changed=5, share=0.4, people=20, level=0.9)
    assert up == pytest.approx((-down[1], -down[0]))


def test_unequal_amounts_count_as_fewer_people():
    assert effective(np.array([10, 10, 10, 10])) == pytest.approx(4)
    assert effective(np.array([90, 10, 0])) == pytest.approx(100**2 / (90**2 + 10**2))
    assert effective(np.array([0, 0])) == 0.0


def test_a_person_whose_errors_cancel_out_has_changed():
    before, after = [words(5)] * 8, [words(4), words(6)] * 2 + [words(4)] * 4
    # All four have changed, so this is Student's interval of four.
    found = paired_bootstrap(before, after, speakers=["a", "a", "b", "b", "c", "c", "d", "d"])
    assert found.low is not None


# MAPSSWE


@pytest.mark.parametrize(
    ("said", "first", "second", "expected"),
    [
        (TIMES, FIRST, SECOND, [(2, 0), (0, 1), (1, 2), (1, 0)]),  # Jurafsky and Martin's example
        ("a b c", "a b c", "a b c", []),
        ("a b c", "x b c", "a b c", [(1, 0)]),
        ("a b c d", "x b c y", "a b c d", [(1, 0), (1, 0)]),  # two right words between them separate
        ("a b c", "x b y", "a b c", [(2, 0)]),  # one does not
        ("a b c d", "x b c d", "a b c y", [(1, 0), (0, 1)]),
        ("a b c", "x b c", "a y c", [(1, 1)]),
        ("a b", "a x b", "a b", [(1, 0)]),  # an insertion stands between two words
        ("a b", "x a b y", "a b", [(1, 0), (1, 0)]),
        ("a b c", "", "a b c", [(3, 0)]),
        ("", "x", "", [(1, 0)]),
    ],
)
def test_segments_by_hand(said, first, second, expected):
    assert segment_errors(align(said, first), align(said, second)) == expected


def test_mapsswe_by_hand():
    found = mapsswe([(align(TIMES, FIRST), align(TIMES, SECOND))])
    # Differences 2, -1, -1, 1: mean 1/4, variance (3.0625 + 1.5625 + 1.5625 + 0.5625) / 3 = 2.25.
    assert (found.segments, found.mean, found.deviation) == (4, 0.25, 1.5)
    assert found.statistic == pytest.approx(0.25 / (1.5 / 2))
    # t = 1/3 with 3 degrees of freedom: p = 1 - 2/pi * (arctan(u) + u / (1 + u^2)) with u = t / sqrt(3).
    u = 1 / 3 / math.sqrt(3)
    assert found.p == pytest.approx(1 - 2 / math.pi * (math.atan(u) + u / (1 + u * u)))


def test_mapsswe_is_symmetric_and_sees_what_is_worse():
    pairs = [(align("a b c d e f", "x b c d e f"), align("a b c d e f", "a b c d e f"))] * 30
    pairs += [(align("a b c", "a b c"), align("a b c", "a b x"))] * 10
    there, back = mapsswe(pairs), mapsswe([(b, a) for a, b in pairs])
    assert there.mean > 0 > back.mean
    assert there.p == back.p < 0.01


def test_two_segments_are_no_proof():
    pairs = [(align("a b", "x y"), align("a b", "a b")), (align("a b", "x b"), align("a b", "a b"))]
    # Differences 2 and 1: t = 3 with one degree of freedom, the Cauchy distribution.
    assert mapsswe(pairs).p == pytest.approx(1 - 2 / math.pi * math.atan(3))


@pytest.mark.parametrize(("count", "p"), [(0, None), (1, None), (2, 0.5), (5, 2 / 32), (200, 2.0**-199)])
def test_too_few_segments_give_no_p_and_without_spread_signs_are_flipped(count, p):
    found = mapsswe([(align("a b", "x b"), align("a b", "a b"))] * count)
    assert (found.segments, found.p) == (count, p)


def test_other_references_are_refused():
    with pytest.raises(UsageError, match="'a b' and 'a c'"):
        mapsswe([(align("a b", ""), align("a c", ""))])


# Against sclite, where it is installed (Debian: apt-get install sctk)


def sclite_steps(folder: Path, name: str) -> dict[str, tuple[Step, ...]]:
    """sclite's own alignments, so that only the test is compared."""
    command = [SCTK / "sclite", "-r", folder / "ref.trn", "trn", "-h", folder / f"{name}.trn", "trn", "-i", "rm"]
    subprocess.run([*command, "-o", "sgml", "-O", folder, "-n", name], check=True, capture_output=True)
    text = (folder / f"{name}.sgml").read_text()
    kinds = {"C": "hit", "S": "substitution", "D": "deletion", "I": "insertion"}
    found = {}
    for identity, content in re.findall(r'<PATH id="(.*?)".*?>\n(.*?)\n</PATH>', text):
        steps = [item.split(",") for item in content.split(":") if item]
        found[identity] = tuple(Step(kinds[k], a.strip('"'), b.strip('"')) for k, a, b in steps)
    return found


@pytest.mark.skipif(not shutil.which("sctk"), reason="needs sctk: apt-get install sctk")
@pytest.mark.parametrize("seed", range(6))
def test_mapsswe_is_that_of_sclite(tmp_path, seed):
    generator = random.Random(seed)

    def mishear(text, rate):
        heard = []
        for word in text.split():
            chance = generator.random()
            heard += [] if chance < rate / 3 else [word if chance > rate else "wrong"]
            heard += ["extra"] if generator.random() < rate / 5 else []
        return " ".join(heard)

    said = [" ".join(f"w{generator.randrange(50)}" for _ in range(12)) for _ in range(40)]
    texts = {"ref": said, "one": [mishear(t, 0.3) for t in said], "two": [mishear(t, 0.36) for t in said]}
    for name, lines in texts.items():
        rows = [f"{text} (spk{n % 4}-{n})\n" for n, text in enumerate(lines)]
        (tmp_path / f"{name}.trn").write_text("".join(rows))
    one, two = sclite_steps(tmp_path, "one"), sclite_steps(tmp_path, "two")
    assert len(one) == len(two) == 40
    ours = mapsswe([(one[key], two[key]) for key in one])
    both = "".join((tmp_path / f"{name}.sgml").read_text() for name in ("one", "two"))
    command = [SCTK / "sc_stats", "-p", "-t", "mapsswe", "-u", "-n", "x", "-O", tmp_path]
    subprocess.run(command, input=both.encode(), check=True, capture_output=True)
    printed = (tmp_path / "x.stats.unified").read_text()
    theirs = re.search(r"MP .*?(<?[01]\.\d{3})", printed).group(1)
    # sclite takes the normal distribution, from a table of two digits, and prints three digits of p.
    assert math.erfc(abs(ours.statistic) / math.sqrt(2)) == pytest.approx(float(theirs.strip("<")), abs=0.009)


# McNemar, Holm


@pytest.mark.parametrize(
    ("only_first", "only_second", "p", "exact"),
    [
        (0, 0, 1.0, 1.0),
        (1, 0, 1 / 2, 1.0),
        (5, 0, 1 / 32, 2 / 32),
        (0, 6, 1 / 64, 2 / 64),
        (1, 7, (2 * 1 + 8) / 256, 2 * (1 + 8) / 256),
        (3, 3, 1.0, 1.0),
        (2, 10, (2 * (1 + 12) + 66) / 4096, 2 * (1 + 12 + 66) / 4096),
    ],
)
def test_mcnemar_by_hand(only_first, only_second, p, exact):
    first = [True] * only_first + [False] * only_second + [True, False] * 5
    second = [False] * only_first + [True] * only_second + [True, False] * 5
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (only_first, only_second)
    assert (found.p, found.exact) == pytest.approx((p, exact))
    assert mcnemar(second, first).p == found.p


def test_mcnemar_of_thousands_and_of_different_lengths():
    found = mcnemar([True] * 3000 + [False] * 2800, [False] * 3000 + [True] * 2800)
    assert (found.p, found.exact) == pytest.approx((0.0086, 0.0089), abs=2e-4)
    with pytest.raises(UsageError, match="2 and 1 utterances"):
        mcnemar([True, True], [True])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([0.04], [0.04]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # times 3, 2, 1, and never falling
        ([0.04, None, 0.01], [0.04, None, 0.02]),
        ([0.6, 0.7], [1.0, 1.0]),
    ],
)
def test_holm_by_hand(given, expected):
    assert holm(given) == pytest.approx(expected)


# Simulated experiments: the full tables are printed by tools/simulated_statistics.py


def test_a_simulated_experiment_holds_what_it_says():
    world = World(3, 7, change=-0.1)
    one = experiment(world, np.random.default_rng(0))
    assert len(one.before) == len(one.after) == len(one.speakers) == 21
    assert all(4 <= count.words <= 12 for count in one.before)
    assert [sum(a) for a, _ in one.misheard] == [count.errors for count in one.before]


def test_intervals_hold_the_truth_as_often_as_they_say():
    found = coverage(World(12, 6, spread=0.05), 250, 1, over_speakers=True)
    assert 0.905 <= found <= 0.985  # 95% within 3.2 standard errors


def test_intervals_hold_the_truth_where_most_people_keep_the_source():
    assert 0.90 <= coverage(World(20, 5, change=-0.1, kept=0.7), 250, 1, over_speakers=True) <= 1.0


def test_no_difference_is_found_as_often_as_it_says():
    assert 0.005 <= false_alarms(World(1, 30, change=0.0), "interval over utterances", 250, 1) <= 0.095
    assert 0.005 <= false_alarms(World(10, 6, change=0.0, rate=0.3), "MAPSSWE", 250, 1) <= 0.095


@pytest.mark.slow
@pytest.mark.parametrize(("world", "over_speakers"), COVERED)
def test_coverage_of_a_thousand_experiments(world, over_speakers):
    assert 0.93 <= coverage(world, 1000, 0, over_speakers=over_speakers) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("world", GATED)
def test_coverage_where_people_keep_the_source(world):
    # Where few change, draws with fewer than two of them have no interval, and the others are a little wide. A
    # thousand experiments tell a coverage of 93% to within 1.6 points (two standard errors).
    assert 0.93 - 0.016 <= coverage(world, 1000, 0, over_speakers=True) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("world", TOUCHED)
def test_coverage_where_few_utterances_change(world):
    assert coverage(world, 1000, 0, over_speakers=False) >= 0.93  # whole words make it wide where few change


@pytest.mark.slow
@pytest.mark.parametrize("world", RATES)
def test_coverage_of_the_rate_of_one_system(world):
    held, given = rate_coverage(world, 1000, 0)
    assert 0.93 <= held / given <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(("world", "groups"), GROUPS)
def test_groups_drawn_by_lot_rarely_differ(world, groups):
    assert gap_alarms(world, groups, 2000, 0) <= 0.06  # with few people fewer than 5%: lots are whole, too


@pytest.mark.slow
@pytest.mark.parametrize(("test", "world"), [one for one in ALARMS if "exact" not in one[0]])
def test_false_alarms_of_four_thousand_experiments(test, world):
    assert 0.04 <= false_alarms(world, test, 4000, 0) <= 0.06


@pytest.mark.slow
def test_the_exact_mcnemar_never_finds_too_much():
    world = World(1, 100, change=0.0, words=(1, 1))
    assert 0.015 <= false_alarms(world, "McNemar (exact)", 2000, 0) <= 0.06  # exact: at most 5%, discrete
