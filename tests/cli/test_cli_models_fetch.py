from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest
import torch
import torchaudio

huggingface_hub = pytest.importorskip("huggingface_hub")
pytest.importorskip("transformers")
from fake_hub import hub_running  # noqa: E402 - these need the extra [hf]
from families import save_bundle, save_ctc, save_mms, small_bundle  # noqa: E402

from asradapt.models import bundles, load_model, torchaudio_bundle  # noqa: E402
from asradapt.models.hub import cached_models  # noqa: E402

NAME = "torchaudio:SMALL_BASE"


@pytest.fixture
def bundle(tmp_path, monkeypatch, server):
    """A small bundle among those of torchaudio, its weights on a server and nowhere else; gives their bytes."""
    made = small_bundle()
    monkeypatch.setattr(torchaudio.pipelines, "SMALL_BASE", made, raising=False)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch"))
    monkeypatch.setattr(torchaudio_bundle, "BASE", f"{server.url}/")
    content = save_bundle(tmp_path / "published.pth", made).read_bytes()
    server.files["/small_base.pth"] = content
    return content


@pytest.fixture
def cached(tmp_path):
    return tmp_path / "torch" / "checkpoints" / "small_base.pth"


def test_a_bundle_is_fetched_and_loaded_and_fetched_once(asradapt, bundle, cached, server):
    before = asradapt("models", "show", NAME)
    assert before.code == 1
    assert f"asradapt models fetch {NAME}" in before.err
    assert server.seen == []  # showing downloads nothing
    done = asradapt("models", "fetch", NAME)
    digest = hashlib.sha256(bundle).hexdigest()
    assert (done.code, cached.read_bytes()) == (0, bundle)
    assert done.out.split() == [str(cached), f"{len(bundle) / 1e6:.1f}", "MB,", "sha256", digest]
    again = asradapt("models", "fetch", NAME, "--json")
    assert again.json == {
        "model": NAME,
        "files": [{"file": str(cached), "bytes": len(bundle), "sha256": digest}],
    }
    assert "on this machine already" in again.err
    assert len(server.seen) == 1
    assert asradapt("models", "show", NAME, "--json").json["weights"] == [{"file": str(cached), "sha256": digest}]


def test_torchaudio_itself_finds_what_was_fetched(asradapt, bundle, cached, monkeypatch):
    asradapt("models", "fetch", NAME)
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)  # it has no need to
    own = torchaudio.pipelines.SMALL_BASE.get_model()
    ours = load_model(NAME, device="cpu")
    waveform = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    theirs, _ = own(waveform)
    torch.testing.assert_close(ours.forward(waveform, torch.tensor([8000]))[0], theirs, rtol=0, atol=1e-4)


def test_an_interrupted_fetch_is_told_and_continued(asradapt, bundle, cached, server):
    server.drop_after = 1000
    done = asradapt("models", "fetch", NAME)
    assert (done.code, done.out) == (1, "")
    assert "the connection broke off after 0.0 MB; run it again, it goes on where it stopped" in done.err
    assert not cached.exists()
    assert asradapt("models", "show", NAME).code == 1
    server.drop_after = None
    assert asradapt("models", "fetch", NAME).code == 0
    assert server.seen[-1] == ("/small_base.pth", "bytes=1000-")
    assert cached.read_bytes() == bundle


def test_a_fetch_without_room_or_file_says_so(asradapt, bundle, cached, server, monkeypatch):
    del server.files["/small_base.pth"]
    assert "404" in asradapt("models", "fetch", NAME, "--json").json["error"]
    server.files["/small_base.pth"] = bundle
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    done = asradapt("models", "fetch", NAME)
    assert done.code == 1
    assert "has 0 MB free; free some space" in done.err
    assert not cached.exists()


def test_what_cannot_be_fetched_says_what_can(asradapt, bundle, tmp_path):
    assert asradapt("models", "fetch", "nonsense").code == 2
    assert "torchaudio:BUNDLE and hf:OWNER/MODEL" in asradapt("models", "fetch", "nonsense").err
    done = asradapt("models", "fetch", "torchaudio:NOPE")
    assert "no torchaudio bundle named 'NOPE'" in done.err
    assert "SMALL_BASE" in done.err
    assert "is none that writes text" in asradapt("models", "fetch", "torchaudio:HUBERT_BASE").err
    done = asradapt("models", "fetch", NAME, "--language", "eng")
    assert (done.code, "--language is of no use" in done.err) == (2, True)
    assert "--model takes it as it is" in asradapt("models", "fetch", str(tmp_path)).err
    assert "part of the program" in asradapt("models", "fetch", "source_en").err


def test_our_table_of_bundles_is_that_of_the_installed_torchaudio(monkeypatch):
    from torchaudio.pipelines._wav2vec2 import utils

    asked = []
    monkeypatch.setattr(utils, "load_state_dict_from_url", lambda url, **_: asked.append(url) or {})
    monkeypatch.setattr(utils, "_remove_aux_axes", lambda *_: None)
    found = torchaudio_bundle.bundles()
    assert sorted(found) == sorted(bundles.BUNDLES)
    for name, bundle in found.items():
        bundle._get_state_dict({})
        assert asked[-1] == bundles.BASE + bundles.BUNDLES[name].file
        assert torchaudio_bundle.cached_file(bundle).name == bundles.BUNDLES[name].file


@pytest.mark.parametrize("variable", ["TORCH_HOME", "XDG_CACHE_HOME", "HOME"])
def test_torchs_folder_is_known_without_torch(tmp_path, monkeypatch, variable):
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    with_torch = bundles.checkpoints()
    monkeypatch.delitem(bundles.sys.modules, "torch")
    assert bundles.checkpoints() == with_torch
    assert tmp_path in with_torch.parents


# ---- the hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on this machine that has `me/small`, and an empty cache."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_ETAG_TIMEOUT", 2)
    with hub_running() as running:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", running.url)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        readme = b"---\nlanguage: en\nlicense: apache-2.0\n---\n# Small\n"
        running.add("me/small", save_ctc(tmp_path / "made", "wav2vec2-base"), **{"README.md": readme})
        yield running


def test_a_model_of_the_hub_is_fetched_loaded_listed_and_fetched_once(asradapt, hub, tmp_path):
    hub.models["me/small"] |= {
        "flax_model.msgpack": b"x",
        "pytorch_model.bin": b"x",
        "onnx/model.safetensors": b"x",
    }
    assert "asradapt models fetch hf:me/small" in asradapt("models", "show", "hf:me/small").err
    done = asradapt("models", "fetch", "hf:me/small", "--json")
    assert done.code == 0
    (file,) = done.json["files"]
    assert file["sha256"] == hashlib.sha256(hub.models["me/small"]["model.safetensors"]).hexdigest()
    assert sorted(hub.sent) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer_config.json",
        "vocab.json",
    ]
    shown = asradapt("models", "show", "hf:me/small", "--json").json
    assert (shown["model"], shown["card"]["licence"]) == ("hf:me/small", "apache-2.0")
    assert shown["weights"] == [{"file": file["file"], "sha256": file["sha256"]}]
    assert cached_models() == {"me/small": "Wav2Vec2ForCTC"}
    assert "hf:me/small " in asradapt("models").out
    hub.sent.clear()
    assert asradapt("models", "fetch", "hf:me/small").code == 0
    assert hub.sent == []
    (snapshot,) = Path(file["file"]).parents[1].iterdir()
    (snapshot.parents[1] / "refs" / "main").write_text("another")  # that was not fetched
    assert cached_models() == {}
    assert asradapt("models", "show", "hf:me/small").code == 1


def test_a_connection_that_breaks_off_is_taken_up_again(asradapt, hub):
    hub.drop_once = 20_000
    assert asradapt("models", "fetch", "hf:me/small").code == 0
    assert hub.drop_once is None
    assert hub.sent.count("model.safetensors") == 2
    assert asradapt("models", "show", "hf:me/small").code == 0


def test_a_fetch_that_stopped_is_never_taken_for_the_whole(asradapt, hub, monkeypatch):
    with monkeypatch.context() as patched:  # as if it had stopped before the weights
        patched.setattr(
            "asradapt.models.hub.wanted_files", lambda sizes, **_: sorted({*sizes} - {"model.safetensors"})
        )
        assert asradapt("models", "fetch", "hf:me/small").code == 0
    done = asradapt("models", "show", "hf:me/small")
    assert done.code == 1
    assert "holds no weights (model.safetensors); `asradapt models fetch hf:me/small`" in done.err
    assert cached_models() == {}
    assert asradapt("models", "fetch", "hf:me/small").code == 0
    assert asradapt("models", "show", "hf:me/small").code == 0


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ((401, "RepoNotFound"), "the hub has no such model, or it is private"),
        ((404, "RepoNotFound"), "the hub has no such model, or it is private"),
        ((403, "GatedRepo"), "its owner asks for consent first; accept the terms on its page"),
        ((500, ""), "the hub answers with the error 500"),
    ],
)
def test_each_refusal_of_the_hub_is_one_sentence(asradapt, hub, refusal, told):
    hub.refusal = refusal
    done = asradapt("models", "fetch", "hf:me/small")
    assert (done.code, done.out) == (1, "")
    assert f"error: hf:me/small cannot be downloaded: {told}" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_hub_that_does_not_answer_is_one_sentence(asradapt, hub, monkeypatch):
    hub.silent = True
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_ETAG_TIMEOUT", 0.3)
    assert "the hub does not answer in time" in asradapt("models", "fetch", "hf:me/small").err


def test_a_hub_that_is_not_there_is_one_sentence(asradapt, hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    done = asradapt("models", "fetch", "hf:me/small")
    assert "the connection to the hub fails or broke off" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_offline_by_the_variable_is_told(asradapt, hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set, so nothing is downloaded" in asradapt("models", "fetch", "hf:me/small").err


def test_what_was_fetched_loads_offline(asradapt, hub, monkeypatch):
    asradapt("models", "fetch", "hf:me/small")
    hub.refusal = (500, "")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert asradapt("models", "show", "hf:me/small").code == 0


def test_a_disk_without_room_is_told_before(asradapt, hub, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    done = asradapt("models", "fetch", "hf:me/small")
    assert "has 0 MB free; free some space, or set HF_HOME" in done.err
    assert hub.sent == []


def test_a_disk_that_fills_up_is_told(asradapt, hub, monkeypatch):
    from huggingface_hub import file_download

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(file_download, "http_get", full)
    assert "the disk is full; free some space" in asradapt("models", "fetch", "hf:me/small").err


def test_a_model_without_safetensors_needs_allowing(asradapt, hub, tmp_path):
    files = hub.models["me/small"]
    from safetensors.torch import load

    torch.save(load(files.pop("model.safetensors")), tmp_path / "w.bin")
    files["pytorch_model.bin"] = (tmp_path / "w.bin").read_bytes()
    done = asradapt("models", "fetch", "hf:me/small")
    assert "only there as pytorch_model.bin, a pickle; --allow-pickle downloads it" in done.err
    assert hub.sent == []
    assert asradapt("models", "fetch", "hf:me/small", "--allow-pickle").code == 0
    assert "--allow-pickle reads" in asradapt("models", "show", "hf:me/small").err
    assert asradapt("models", "show", "hf:me/small", "--allow-pickle").code == 0
    del files["pytorch_model.bin"]
    assert "it holds no weights" in asradapt("models", "fetch", "hf:me/small").err


def test_of_a_model_of_many_languages_one_is_fetched(asradapt, hub, tmp_path):
    hub.add("me/mms", save_mms(tmp_path / "mms"))
    assert asradapt("models", "fetch", "hf:me/mms").code == 0
    assert not [path for path in hub.sent if path.startswith("adapter")]
    missing = asradapt("models", "show", "hf:me/mms", "--language", "fra")
    assert "`asradapt models fetch hf:me/mms --language fra`" in missing.err
    done = asradapt("models", "fetch", "hf:me/mms", "--language", "fra", "--json").json
    assert [path for path in hub.sent if path.startswith("adapter")] == ["adapter.fra.safetensors"]
    assert len(done["files"]) == 2
    shown = asradapt("models", "show", "hf:me/mms", "--language", "fra", "--json").json
    assert "é" in shown["tokens"]
    assert (
        "no adapter of the language 'deu'; it has 2: eng, fra"
        in asradapt("models", "fetch", "hf:me/mms", "--language", "deu").err
    )
    assert "no adapters of languages" in asradapt("models", "fetch", "hf:me/small", "--language", "fra").err


def test_what_is_no_recogniser_is_refused_before_it_comes(asradapt, hub):
    hub.models["me/small"]["config.json"] = b'{"architectures": ["BertModel"], "model_type": "bert"}'
    assert "hf:me/small: it is a BertModel, no speech recogniser" in asradapt("models", "fetch", "hf:me/small").err
    assert hub.sent == []


@pytest.mark.parametrize("name", ["bad//name", "a/b/c", "-bad/x"])
def test_a_name_that_the_hub_cannot_have_is_told(asradapt, hub, name):
    for command in ("fetch", "show"):
        assert "OWNER/MODEL" in asradapt("models", command, f"hf:{name}").err
