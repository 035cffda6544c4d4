"""How often the intervals hold the truth and the tests cry wolf, in simulated experiments with a known truth.

    python tools/simulated_statistics.py [--experiments 1000] [--others | --gated | --touched | --groups]

prints the tables of docs/statistics.md; false alarms are rare, so they are counted in four times as many
experiments (`simulated_experiments.py`). With --others the intervals that asradapt does not use, in 500
experiments; with --gated those over speakers where most people keep the source, with --touched those over
utterances where few of them change, with --groups the rates of one system and the gaps of groups.
"""

from __future__ import annotations

import argparse

from simulated_experiments import (
    World,
    coverage,
    coverage_of_percentiles,
    coverage_of_spread,
    false_alarms,
    gap_alarms,
    intervals,
    rate_coverage,
)

COVERED = (
    (World(3, 50, spread=0.05), True),
    (World(4, 100, spread=0.05), True),
    (World(10, 10), True),
    (World(10, 10, spread=0.05), True),
    (World(20, 10, spread=0.05), True),
    (World(63, 10, spread=0.05), True),
    (World(63, 10), True),
    (World(1, 20, difference=0.0), False),
    (World(1, 41, difference=0.0), False),
    (World(1, 300, difference=0.0), False),
)
GATED = (
    World(20, 10, change=-0.1, kept=0.86),
    World(63, 10, change=-0.1, kept=0.86),
    World(20, 10, change=-0.1, spread=0.05, kept=0.86),
    World(63, 10, change=-0.1, spread=0.05, kept=0.86),
    World(63, 10, change=-0.1, spread=0.05, kept=0.86, uneven=True),
    World(10, 10, spread=0.05, kept=0.5),
    World(20, 10, spread=0.05, kept=0.5),
    World(20, 10, spread=0.05, kept=0.5, uneven=True),
    World(63, 10, spread=0.05, kept=0.5),
    World(63, 10, spread=0.05, kept=0.1),
    World(63, 10, change=0.0, spread=0.05, kept=0.86),
)
TOUCHED = (
    World(1, 20, difference=0.0, touched=0.2),
    World(1, 40, difference=0.0, touched=0.1),
    World(1, 40, difference=0.0, touched=0.2),
    World(1, 100, difference=0.0, touched=0.05),
    World(1, 100, difference=0.0, touched=0.1),
    World(1, 300, difference=0.0, touched=0.02),
    World(1, 300, difference=0.0, touched=0.04),
    World(1, 600, difference=0.0, touched=0.02),
    World(1, 600, difference=0.0, touched=0.05),
)
OTHERS = (World(4, 40, spread=0.05), World(10, 10, spread=0.05), World(20, 10), World(20, 10, spread=0.05))
RATES = (
    World(10, 10),
    World(20, 10),
    World(63, 10),
    World(10, 10, rate=0.1, difference=0.0),
    World(20, 10, rate=0.05, difference=0.0),
    World(10, 10, rate=0.02, difference=0.0),
)
GROUPS = ((World(10, 10), 2), (World(20, 10), 2), (World(20, 10), 4), (World(63, 10), 5))
ALARMS = (
    ("interval over speakers", World(20, 10, change=0.0)),
    ("interval over speakers", World(20, 10, change=0.0, spread=0.05)),
    ("interval over speakers", World(4, 40, change=0.0, spread=0.05)),
    ("interval over utterances", World(1, 40, change=0.0)),
    ("MAPSSWE", World(20, 10, change=0.0, rate=0.3)),
    ("sign flip (one-sided)", World(1, 40, change=0.0)),
    ("McNemar (mid-p)", World(1, 100, change=0.0, words=(1, 1))),
    ("McNemar (mid-p)", World(4, 400, change=0.0, words=(1, 1))),
    ("McNemar (mid-p)", World(1, 30, change=0.0, words=(1, 1))),
    ("McNemar (exact)", World(1, 100, change=0.0, words=(1, 1))),
    ("McNemar (exact)", World(4, 400, change=0.0, words=(1, 1))),
)


def print_groups(experiments: int, seed: int) -> None:
    """Print how far what is said of groups of people is right: rates of one system, and gaps."""
    print("| speakers | utterances each | error rate | people differ by | given | of them hold |")
    print("|--:|--:|--:|--:|--:|--:|")
    for world in RATES:
        held, given = rate_coverage(world, experiments, seed)
        shares = f"{given / experiments:.1%} | {held / max(1, given):.1%}"
        cells = f"{world.speakers} | {world.utterances} | {world.rate:.0%} | {world.difference:.0%} | {shares}"
        print(f"| {cells} |", flush=True)
    print("\n| speakers | groups drawn by lot | have a gap beyond chance at 5% |\n|--:|--:|--:|")
    for world, groups in GROUPS:
        print(
            f"| {world.speakers} | {groups} | {gap_alarms(world, groups, 2 * experiments, seed):.1%} |", flush=True
        )


def print_others(seed: int) -> None:
    """Print the intervals that asradapt does not use beside its own."""
    print("| speakers | utterances each | people's changes differ by | percentiles | drawn twice | asradapt |")
    print("|--:|--:|--:|--:|--:|--:|")
    for world in OTHERS:
        shares = [coverage_of_percentiles(world, 500, seed, doubled=doubled) for doubled in (False, True)]
        shares.append(coverage(world, 500, seed, over_speakers=True))
        cells = " | ".join(f"{share:.1%}" for share in shares)
        print(f"| {world.speakers} | {world.utterances} | {world.spread:.0%} | {cells} |", flush=True)


def print_gated(experiments: int, seed: int) -> None:
    """Print how far intervals over speakers are right where most people keep the source."""
    print(
        "| speakers | utterances each | keep the source | others change by | differing by | given | of them hold |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for world in GATED:
        held, given = intervals(world, experiments, seed, over_speakers=True)
        shares = f"{given / experiments:.1%} | {held / given:.1%}"
        said = f"2 to {2 * world.utterances - 2}" if world.uneven else str(world.utterances)
        cells = f"{world.kept:.0%} | {world.change:+.0%} | {world.spread:.0%} | {shares}"
        print(f"| {world.speakers} | {said} | {cells} |", flush=True)


def print_touched(experiments: int, seed: int) -> None:
    """Print how far intervals over utterances are right where few of them change."""
    print("| utterances | words heard anew in | given | of them hold | by t of all utterances |")
    print("|--:|--:|--:|--:|--:|")
    for world in TOUCHED:
        held, given = intervals(world, experiments, seed, over_speakers=False)
        alone, changed = coverage_of_spread(world, experiments, seed)
        shares = f"{given / experiments:.1%} | {held / given:.1%} | {alone / changed:.1%}"
        print(f"| {world.utterances} | {world.touched:.0%} | {shares} |", flush=True)


def main() -> None:
    """Print both tables in Markdown, or that of the others, or those of intervals where few change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--others", action="store_true", help="always of 500 experiments")
    parser.add_argument("--gated", action="store_true")
    parser.add_argument("--touched", action="store_true")
    parser.add_argument("--groups", action="store_true")
    args = parser.parse_args()
    tables = {"gated": print_gated, "touched": print_touched, "groups": print_groups}
    tables["others"] = lambda _, seed: print_others(seed)
    if wanted := [table for name, table in tables.items() if getattr(args, name)]:
        for table in wanted:
            table(args.experiments, args.seed)
        return
    print(
        "| drawn | speakers | utterances each | people's changes differ by | 95% intervals that hold the truth |"
    )
    print("|---|--:|--:|--:|--:|")
    for world, over_speakers in COVERED:
        share = coverage(world, args.experiments, args.seed, over_speakers=over_speakers)
        drawn = "speakers" if over_speakers else "utterances"
        print(
            f"| {drawn} | {world.speakers} | {world.utterances} | {world.spread:.0%} | {share:.1%} |", flush=True
        )
    print("\n| test at 5% | speakers | utterances each | people's changes differ by | finds a difference |")
    print("|---|--:|--:|--:|--:|")
    for test, world in ALARMS:
        share = false_alarms(world, test, 4 * args.experiments, args.seed)
        print(f"| {test} | {world.speakers} | {world.utterances} | {world.spread:.0%} | {share:.1%} |", flush=True)


if __name__ == "__main__":
    main()
