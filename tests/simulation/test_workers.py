"""Processes that end when they are told to, and audio that is whole or not there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asradapt.simulation import workers


def ended(pid):
    try:
        with Path(f"/proc/{pid}/stat").open() as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for(happened):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc")
def test_ctrl_c_ends_the_processes_and_what_they_started(tmp_path):
    pid = tmp_path / "pid"

    def stopped():
        with workers._pool(2) as pool:
            with workers._no_ctrl_c():
                pool.submit(os.system, f"echo $$ > {pid}.new && mv {pid}.new {pid} && exec sleep 300")
                pool.submit(time.sleep, 300)
            wait_for(pid.exists)
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert time.monotonic() - began < 60
    wait_for(lambda: ended(int(pid.read_text())))


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_process_ends_with_the_first_one_and_not_by_the_pool(tmp_path):
    with workers._pool(1) as pool:
        one = pool.submit(os.getpid).result(60)
        os.kill(one, signal.SIGTERM)
        assert pool.submit(os.getpid).result(60) == one
        # programs that it starts can be ended by the signal
        assert pool.submit(os.system, "kill -TERM $$").result(60) == signal.SIGTERM
    wait_for(lambda: ended(one))


def test_audio_that_cannot_be_written_is_told_with_the_reason(tmp_path, monkeypatch):
    path = tmp_path / "audio" / "000000.flac"
    assert workers._write(path, np.zeros(1600, np.float32)) == 0.1
    whole = path.read_bytes()

    def full(part, *_, **__):
        part.write_bytes(b"fLaC")
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(OSError, match=r"cannot write audio to .*000000\.flac .*is the disk full\?") as raised:
        workers._write(path, np.zeros(1600, np.float32))
    assert raised.value.errno is None  # or the command line would tell that alone
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]
