"""Working ahead in threads: order, bounds, errors, an early end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from asradapt.pipeline import Ahead, reading_threads, stop_all


def taken(ahead):
    return [(item, result()) for item, result in ahead]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 3, 100])
@pytest.mark.parametrize("most", [0.0, 1.0, 1e9])
def test_results_come_in_the_order_of_the_items(threads, count, most):
    def slow(item: int) -> int:
        time.sleep(0.003 if item % 3 == 0 else 0.0)  # later ones are done earlier
        return item * item

    ahead = Ahead(slow, range(30), weight=lambda _: 1.0, most=most, threads=threads, count=count)
    assert taken(ahead) == [(item, item * item) for item in range(30)]


def test_an_error_is_that_of_its_item_alone():
    def fails_at_three(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    good, bad = [], []
    for item, result in Ahead(fails_at_three, range(6), weight=lambda _: 1.0, most=10.0, threads=2):
        try:
            good.append(result())
        except ValueError as error:
            bad.append((item, str(error)))
    assert good == [0, 1, 2, 4, 5]
    assert bad == [(3, "three")]


@pytest.mark.parametrize("threads", [1, 3])
def test_what_waits_stays_within_the_bound(threads):
    lock, made, used, most_waiting = threading.Lock(), 0, 0, 0

    def make(item: int) -> int:
        nonlocal made, most_waiting
        with lock:
            made += 1
            most_waiting = max(most_waiting, made - used)
        return item

    for _, result in Ahead(make, range(60), weight=lambda _: 10.0, most=40.0, threads=threads):
        time.sleep(0.002)
        result()
        with lock:
            used += 1
    # four wait, each thread may have begun one more, and one is being taken
    assert 4 <= most_waiting <= 4 + threads + 1


def test_work_goes_on_while_a_result_is_used():
    begun = threading.Event()

    def make(item: int) -> int:
        if item == 1:
            begun.set()
        return item

    for item, result in Ahead(make, range(2), weight=lambda _: 1.0, most=10.0, threads=1):
        if item == 0:
            result()
            assert begun.wait(5.0), "the second item was not begun before it was asked for"


def test_an_early_end_leaves_no_thread_waiting():
    before = set(threading.enumerate())  # those of an earlier test may still be on their way out
    for _, result in Ahead(lambda item: item, range(1000), weight=lambda _: 1.0, most=2.0, threads=3):
        result()
        break
    deadline = time.monotonic() + 20.0
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


def test_endless_items_are_taken_as_needed():
    pulled = 0

    def items():
        nonlocal pulled
        while True:
            yield pulled
            pulled += 1

    for item, result in Ahead(lambda item: item, items(), weight=lambda _: 1.0, most=5.0, threads=2, count=4):
        assert result() == item
        if item == 10:
            break
    assert pulled <= 10 + 4


def test_the_number_of_reading_threads_is_sensible():
    assert 1 <= reading_threads() <= 8


def test_results_that_nobody_asks_for_do_not_fill_the_bound():
    taken = 0
    for item, result in Ahead(lambda item: item, range(50), weight=lambda _: 1.0, most=3.0, threads=2):
        if item >= 10:  # the first ten are skipped, as those of a speaker who cannot be used
            result()
        taken += 1
    assert taken == 50


def test_an_error_of_the_user_lets_the_program_end():
    """The traceback keeps the iterator alive; the waiting threads must notice the end by themselves."""
    program = """
from asradapt.pipeline import Ahead
found = iter(Ahead(lambda item: item, range(1000), weight=lambda _: 1.0, most=2.0, threads=2))
next(found)
raise RuntimeError("of the user")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "of the user" in done.stderr


def test_threads_are_stopped_and_waited_for_within_a_bound():
    go, busy = threading.Event(), threading.Event()

    def read(item: int) -> int:
        if item:
            busy.set()
            go.wait()
        return item

    found = iter(Ahead(read, range(1000), weight=lambda _: 1.0, most=9.0, threads=2, count=3))
    next(found)
    assert busy.wait(5.0)
    began = time.monotonic()
    assert not stop_all(0.05)
    assert time.monotonic() - began < 2.0
    go.set()
    assert stop_all(10.0)
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


END = """
import sys, threading, time
from asradapt import cli, pipeline
code, seconds = int(sys.argv[1]), float(sys.argv[2])
def read(item):
    time.sleep(seconds if item else 0)
    return item
def run(arguments):
    global held
    held = iter(pipeline.Ahead(read, range(9), weight=lambda _: 1.0, most=9.0, threads=2, count=2))
    next(held)
    print("buffered", end="")
    return code
cli.run = run
def ahead():
    return [one for one in threading.enumerate() if one.name == "ahead"]
pipeline.atexit.register(lambda: print(", alive:", len(ahead())))
cli.main()
"""


@pytest.mark.parametrize("code", [0, 1, 130])
@pytest.mark.parametrize("seconds", [0.3, 60.0])
def test_the_command_ends_behind_its_threads_or_without_them(code, seconds):
    """While a file is read in C++ code the interpreter must not be taken apart; a slow disk holds nothing up."""
    words = [sys.executable, "-c", END, str(code), str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("buffered, alive: ")
    if seconds < 1 and code != 130:
        assert done.stdout.endswith(" 0\n")
