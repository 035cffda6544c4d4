"""The tests of devices on a pretended one, each file in a process of its own: that device stays in a process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pretended
import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(("file", "least"), [("test_gpu.py", 21), ("decoding/test_beam_gpu.py", 2)])
def test_what_is_asked_of_a_gpu_holds_on_a_pretended_one(file, least):
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(HERE / file)]
    environment = os.environ | {"ASRADAPT_TEST_DEVICE": pretended.NAME}
    done = subprocess.run(command, env=environment, cwd=HERE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= least
