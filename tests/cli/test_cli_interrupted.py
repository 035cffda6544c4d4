"""Ctrl-C, a kill, a full or forbidden disk: what was stored before is as it was."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from importlib import import_module

import pytest
from samples import stored_files, write_rows

from asradapt.store import SpeakerStore

# Functions inside an enrolment that is accepted, in the order in which they are first called.
STEPS = {
    "reading": ("asradapt.enrolment.people", "prepare_examples", 1),
    "training": ("asradapt.enrolment.training", "train_step", 3),
    "looking": ("asradapt.enrolment.selection", "evaluate_pairs", 2),
    "fitting": ("asradapt.enrolment.enroll", "fit_final", 1),
    "writing tensors": ("asradapt.store.versions", "write_synced", 1),
    "writing the record": ("asradapt.store.versions", "write_synced", 2),
    "switching": ("asradapt.store.versions", "replace_file", 1),
}


@pytest.fixture
def fail_at(monkeypatch):
    """Makes a function raise when it is called for the nth time: `fail_at(step, error)`."""

    def arrange(step, error):
        module, name, count = STEPS[step]
        module = import_module(module)
        original, calls = getattr(module, name), []

        def failing(*arguments, **options):
            calls.append(1)
            if len(calls) == count:
                raise error
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, failing)

    return arrange


@pytest.fixture
def enroll_again(asradapt, recordings):
    """Enrols `ann`, who is adapted, for the second time."""
    rows = ("--manifest", recordings / "manifest.jsonl", "--where", "part=enroll", "--method", "affine", "--fresh")
    return lambda *more: asradapt("enroll", "ann", *rows, *more)


def test_without_interruption_there_is_a_second_version(enrolled, enroll_again):
    assert enroll_again().code == 0
    assert SpeakerStore(enrolled).versions("ann") == [1, 2]


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_leaves_the_store_as_it_was(enrolled, enroll_again, fail_at, step):
    before = stored_files(enrolled)
    fail_at(step, KeyboardInterrupt())
    done = enroll_again("--json")
    assert done.code == 130
    assert "interrupted" in done.json["error"]
    assert "interrupted" in done.err
    assert stored_files(enrolled) == before


@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith(("writing", "switching"))])
def test_a_full_disk_is_named_and_leaves_the_store_as_it_was(enrolled, enroll_again, fail_at, step):
    before = stored_files(enrolled)
    fail_at(step, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    done = enroll_again("--json")
    assert done.code == 1
    assert "No space left on device" in done.json["error"]
    assert "cannot save speaker 'ann'" in done.err
    assert stored_files(enrolled) == before


def test_a_full_disk_while_reading_is_named_too(enrolled, enroll_again, fail_at):
    fail_at("reading", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    done = enroll_again()
    assert done.code == 1
    assert "the disk is full" in done.err


def test_a_store_that_cannot_be_written_is_told_before_any_work(asradapt, recordings, tmp_path, fail_at):
    (tmp_path / "file").write_text("not a folder")
    fail_at("reading", AssertionError("the work has begun"))
    inputs = ("enroll", "ann", recordings / "ann0.wav", recordings / "ann1.wav")
    done = asradapt(*inputs, "--store", tmp_path / "file" / "store", "--json")
    assert done.code == 1
    assert "the store cannot be written" in done.json["error"]
    assert str(tmp_path / "file") in done.json["error"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_store_is_told_before_any_work(enrolled, enroll_again, fail_at):
    enrolled.chmod(0o500)
    fail_at("reading", AssertionError("the work has begun"))
    done = enroll_again()
    enrolled.chmod(0o700)
    assert done.code == 1
    assert "Permission denied" in done.err


def wait_until(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_a_killed_enrolment_leaves_whole_speakers_only(asradapt, enrolled, recordings, model_path, tmp_path):
    rows = [json.loads(line) for line in (recordings / "manifest.jsonl").read_text().splitlines()]
    names = [f"p{number}" for number in range(30)]
    crowd = [
        row | {"audio_filepath": str(recordings / row["audio_filepath"]), "speaker": name}
        for name in names
        for row in rows[:12]
    ]
    before, store = stored_files(enrolled), SpeakerStore(enrolled)
    arguments = [
        "--manifest",
        write_rows(tmp_path / "m.jsonl", crowd),
        "--method",
        "affine",
        "--model",
        model_path,
    ]
    command = [sys.executable, "-m", "asradapt", "enroll", "--every-speaker", "--speakers-at-once", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, *map(str, arguments)], env=one_thread, **quiet) as process:
        try:
            wait_until(lambda: len(store.speakers()) >= 4)
        finally:
            process.kill()
    assert process.returncode == -9
    found = store.speakers()
    assert 4 <= len(found) < 32, "the kill came too late to tell anything"
    assert [store.load(name).record.decision for name in found if name.startswith("p")]
    after = stored_files(enrolled)
    assert {name: after.get(name) for name in before} == before
    assert asradapt("speakers", "list").code == 0
    assert asradapt("enroll", "p0", recordings / "ann0.wav").code == 0


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted; the same command with the same --output-dir, without --force"),
        (OSError(errno.ENOSPC, "No space"), 1, "ann1.json cannot be written: No space; 1 file is done, and"),
    ],
)
def test_what_ends_a_transcription_into_files_is_told_on_stderr_alone(
    asradapt, recordings, tmp_path, monkeypatch, error, code, told
):
    from asradapt.cli import transcribe_output

    write, written = transcribe_output.write_whole, []

    def fails(path, text):
        if written:
            raise error
        written.append(path)
        write(path, text)

    monkeypatch.setattr(transcribe_output, "write_whole", fails)
    clips = [recordings / f"ann{number}.wav" for number in range(3)]
    done = asradapt("transcribe", *clips, "--format", "json", "--output-dir", tmp_path / "texts")
    assert done.code == code
    assert done.out == f"{tmp_path / 'texts' / 'ann0.json'}\n"
    assert told in done.err
    assert "goes on with what is missing" in done.err


LOADING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in whatever a script starts with &
def interrupt(name, *_):
    if name == "asradapt.cli.enroll":
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(lambda event, values: interrupt(*values) if event == "import" else None)
from asradapt.__main__ import main
main()
"""


def test_ctrl_c_while_the_commands_are_loaded_is_no_traceback():
    done = subprocess.run([sys.executable, "-c", LOADING, "methods"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


def test_an_interruption_behind_the_json_prints_no_second_object(asradapt, recordings, monkeypatch):
    output = import_module("asradapt.cli.enroll_output")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(output, "report_problems", interrupted)
    done = asradapt("enroll", "ann", recordings / "ann0.wav", recordings / "ann1.wav", "--json")
    assert done.code == 130
    assert [one["speaker"] for one in done.json["speakers"]] == ["ann"]


AROUND = """
import os, signal, sys
import asradapt.cli as cli
step, number = sys.argv[1], int(sys.argv[2])
original = getattr(cli, step)
def interrupted():
    original()
    os.kill(os.getpid(), number)
setattr(cli, step, interrupted)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[1:] = ["methods"]
from asradapt.__main__ import main
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("step", ["_buffer_stdout", "_give_up_stdout", "_readers_ended"])
@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_around_the_work_is_no_traceback(step, number, code):
    command = [sys.executable, "-c", AROUND, step, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["methods", "transcribe -", "speakers list --store /nowhere/at/all"])
def test_closed_streams_are_no_traceback(closed, command):
    line = f"{shlex.quote(sys.executable)} -m asradapt {command} {closed}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode in ((0,) if command == "methods" else (0, 1, 2))


@pytest.mark.slow
def test_ctrl_c_while_files_are_read_ends_in_one_line_every_time(recordings, model_path, tmp_path):
    clips = sorted(recordings.glob("*.wav"))
    rows = [{"audio_filepath": str(clips[number % len(clips)]), "text": str(number)} for number in range(4000)]
    words = ["transcribe", "--manifest", write_rows(tmp_path / "m.jsonl", rows), "--model", model_path]
    command = [sys.executable, "-m", "asradapt", *map(str, words), "--format", "jsonl", "--no-lm"]
    for number in range(12):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            time.sleep(0.1 * number)
            process.send_signal(signal.SIGINT)
            error = process.communicate(timeout=60)[1]
        assert (process.returncode, error.splitlines()[-1]) == (130, "error: interrupted")
        assert "terminate" not in error
        assert "leaked" not in error


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_text_that_stdout_takes_only_in_part_is_an_error(tmp_path, unbuffered):
    """As on a full disk; with PYTHONUNBUFFERED Python itself would write a part and say nothing."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from asradapt.cli import main; sys.argv = ['asradapt', 'prompts', '--count', '300']; main()"
    )
    with (tmp_path / "out.txt").open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=out,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            check=False,
        )
    assert done.returncode == 1, done.stderr
    assert done.stderr.decode().startswith("error: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_threads_that_wait_sleep_soon_unless_somebody_said_otherwise(given, spins):
    """It must stand in the environment before PyTorch is loaded."""
    code = (
        "import os, sys, asradapt.__main__ as main; main.yield_soon();"
        "print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))"
    )
    free = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=free | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", str(spins)]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_to_end_leaves_no_recording_behind(tmp_path, recordings, name):
    number = getattr(signal, name)
    command = [sys.executable, "-m", "asradapt", "transcribe", "-", "--json", "--no-lm"]
    environment = os.environ | {"TMPDIR": str(tmp_path), "ASRADAPT_HOME": str(tmp_path / "home")}
    running = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # the tests may run under nohup
    )
    wait_until(lambda: list(tmp_path.glob("asradapt-*")))  # it reads from stdin until that ends
    running.stdin.write((recordings / "ann0.wav").read_bytes()[:1000])
    running.stdin.flush()
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    assert json.loads(out)["error"] == "interrupted"
    assert b"Traceback" not in err
    assert list(tmp_path.glob("asradapt-*")) == []
