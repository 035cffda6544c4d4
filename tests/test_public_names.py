from __future__ import annotations

import subprocess
import sys

import pytest

import asradapt


def test_the_public_names_are_these():
    assert asradapt.__all__ == [
        "EnrolmentOptions",
        "SpeakerStore",
        "Transcriber",
        "Utterance",
        "__version__",
        "enroll",
        "enroll_untranscribed",
        "evaluate",
        "from_samples",
        "load_model",
    ]


def test_every_public_name_is_there_in_a_fresh_interpreter():
    code = (
        "import asradapt; [print(name, getattr(asradapt, name).__class__.__name__) for name in asradapt.__all__]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kinds = dict(line.split() for line in done.stdout.splitlines())
    assert kinds == {
        "EnrolmentOptions": "type",
        "SpeakerStore": "type",
        "Transcriber": "type",
        "Utterance": "type",
        "__version__": "str",
        "enroll": "function",
        "enroll_untranscribed": "function",
        "evaluate": "function",
        "from_samples": "function",
        "load_model": "function",
    }


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'enrol'"):
        asradapt.enrol  # noqa: B018
