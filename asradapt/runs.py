"""Neighbouring pieces of a recording that are heard each by itself and as one, and which hearing counts.

Features are normalised over what is heard at once, and an encoder looks around in it: a short piece suffers from
being alone, and one with two people's voices from being together. Nothing but hearing both tells which it is.
"""

from __future__ import annotations

from collections.abc import Sequence

Run = range  # numbers of neighbouring pieces


def runs_of(places: Sequence[tuple[float, float]], longest: float, near: float) -> list[Run]:
    """What is heard of a recording: every piece, and every two neighbours with little between them.

    Args:
        places: Begin and length of the pieces in seconds, in the order of time.
        longest: Seconds that are heard at once at most.
        near: Seconds that may lie between two.

    Returns:
        In the order of their first pieces.
    """
    found = []
    for number, (start, length) in enumerate(places):
        found.append(range(number, number + 1))
        if number + 1 < len(places):
            following, more = places[number + 1]
            if following - start - length <= near and length + more <= longest:
                found.append(range(number, number + 2))
    return found


def best_runs(runs: Sequence[Run], worth: Sequence[float]) -> list[int]:
    """The runs that hold every piece once and are worth most together.

    Args:
        runs: As `runs_of` gives them.
        worth: What each is worth; where it is level, pieces stay by themselves.

    Returns:
        Places of the chosen in `runs`, in the order of time.
    """
    most: dict[int, tuple[float, int]] = {0: (0.0, -1)}  # by the number of pieces dealt with: worth, the last run
    for place, (run, value) in enumerate(zip(runs, worth, strict=True)):
        together = most[run.start][0] + value
        if run.stop not in most or together >= most[run.stop][0]:
            most[run.stop] = (together, place)
    chosen, end = [], max(most)
    while end:
        chosen.append(most[end][1])
        end = runs[chosen[-1]].start
    return chosen[::-1]
