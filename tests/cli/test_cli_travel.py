"""Speakers to and from PEFT, into whole models, and to another model, through the command line."""

from __future__ import annotations

import pytest
from samples import store_speaker, stored_files

from asradapt.store import SpeakerStore

peft = pytest.importorskip("peft")

from families import save_ctc  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small wav2vec2 in its real format; never written to."""
    return save_ctc(tmp_path_factory.mktemp("models") / "small", "wav2vec2-large")


@pytest.fixture(scope="module")
def hf(folder):
    """The same as a source model."""
    from asradapt.models import load_model

    return load_model(str(folder), device="cpu")


@pytest.fixture
def zoe(home, hf):
    """A store with `zoe` adapted on it by `lowrank`."""
    store = SpeakerStore(home)
    store_speaker(store, hf, "zoe", "lowrank")
    return store


def test_a_speaker_goes_to_peft_and_comes_back_the_same(asradapt, zoe, folder, recordings, tmp_path):
    done = asradapt("export", "zoe", "--peft", tmp_path / "lora")
    assert done.code == 0
    assert f"zoe: written to {tmp_path / 'lora'} (adapter_config.json, adapter_model.safetensors; " in done.out
    back = asradapt("import", tmp_path / "lora", "--name", "zoe2", "--model", folder)
    assert (back.code, back.out) == (0, "zoe2: imported as version 1\n")
    assert "nothing here has judged this adapter" in back.err
    heard = [
        asradapt("transcribe", recordings / "ann0.wav", "--speaker", name, "--model", f"hf:{folder}").out
        for name in ("zoe", "zoe2")
    ]
    assert heard[0] == heard[1]
    source = asradapt("transcribe", recordings / "ann0.wav", "--model", folder).out
    assert heard[0] != source


def test_export_and_import_are_commands_about_speakers_too(asradapt, enrolled, tmp_path):
    for words, name in (((), "eve"), (("speakers",), "zoe")):
        assert asradapt(*words, "export", "ann", tmp_path / f"{name}.zip").code == 0
        assert asradapt(*words, "import", tmp_path / f"{name}.zip", "--name", name).code == 0
    assert SpeakerStore(enrolled).speakers() == ["ann", "bob", "eve", "zoe"]


def test_show_says_what_is_not_known_of_an_imported_speaker(asradapt, zoe, folder, tmp_path):
    asradapt("export", "zoe", "--peft", tmp_path / "lora")
    asradapt("import", tmp_path / "lora", "--name", "eve", "--model", folder)
    shown = asradapt("speakers", "show", "eve").out
    assert "decision    adapted by lowrank" in shown
    assert "recordings  not known: imported from another program" in shown
    assert "folds       never judged: imported from a LoRA folder of PEFT" in shown
    assert asradapt("speakers", "show", "eve", "--json").json["gate"]["judged"] is False
    assert "eve" in asradapt("speakers", "list").out
    assert asradapt("prompts", "--for", "eve", "--count", "3").code == 0


def test_a_merged_model_is_heard_like_the_speaker(asradapt, zoe, folder, recordings, tmp_path):
    done = asradapt("export", "zoe", "--merged", tmp_path / "merged", "--model", folder)
    assert done.code == 0
    assert "its outputs differ from those of the adapted model by" in done.out
    adapted = asradapt("transcribe", recordings / "ann0.wav", "--speaker", "zoe", "--model", folder).out
    assert asradapt("transcribe", recordings / "ann0.wav", "--model", tmp_path / "merged").out == adapted
    content = asradapt("export", "zoe", "--merged", tmp_path / "two", "--model", folder, "--json").json
    assert content["folder"] == str(tmp_path / "two")
    assert "model.safetensors" in content["files"]
    assert content["difference"] < 1e-5


def test_a_merged_conformer_is_heard_like_the_speaker(asradapt, enrolled, recordings, model_path, tmp_path):
    inputs = ("transcribe", recordings / "ann12.wav")
    adapted = asradapt(*inputs, "--speaker", "ann").out
    assert asradapt("export", "ann", "--merged", tmp_path / "m", "--model", model_path, "--force").code == 0
    for name in ("m", "m/model.safetensors"):
        assert asradapt(*inputs, "--model", tmp_path / name).out == adapted
    assert asradapt(*inputs).out != adapted


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "give one of FILE, --peft DIR and --merged DIR"),
        (("x.zip", "--peft", "x"), 2, "give one of FILE, --peft DIR and --merged DIR"),
        (("--peft", "x", "--with-audio"), 2, "--with-audio goes with FILE"),
        (("--peft", "x"), 1, "models of transformers; ann was enrolled on tiny"),
        (("--merged", "x", "--model", "no such model"), 1, "no source model named"),
        (("--merged", "x", "--model", "OTHER"), 1, "belongs to another source model"),
        (("--peft", "x", "--model", "OTHER"), 1, "belongs to another source model"),
        (("x", "--model", "OTHER"), 1, "belongs to another source model"),
    ],
)
def test_what_cannot_be_exported_is_said(
    asradapt, enrolled, other_path, tmp_path, monkeypatch, arguments, code, said
):
    monkeypatch.chdir(tmp_path)
    done = asradapt("export", "ann", *(other_path if one == "OTHER" else one for one in arguments), "--json")
    assert done.code == code
    assert said in done.json["error"]
    assert not (tmp_path / "x").exists()


def test_a_folder_that_exists_is_replaced_by_force_only(asradapt, zoe, tmp_path):
    words = ("export", "zoe", "--peft", tmp_path / "lora")
    assert asradapt(*words).code == 0
    assert "exists and is left as it is" in asradapt(*words).err
    assert asradapt(*words, "--force").code == 0


def test_the_model_that_a_speaker_was_enrolled_on_is_known(asradapt, enrolled, model_path, other_path, tmp_path):
    done = asradapt("export", "ann", "--merged", tmp_path / "one")
    assert done.code == 0
    assert f"ann was enrolled on {model_path}, which is used" in done.err
    assert asradapt("export", "ann", "--merged", tmp_path / "two", "--model", model_path).code == 0
    assert stored_files(tmp_path / "one") == stored_files(tmp_path / "two")
    assert str(model_path.parent) not in (tmp_path / "one" / "model.json").read_text()


def test_a_path_of_this_machine_does_not_leave_it_with_a_speaker(
    asradapt, enrolled, model_path, other_path, tmp_path
):
    assert SpeakerStore(enrolled).record("ann").source["model"] == str(model_path)
    assert asradapt("export", "ann", tmp_path / "ann.zip", "--model", model_path).code == 0
    assert str(model_path.parent).encode() not in (tmp_path / "ann.zip").read_bytes()
    refused = asradapt("import", tmp_path / "ann.zip", "--name", "eve", "--model", other_path)
    assert (refused.code, "Give the model tiny by --model" in refused.err) == (1, True)
    assert "eve" not in SpeakerStore(enrolled)
    assert asradapt("import", tmp_path / "ann.zip", "--name", "eve", "--model", model_path).code == 0
    assert SpeakerStore(enrolled).record("eve").source.keys() == {"name", "fingerprint"}


def test_what_cannot_be_imported_is_said_and_nothing_stored(asradapt, zoe, folder, tmp_path):
    asradapt("export", "zoe", "--peft", tmp_path / "lora")
    before = stored_files(zoe.root)
    words = ("import", tmp_path / "lora")
    assert asradapt(*words, "--model", folder).code == 2  # no name
    exists = asradapt(*words, "--name", "zoe", "--model", folder)
    assert (exists.code, "'zoe' exists" in exists.err) == (1, True)
    (tmp_path / "empty").mkdir()
    empty = asradapt("import", tmp_path / "empty", "--name", "eve", "--model", folder)
    assert (empty.code, "is no folder of a PEFT adapter" in empty.err) == (1, True)
    (tmp_path / "lora" / "adapter_model.safetensors").rename(tmp_path / "lora" / "adapter_model.bin")
    pickle = asradapt(*words, "--name", "eve", "--model", folder)
    assert (pickle.code, "a pickle" in pickle.err) == (1, True)
    assert stored_files(zoe.root) == before


def test_migrate_moves_judges_and_can_be_rolled_back(asradapt, enrolled, other_path, recordings):
    words = ("speakers", "migrate", "ann", "--model", other_path)
    refused = asradapt(*words)
    assert (refused.code, refused.out) == (1, "")
    assert "give recordings with texts to judge it by, or --unjudged" in refused.err
    judged = asradapt(*words, *(recordings / f"ann{number}.wav" for number in range(12, 16)))
    assert judged.code == 0
    head, how, why = judged.out.splitlines()
    assert head == "ann: now on other, version 2 [source kept]"  # the text are another model's: nothing helps
    assert "moved 10 of 10 places from version 1" in how
    assert "the source is kept" in why
    assert asradapt("speakers", "rollback", "ann").out == "ann: version 1 is current\n"
    moved = asradapt(*words, "--unjudged")
    assert moved.out.startswith("ann: now on other, version 3 [affine]\n")
    shown = asradapt("speakers", "show", "ann").out
    assert "folds       never judged: moved from version 1, made for tiny, without recordings" in shown
    assert "moved       from version 1, made for tiny" in shown
    assert ": 10 places taken over, 0 dropped" in shown
    assert asradapt("transcribe", recordings / "ann12.wav", "--speaker", "ann", "--model", other_path).code == 0


def test_migrate_enrols_anew_from_kept_recordings(asradapt, home, recordings, model_path, other_path):
    rows = ("--manifest", recordings / "manifest.jsonl", "--where", "part=enroll", "--method", "affine")
    assert asradapt("enroll", "ann", *rows, "--keep-audio").code == 0
    again = asradapt("speakers", "migrate", "ann", "--model", model_path)
    assert (again.code, "ann is on tiny already" in again.err) == (1, True)
    done = asradapt("speakers", "migrate", "ann", "--model", other_path, "--json")
    assert (done.code, done.json["anew"], done.json["version"]) == (0, True, 2)
    assert done.json["how"] == "enrolled anew from 12 kept recordings"
    assert done.json["kept_audio"]["recordings"] == 12
    assert SpeakerStore(home).record("ann").source["name"] == "other"
    more = asradapt(
        "speakers", "migrate", "ann", *(recordings / f"ann{n}.wav" for n in (12, 13)), "--model", model_path
    )
    assert (more.code, "audio is kept: 14 recordings" in more.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ann", "--where", "part=x"), 2, "--where filters the rows of a --manifest"),
        (("ann", "a.wav", "--manifest", "m.jsonl"), 2, "not both"),
        (("ann", "no.wav"), 2, "none of the recordings can be used"),
        (("nobody", "--unjudged"), 1, "no speaker named 'nobody'"),
        (("bob", "--unjudged"), 1, "bob keeps the source"),
    ],
)
def test_what_cannot_be_migrated_is_said(asradapt, enrolled, other_path, arguments, code, said):
    before = stored_files(enrolled)
    done = asradapt("speakers", "migrate", *arguments, "--model", other_path)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert stored_files(enrolled) == before
