"""The contract of scripts: one JSON object on stdout, nothing else there, and the exit codes."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from types import NoneType

import pytest

from asradapt.cli import cli

COUNTS = {"wer": float, "cer": float, "substitutions": int, "deletions": int, "insertions": int, "words": int}
FAILED = [{"item": str, "reason": str}]
BRIEF = {"speaker": str, "decision": str, "method": str, "version": int, "utterances": int, "seconds": float}
ENROLL = {
    "speakers": [
        {
            "speaker": str,
            "decision": str,
            "method": str,
            "utterances": int,
            "seconds": float,
            "folds": {"before": float, "after": float, "low": (float, NoneType), "high": (float, NoneType)},
            "wall_seconds": float,
        }
    ],
    "failed": FAILED,
}
EVALUATE = {
    "pooled": {
        "before": COUNTS,
        "after": COUNTS,
        "difference": {"wer": float, "low": (float, NoneType), "high": (float, NoneType)},
    },
    "speakers": [{"speaker": str, "method": str, "decision": str, "before": COUNTS, "after": COUNTS}],
    "normalizer": str,
    "model": str,
    "failed": FAILED,
}
TRANSCRIBE = {
    "results": [
        {
            "audio": str,
            "speaker": (str, NoneType),
            "text": str,
            "recognised": str,
            "seconds": float,
            "segments": [{"start": float, "end": float, "text": str, "recognised": str}],
            "sha256": str,
        }
    ],
    "failed": FAILED,
}
VOCABULARY = {"speaker": str, "phrases": [str]}
# Every command: its arguments, and the keys with their types that scripts may rely on.
COMMANDS = {
    "enroll": (("--every-speaker", "--manifest", "mixed.jsonl"), ENROLL),
    "transcribe": (("--manifest", "mixed.jsonl"), TRANSCRIBE),
    "evaluate": (("--manifest", "mixed.jsonl"), EVALUATE),
    "correct": (
        ("ann", "edited.json"),
        {
            "speaker": str,
            "corrected": int,
            "confirmed": int,
            "to_hear": int,
            "message": str,
            "enrolled": ENROLL["speakers"][0],
            "failed": FAILED,
        },
    ),
    "check": (
        ("mixed.jsonl",),
        {
            "summary": {"rows": int, "speakers": int, "minutes": float, "parts": dict, "rates": dict},
            "findings": [{"kind": str, "severity": str, "what": str, "items": [str]}],
            "failed": FAILED,
        },
    ),
    "curve": (
        ("--manifest", "good.jsonl", "--enroll", "take=0", "--test", "take=1", "--minutes", "0.015"),
        {
            "source": COUNTS,
            "speakers": [str],
            "points": [
                {"minutes": float, "wer": float, "forecast": NoneType, "change": dict, "runs": [{"wer": float}]}
            ],
            "failed": FAILED,
        },
    ),
    "vocab add": (("ann", "Kaliningrad"), VOCABULARY),
    "vocab list": (("bob",), VOCABULARY),
    "vocab remove": (("bob", "Zoe"), VOCABULARY),
    "vocab strength": (("bob", "0.75"), {"speaker": str, "strength": float, "own": bool}),
    "vocab tune": (
        ("bob", "--manifest", "good.jsonl", "--beam", "4"),
        {
            "speaker": str,
            "strength": float,
            "own": bool,
            "stored": bool,
            "tried": [{"strength": float, "errors": COUNTS, "said": int, "heard": int, "invented": int}],
            "failed": FAILED,
        },
    ),
    "speakers list": ((), {"speakers": [BRIEF], "failed": FAILED}),
    "speakers show": (
        ("ann",),
        BRIEF
        | {"versions": [int], "folds": dict, "gate": dict, "source": dict, "kept_audio": dict}
        | {"vocabulary": dict},
    ),
    "speakers remove": (("ann", "--yes"), {"removed": str}),
    "speakers rollback": (("ann", "--to", "1"), BRIEF),
    "speakers forget-audio": (
        ("ann", "--yes"),
        {"speaker": str, "forgotten": int},
    ),
    "speakers export": (("ann", "new.zip"), {"speaker": str, "file": str, "bytes": int}),
    "speakers import": (("ann.zip", "--name", "eve"), BRIEF),
    "export": (("ann", "newer.zip"), {"speaker": str, "file": str, "bytes": int}),
    "import": (("ann.zip", "--name", "eva"), BRIEF),
    "speakers migrate": (
        ("ann", "--unjudged", "--model", "other.safetensors"),
        {**BRIEF, "anew": bool, "how": str, "explanation": str, "moved": [str], "dropped": list, "failed": FAILED},
    ),
    "models list": ((), {"models": [{"name": str, "summary": str}]}),
    "models show": (
        ("source_en",),
        {
            "model": str,
            "architecture": str,
            "library": str,
            "tokens": [str],
            "sample_rate": int,
            "frame_seconds": float,
            "parameters": int,
            "fingerprint": str,
            "weights": [{"file": str, "sha256": str}],
            "sites": {"input": int, "feed_forward": int, "output": int},
            "weight_sites": int,
            "methods": [str],
            "equal_lengths": bool,
            "leak": NoneType,
            "card": dict,
        },
    ),
    "models fetch": (
        ("source_en",),
        {"model": str, "files": [{"file": str, "bytes": int, "sha256": str}]},
    ),
    "methods": ((), {"methods": [{"name": str, "summary": str, "one_speaker_a_batch": bool}]}),
    "prompts": (("--count", "3"), {"prompts": [{"id": str, "level": str, "text": str, "phones": [str]}]}),
    "simulate": (  # the list, which every machine has; making speech is tested in test_cli_simulate.py
        ("--list",),
        {
            "engines": [
                {"name": str, "installed": bool, "packages": str, "voices": [{"name": str, "installed": bool}]}
            ],
            "accents": [str],
            "impediments": [{"name": str, "summary": str}],
            "channels": [{"name": str, "summary": str}],
        },
    ),
    "demo": (
        (),
        {
            "enroll": ENROLL["speakers"][0],
            "evaluate": EVALUATE,
            "transcribe": TRANSCRIBE["results"][0],
            "seconds": float,
        },
    ),
}
QUICK = [name for name in COMMANDS if name != "demo"]


def mistakes(value, shape, where="$"):
    """Where a value has not the keys and types of a shape; more keys are allowed, empty lists are not."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{where} is {value!r}, not an object"]
        missing = [f"{where}.{key} is missing" for key in shape.keys() - value.keys()]
        return missing + [m for k, s in shape.items() if k in value for m in mistakes(value[k], s, f"{where}.{k}")]
    if isinstance(shape, list):
        if not isinstance(value, list) or (not value and shape is not FAILED):
            return [f"{where} is {value!r}, not a list with something in it"]
        return [m for number, item in enumerate(value) for m in mistakes(item, shape[0], f"{where}[{number}]")]
    if shape is float and type(value) is int:
        return []
    right = isinstance(value, shape) and not (isinstance(value, bool) and shape is not bool)
    return [] if right else [f"{where} is {value!r}, not {shape}"]


@pytest.fixture
def workplace(tmp_path, monkeypatch, asradapt, recordings, enrolled, manifest, other_path):
    """A working folder with an exported speaker, another model, and a manifest with good rows and a bad one."""
    monkeypatch.chdir(tmp_path)
    for path in (other_path, other_path.with_suffix(".json")):
        shutil.copy(path, tmp_path)
    asradapt("speakers", "export", "ann", "ann.zip")
    asradapt("vocab", "add", "bob", "Kaliningrad", "Zoe", "one")
    rows = [
        {
            "audio_filepath": str(recordings / f"{name}{number}.wav"),
            "text": "one two",
            "speaker": name,
            "duration": 1.0,
            "take": number,
        }
        for name in ("ann", "bob")
        for number in range(2)
    ]
    manifest(*rows, name="good.jsonl")
    manifest(*rows, {"audio_filepath": "no.wav", "text": "three", "speaker": "ann"}, name="mixed.jsonl")
    heard = asradapt("transcribe", "--manifest", "good.jsonl", "--format", "json").json
    for entry in heard["results"]:
        entry["text"] = f"{entry['text']} a".strip()
    heard["results"] = [entry for entry in heard["results"] if entry["speaker"] == "ann"]
    (tmp_path / "edited.json").write_text(json.dumps(heard))
    return tmp_path


def test_the_list_of_commands_here_is_complete():
    found = []
    for name, command in cli.commands.items():
        found += [f"{name} {sub}" for sub in getattr(command, "commands", {})] or [name]
    assert sorted(found) == sorted(COMMANDS)


@pytest.mark.parametrize("name", QUICK)
def test_json_prints_one_object_with_the_promised_keys(asradapt, workplace, name):
    arguments, shape = COMMANDS[name]
    done = asradapt(*name.split(), *arguments, "--json")
    assert done.out.count("\n{") == 0
    assert mistakes(done.json, shape) == []
    assert done.code == (1 if "mixed.jsonl" in arguments else 0)
    if done.code:
        assert list(done.failed) == ["no.wav"]


@pytest.mark.parametrize("name", ["enroll", "transcribe", "evaluate"])
def test_without_failures_the_exit_code_is_0(asradapt, workplace, name):
    arguments = ["good.jsonl" if word == "mixed.jsonl" else word for word in COMMANDS[name][0]]
    done = asradapt(name, *arguments, "--json")
    assert (done.code, done.json["failed"]) == (0, [])


def test_the_demo_shows_all_there_is(asradapt, home):
    done = asradapt("demo", "--json")
    assert done.code == 0
    assert mistakes(done.json, COMMANDS["demo"][1]) == []
    assert done.json["evaluate"]["speakers"][0]["speaker"] == done.json["enroll"]["speaker"]
    assert "Enrolling" in done.err
    assert not home.exists(), "the demo must leave the user's own store alone"


@pytest.mark.slow
@pytest.mark.skipif(
    not (files("asradapt") / "assets" / "source_en.safetensors").is_file(), reason="no embedded model"
)
def test_the_demo_of_the_embedded_model_adapts(asradapt):
    done = asradapt("demo", "--model", "source_en", "--json")
    assert done.code == 0
    assert done.json["enroll"]["decision"] == "adapted"
    pooled = done.json["evaluate"]["pooled"]
    assert pooled["after"]["wer"] < pooled["before"]["wer"]


WRONG = {
    "vocab add": ("nobody", "Kaliningrad"),
    "vocab list": ("nobody",),
    "vocab remove": ("nobody", "Kaliningrad"),
    "vocab strength": ("nobody", "1"),
    "vocab tune": ("nobody", "no.wav"),
    "enroll": ("ann", "no.wav"),
    "transcribe": ("no.wav",),
    "evaluate": ("--manifest", "no.jsonl"),
    "curve": ("--manifest", "no.jsonl"),
    "check": ("no.jsonl",),
    "speakers show": ("nobody",),
    "speakers remove": ("nobody", "--yes"),
    "speakers rollback": ("nobody",),
    "speakers forget-audio": ("nobody", "--yes"),
    "correct": ("nobody", "no.json"),
    "speakers export": ("nobody", "x.zip"),
    "speakers import": ("no.zip",),
    "export": ("nobody", "x.zip"),
    "import": ("no.zip",),
    "speakers migrate": ("nobody", "--unjudged"),
    "demo": ("--model", "no such model"),
    "models show": ("no such model",),
    "models fetch": ("torchaudio:NOTHING",),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_exist_ends_with_1_and_json_that_says_what(asradapt, workplace, name):
    done = asradapt(*name.split(), *WRONG[name], "--json")
    assert done.code == 1
    said = done.json.get("error", "") + "".join(failure["reason"] for failure in done.json["failed"])
    assert "no" in said
    assert done.err


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_usage_ends_with_2_and_json_that_says_what(asradapt, workplace, name):
    done = asradapt(*name.split(), "--no-such-option", "--json")
    assert done.code == 2
    assert "--no-such-option" in done.json["error"]
    assert "--no-such-option" in done.err


def test_errors_of_format_json_are_json_too(asradapt, workplace):
    assert "x" in asradapt("transcribe", "no.wav", "--format", "json", "--device", "x").json["error"]
    assert "x" in asradapt("transcribe", "no.wav", "--format=json", "--device", "x").json["error"]


@pytest.mark.parametrize("name", ["models", "models list", "methods", "prompts"])
def test_lists_have_one_line_for_each_entry(asradapt, name):
    done = asradapt(*name.split())
    (entries,) = asradapt(*name.split(), "--json").json.values()
    assert len(done.out.splitlines()) == len(entries) > 0
    for line, entry in zip(done.out.splitlines(), entries, strict=True):
        assert line.split()[0] == entry.get("name", entry.get("id"))


def test_prompts_can_be_limited(asradapt):
    assert len(asradapt("prompts", "--count", 5).out.splitlines()) == 5
    easy = asradapt("prompts", "--level", "easy", "--json").json["prompts"]
    assert {prompt["level"] for prompt in easy} == {"easy"}
    assert asradapt("prompts", "--count", 0).code == 2
    assert asradapt("prompts", "--level", "hard").code == 2


def test_file_names_that_are_not_utf8_do_not_break_the_output(asradapt, recordings):
    name = "caf\udce9.wav"  # what Python makes of the byte 0xE9
    done = asradapt("transcribe", name, recordings / "ann0.wav", "--json")
    assert done.code == 1
    assert done.json["failed"][0]["item"] == name
    shown = asradapt("transcribe", name)
    assert "caf\\udce9.wav does not exist" in shown.err


def test_results_keep_letters_of_all_scripts_readable(asradapt, recordings, tmp_path):
    shutil.copy(recordings / "ann0.wav", tmp_path / "höre.wav")
    assert "höre.wav" in asradapt("transcribe", tmp_path / "höre.wav", "--json").out
