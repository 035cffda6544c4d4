from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
import sys

import pytest
import torch
import torchaudio

transformers = pytest.importorskip("transformers")
from families import KINDS, SHAPE, save_bundle, save_ctc, save_mms, small_bundle  # noqa: E402 - needs the extra [hf]
from safetensors.torch import load_file  # noqa: E402


class Trap:
    """What a malicious pickle does when it is read: here it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


# ---- list and show


def test_the_list_says_what_is_on_this_machine(asradapt, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "wav2vec2_fairseq_base_ls960_asr_ls960.pth").touch()
    rows = {row["name"]: row for row in asradapt("models", "--json").json["models"]}
    assert rows == {row["name"]: row for row in asradapt("models", "list", "--json").json["models"]}
    assert rows["source_en"]["here"] is None
    assert [name for name, row in rows.items() if name.startswith("torchaudio") and row["here"]] == [
        "torchaudio:WAV2VEC2_ASR_BASE_960H"
    ]
    lines = {line.split()[0]: line for line in asradapt("models").out.splitlines()}
    assert lines["torchaudio:WAV2VEC2_ASR_BASE_960H"].endswith("; on this machine")
    assert lines["torchaudio:HUBERT_ASR_LARGE"].endswith("; to be fetched")
    assert lines["source_en"].split(maxsplit=1)[1].startswith("embedded English conformer-CTC")


def test_json_of_the_group_before_a_command_is_wrong_usage(asradapt):
    done = asradapt("models", "--json", "list")
    assert (done.code, "write --json behind list" in done.err) == (2, True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_each_family_is_shown(asradapt, tmp_path, kind):
    folder = save_ctc(tmp_path / kind, kind)
    shown = asradapt("models", "show", folder, "--json").json
    assert shown["architecture"] == f"{KINDS[kind][0]}ForCTC"
    assert shown["library"] == "transformers"
    assert shown["equal_lengths"] == (shown["leak"] > 1e-3)
    network = transformers.AutoModelForCTC.from_pretrained(folder)
    assert shown["parameters"] == network.num_parameters()
    assert "".join(sorted(token for token in shown["tokens"] if len(token) == 1)) == " 'abcdefghijklmnopqrstuvwxyz"
    assert set(shown["methods"]) >= {"affine", "lowrank", "head", "input"}
    text = asradapt("models", "show", folder).out
    assert shown["fingerprint"] in text
    assert shown["weights"][0]["sha256"] in text
    assert ("rows of one length only" in text) == shown["equal_lengths"]


def test_the_embedded_models_card_is_shown(asradapt):
    text = asradapt("models", "show", "source_en").out
    assert "Apache-2.0" in text
    assert "not for decisions about people" in text


# ---- torchaudio


@pytest.fixture
def bundle(monkeypatch, tmp_path):
    """A small bundle among those of torchaudio, without weights in the cache."""
    monkeypatch.setattr(torchaudio.pipelines, "SMALL_BASE", small_bundle(), raising=False)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch"))
    return torchaudio.pipelines.SMALL_BASE


def refused(asradapt, *arguments, code=1):
    """The one sentence with which a command refuses."""
    done = asradapt(*arguments)
    assert (done.code, done.out) == (code, "")
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert "Traceback" not in done.err
    return lines[0]


def weights_of(asradapt, path, code=1):
    return refused(asradapt, "models", "show", "torchaudio:SMALL_BASE", "--weights", path, code=code)


def test_a_bundle_with_weights_by_hand_is_shown(asradapt, bundle, tmp_path):
    path = save_bundle(tmp_path / "w.pth", bundle)
    shown = asradapt("models", "show", "torchaudio:SMALL_BASE", "--weights", path, "--json").json
    assert shown["weights"][0]["file"] == str(path)
    assert not shown["equal_lengths"]  # the norm over time is computed for each row by itself
    assert shown["leak"] < 1e-5


def test_weights_that_are_not_there_are_told(asradapt, bundle, tmp_path):
    told = refused(asradapt, "models", "show", "torchaudio:SMALL_BASE")
    assert "not on this machine; with a network, `asradapt models fetch torchaudio:SMALL_BASE`" in told
    assert "no.pth do not exist" in weights_of(asradapt, tmp_path / "no.pth")


def test_weights_of_another_network_are_told(asradapt, bundle, tmp_path):
    told = weights_of(asradapt, save_bundle(tmp_path / "large.pth", small_bundle("large")))
    assert "another network's: of " in told
    assert "are not of this network (such as " in told
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    assert "tensors are missing" in weights_of(asradapt, tmp_path / "other.pth")


def test_a_pickle_with_code_in_it_is_refused_and_not_run(asradapt, bundle, tmp_path):
    for name, save in (("zip.pth", torch.save), ("plain.pth", lambda c, p: p.write_bytes(pickle.dumps(c, 2)))):
        save({"encoder": Trap(tmp_path / "made")}, tmp_path / name)
        assert "a pickle that holds more than tensors" in weights_of(asradapt, tmp_path / name)
        assert not (tmp_path / "made").exists()
    torch.load(tmp_path / "zip.pth", weights_only=False)
    assert (tmp_path / "made").is_dir(), "the trap of this test does not work"


JUNK = (b"RIFF garbage", b"h\x00", b"silence", b"q\x01", b"}K\x01K\x02b.", b"N.", b"(", b"\x80\x05abc")
"""Files that are no pickle, some of whose bytes are instructions of one."""


@pytest.mark.parametrize("junk", JUNK)
def test_weights_that_are_something_else_are_told_in_a_sentence(asradapt, bundle, tmp_path, junk):
    (tmp_path / "junk.wav").write_bytes(junk)
    assert "damaged" in weights_of(asradapt, tmp_path / "junk.wav")


@pytest.mark.parametrize("kept", [0, 10, 0.3, 0.9])
def test_weights_that_are_cut_off_are_told(asradapt, bundle, tmp_path, kept):
    whole = save_bundle(tmp_path / "w.pth", bundle).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    told = weights_of(asradapt, tmp_path / "cut.pth")
    assert "cut.pth" in told
    assert "damaged" in told


def test_a_file_that_holds_no_tensors_is_told(asradapt, bundle, tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    assert "does not hold the tensors of a network by name" in weights_of(asradapt, tmp_path / "list.pth")


def test_options_that_a_bundle_has_no_use_for_are_told(asradapt, bundle):
    done = asradapt("models", "show", "torchaudio:SMALL_BASE", "--language", "eng", "--allow-pickle")
    assert done.code == 2
    assert "--allow-pickle and --language are of no use for torchaudio:SMALL_BASE" in done.err


# ---- folders of transformers


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return save_ctc(tmp_path_factory.mktemp("made") / "small", "wav2vec2-base")


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "small")


def edit(path, **changes):
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({k: v for k, v in (content | changes).items() if v is not None}), encoding="utf-8")


def test_a_vocabulary_larger_than_the_outputs_is_told(asradapt, folder):
    edit(folder / "vocab.json", **{"é": 32, "ñ": 33})
    told = refused(asradapt, "models", "show", folder)
    assert "does not fit its weights: 34 tokens numbered up to 33, and the output layer has 32" in told
    assert str(folder) in told


@pytest.mark.parametrize("number", ["five", -1, 2.5, True])
def test_a_vocabulary_without_numbers_is_told(asradapt, folder, number):
    edit(folder / "vocab.json", E=number)
    assert "does not give a number for each token; wrong are 'E'" in refused(asradapt, "models", "show", folder)


def test_a_vocabulary_without_a_word_boundary_is_told(asradapt, folder):
    edit(folder / "vocab.json", **{"|": None, "_": 4})
    edit(folder / "tokenizer_config.json", added_tokens_decoder=None)
    told = refused(asradapt, "models", "show", folder)
    assert "cannot be used: the vocabulary has no word boundary '|'" in told


def test_a_missing_tokenizer_is_told(asradapt, folder):
    (folder / "vocab.json").unlink()
    told = refused(asradapt, "models", "show", folder)
    assert f"the model folder {folder} has no vocab.json, which says what its outputs write" in told


def test_a_missing_preprocessor_is_told(asradapt, folder):
    (folder / "preprocessor_config.json").unlink()
    told = refused(asradapt, "models", "show", folder)
    assert "has no preprocessor_config.json, which says the sample rate and the normalisation" in told


def test_the_processors_file_of_newer_versions_will_do(asradapt, folder):
    before = asradapt("models", "show", folder, "--json").json
    processor = transformers.AutoProcessor.from_pretrained(folder)
    (folder / "preprocessor_config.json").unlink()
    processor.save_pretrained(folder)
    assert not (folder / "preprocessor_config.json").exists()
    assert asradapt("models", "show", folder, "--json").json == before


@pytest.mark.parametrize(
    "file", ["config.json", "vocab.json", "preprocessor_config.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b""])
def test_a_damaged_description_is_told_with_its_path(asradapt, folder, file, content):
    (folder / file).write_bytes(content)
    assert str(folder / file) in refused(asradapt, "models", "show", folder)


def test_a_type_that_is_no_recogniser_is_told(asradapt, folder):
    for kind in ("bert", "no-such-type", None):
        edit(folder / "config.json", model_type=kind)
        told = refused(asradapt, "models", "show", folder)
        assert f"models of the type {kind!r} cannot be used; usable are wav2vec2" in told


def test_a_pretrained_network_without_an_output_layer_is_told(asradapt, folder):
    shape = transformers.Wav2Vec2Config(**SHAPE)
    transformers.Wav2Vec2Model(shape).save_pretrained(folder)
    assert "was never taught to write text" in refused(asradapt, "models", "show", folder)
    edit(folder / "config.json", architectures=None)  # also where only the weights say so
    assert "was never taught to write text" in refused(asradapt, "models", "show", folder)


def test_weights_that_lack_tensors_are_told(asradapt, folder):
    edit(folder / "config.json", num_hidden_layers=3)
    told = refused(asradapt, "models", "show", folder)
    assert "lack 16 tensors of the network: wav2vec2.encoder.layers.2." in told


def test_weights_of_another_shape_are_told(asradapt, folder):
    edit(folder / "config.json", intermediate_size=64)
    assert "cannot be loaded" in refused(asradapt, "models", "show", folder)


@pytest.mark.parametrize("kept", [0, 7, 0.5, 0.99])
def test_safetensors_that_are_cut_off_are_told(asradapt, folder, kept):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    told = refused(asradapt, "models", "show", folder)
    assert f"the model hf:small in {folder} cannot be loaded" in told


def test_a_folder_without_weights_is_told(asradapt, folder):
    (folder / "model.safetensors").unlink()
    assert "holds no weights (model.safetensors)" in refused(asradapt, "models", "show", folder)


def test_a_pickle_is_read_only_when_it_is_allowed(asradapt, folder):
    before = asradapt("models", "show", folder, "--json").json
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    told = refused(asradapt, "models", "show", folder)
    assert "as pytorch_model.bin only, a pickle; --allow-pickle reads the tensors in it and nothing else" in told
    after = asradapt("models", "show", folder, "--allow-pickle", "--json").json
    assert after["fingerprint"] == before["fingerprint"]


def test_a_malicious_pickle_is_not_run_even_when_pickles_are_allowed(asradapt, folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    trap = weights | {"lm_head.bias": Trap(tmp_path / "made")}
    for save in (torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))):
        save(trap, folder / "pytorch_model.bin")
        told = refused(asradapt, "models", "show", folder, "--allow-pickle")
        assert "a pickle that holds more than tensors, or is damaged; it is not read further" in told
        assert not (tmp_path / "made").exists()
    torch.save(trap, folder / "pytorch_model.bin")
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "made").is_dir(), "the trap of this test does not work"


@pytest.mark.parametrize("junk", JUNK)
def test_a_pickle_that_is_none_is_told_in_a_sentence(asradapt, folder, junk):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(junk)
    told = refused(asradapt, "models", "show", folder, "--allow-pickle")
    assert "a pickle that holds more than tensors, or is damaged" in told or junk == b"N."


def test_a_name_that_is_not_in_the_cache_is_told(asradapt, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    told = refused(asradapt, "models", "show", "hf:nobody/nothing")
    assert (
        "'nobody/nothing' is not on this machine; with a network, `asradapt models fetch hf:nobody/nothing`"
        in told
    )
    told = refused(asradapt, "models", "show", "hf:bad//name")
    assert "'bad//name' is neither a folder nor a name as the hub has them, OWNER/MODEL" in told
    assert "there is no folder ./nowhere" in refused(asradapt, "models", "show", "hf:./nowhere")


def test_without_the_extra_it_is_told_how_to_install_it(asradapt, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for command in (("show", folder), ("show", "hf:a/b"), ("fetch", "hf:a/b")):
        assert "pip install 'asradapt[hf]'" in refused(asradapt, "models", *command, code=2)
    assert asradapt("models").code == 0


@pytest.mark.parametrize("command", ["enroll", "transcribe", "evaluate"])
def test_the_commands_that_use_a_model_say_the_same(asradapt, folder, recordings, command):
    (folder / "vocab.json").unlink()
    words = {
        "enroll": ("enroll", "ann", recordings / "ann0.wav"),
        "transcribe": ("transcribe", recordings / "ann0.wav"),
        "evaluate": ("evaluate", "--manifest", recordings / "manifest.jsonl"),
    }[command]
    assert "has no vocab.json" in refused(asradapt, *words, "--model", folder)


def test_a_speaker_is_enrolled_and_heard_in_a_language(asradapt, recordings, home, tmp_path):
    """Of a model of many languages; another language is another network."""
    folder = save_mms(tmp_path / "mms")
    model = ("--model", folder, "--language", "fra")
    for number, words in enumerate(itertools.permutations(("là", "hé", "çà"))):
        shutil.copy(recordings / f"ann{number}.wav", tmp_path / f"{number}.wav")
        (tmp_path / f"{number}.txt").write_text(" ".join(words), encoding="utf-8")
    done = asradapt("enroll", "ann", *(tmp_path / f"{n}.wav" for n in range(6)), "--method", "affine", *model)
    assert done.code == 0, done.err
    assert asradapt("transcribe", recordings / "ann7.wav", "--speaker", "ann", *model).code == 0
    other = refused(
        asradapt, "transcribe", recordings / "ann7.wav", "--speaker", "ann", "--model", folder, "--language", "eng"
    )
    assert "'ann' belongs to another source model: hf:mms (fingerprint " in other
    assert f"Give --model {folder} --language fra;" in other


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("small/config.json", "is one file of a model: give its folder, --model "),
        ("small/model.safetensors", "is one file of a model: give its folder, --model "),
        ("hf:small/config.json", "is a file; give the folder of the model, hf:"),
        ("a.wav", "is a recording, no model; --model takes a name, a folder or a .safetensors file"),
        (
            "a.bin",
            "say of which network: give the folder of a transformers model, or torchaudio:BUNDLE with --weights",
        ),
        ("a.txt", "is no model: a file must be a .safetensors with its .json beside it, or give a folder"),
        ("empty", "holds no model: neither config.json nor a .safetensors file with its .json"),
        ("outer", "/outer/inner holds one: give that"),
        ("lora", " --name SPEAKER --model BASE` stores it as a speaker"),
        ("nowhere", "there is no file or folder "),
    ],
)
def test_a_path_that_is_no_model_is_told_with_what_may_be_meant(asradapt, folder, tmp_path, name, said):
    for file in ("a.wav", "a.bin", "a.txt"):
        (tmp_path / file).write_bytes(b"RIFF")
    (tmp_path / "empty").mkdir()
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer" / "inner").symlink_to(folder)
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text("{}")
    kind, colon, rest = name.rpartition(":")
    told = refused(asradapt, "models", "show", f"{kind}{colon}{tmp_path / rest}")
    assert said in told


@pytest.mark.parametrize(
    ("name", "said", "code"),
    [
        ("foo:bar", "no kind of models named 'foo'; known: hf, torchaudio", 1),
        ("hf:", "'hf:' names no model: write hf:NAME", 2),
        ("WAV2VEC2_ASR_BASE_960H", "is a bundle of torchaudio: write torchaudio:WAV2VEC2_ASR_BASE_960H", 1),
        ("me/small", "there is no folder me/small; if a model of the hub is meant, write hf:me/small", 1),
        ("https://huggingface.co/me/small", "write hf:me/small", 1),
        ("", "--model is empty", 2),
        ("source_fr", "no source model named 'source_fr'; known: source_en. Also hf:NAME, torchaudio:NAME", 1),
    ],
)
def test_a_name_that_is_no_model_is_told_with_what_may_be_meant(asradapt, name, said, code):
    done = asradapt("models", "show", name)
    assert (done.code, said in done.err) == (code, True), done.err


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_refused_pickle_is_one_sentence_whatever_its_protocol(asradapt, folder, bundle, tmp_path, protocol):
    """Warnings are errors here: torch's own of a newer protocol would fail."""
    own = shutil.copytree(folder, tmp_path / "own")
    (own / "model.safetensors").unlink()
    harm = pickle.dumps({"a": Trap(tmp_path / "harm")}, protocol)
    (own / "pytorch_model.bin").write_bytes(harm)
    (tmp_path / "w.pth").write_bytes(harm)
    for told in (
        refused(asradapt, "models", "show", own, "--allow-pickle"),
        weights_of(asradapt, tmp_path / "w.pth"),
    ):
        assert "nothing in" in told
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_half_precision_on_a_cpu_is_said_to_be_slow(asradapt, folder, precision):
    done = asradapt("models", "show", folder, "--precision", precision, "--json")
    assert done.code == 0
    assert done.err == ("bf16 on a CPU is slower than fp32; it saves memory only\n" if precision == "bf16" else "")
