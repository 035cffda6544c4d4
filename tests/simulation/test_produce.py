"""Production: the same again, whatever the interruptions; manifests, channels, accents and impediments."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from asradapt.errors import SimulationError, UnknownName, UsageError
from asradapt.simulation.channel import draw_channel, find_channel
from asradapt.simulation.engines import ENGINES
from asradapt.simulation.plan import PlanOptions, fingerprint, plan
from asradapt.simulation.produce import MANIFEST, SETTINGS, produce
from asradapt.simulation.voices import SpeakerOptions, Trait

SENTENCES = [["open the small door", "the cat is here", "close the blue window", "good night"]]
OPTIONS = PlanOptions(speakers=6)


def make(out, options=OPTIONS, *, sentences=SENTENCES, count=8, **more):
    settings = fingerprint(sentences, options)
    return produce(plan(sentences, options, count=count), out, settings=settings, **more)


def rows(out):
    return [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]


def audio(out):
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*.flac")}


def samples(out, row):
    return soundfile.read(out / row["audio_filepath"], dtype="float32")[0]


def test_the_manifest_tells_what_is_in_the_files(fake, tmp_path):
    seen = []
    produced = make(tmp_path, report=lambda seconds, count: seen.append((seconds, count)))
    found = rows(tmp_path)
    assert (produced.count, produced.new, produced.left_out) == (8, 8, ())
    assert sorted(row["text"] for row in found) == sorted(2 * SENTENCES[0])
    assert [count for _, count in seen] == list(range(1, 9))
    for row in found:
        heard = samples(tmp_path, row)
        assert row["duration"] == pytest.approx(len(heard) / 16_000, abs=1e-3)
        assert np.abs(heard).max() > 0.01
        assert row["engine"] == "fake"
        assert row["voice"] in ("low", "high")
        assert "channel" not in row
        assert "accent" not in row
    assert produced.seconds == pytest.approx(sum(row["duration"] for row in found))


def test_the_seed_decides_everything(fake, tmp_path):
    for name in ("a", "b"):
        make(tmp_path / name)
    make(tmp_path / "c", replace(OPTIONS, seed=1))
    assert audio(tmp_path / "a") == audio(tmp_path / "b")
    assert rows(tmp_path / "a") == rows(tmp_path / "b") != rows(tmp_path / "c")


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_a_run_that_was_cut_off_is_gone_on_with(fake, tmp_path, cut):
    make(tmp_path / "whole")
    make(tmp_path / "cut", count=3)
    manifest = tmp_path / "cut" / MANIFEST
    text = manifest.read_text()
    manifest.write_text(text[: len(text) - cut])  # as a kill leaves it: half a line
    produced = make(tmp_path / "cut")
    assert produced.new == 8 - 3 + (cut > 0)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert audio(tmp_path / "cut") == audio(tmp_path / "whole")
    assert make(tmp_path / "cut").new == 0


def test_ctrl_c_keeps_what_is_made(fake, tmp_path):
    def interrupt(seconds, count):
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, report=interrupt)
    assert len(rows(tmp_path)) == 3
    make(tmp_path / "whole")
    make(tmp_path)
    assert rows(tmp_path) == rows(tmp_path / "whole")


def test_hours_end_it(fake, tmp_path):
    produced = make(tmp_path, count=None, hours=20 / 3600)
    assert 20 <= produced.seconds < 24
    assert len(audio(tmp_path)) == produced.count == len(rows(tmp_path))


def test_other_options_are_refused_in_the_same_folder(fake, tmp_path):
    make(tmp_path)
    for options in (replace(OPTIONS, seed=3), replace(OPTIONS, channels=("room",)), replace(OPTIONS, speakers=7)):
        with pytest.raises(UsageError, match="was made with other"):
            make(tmp_path, options)
    assert json.loads((tmp_path / SETTINGS).read_text())["channels"] == []


def test_an_option_that_an_earlier_version_did_not_know_had_its_default(fake, tmp_path):
    make(tmp_path, count=3)
    settings = json.loads((tmp_path / SETTINGS).read_text())
    old = {
        name: value for name, value in settings.items() if name not in ("channels", "accent_share", "installed")
    }
    (tmp_path / SETTINGS).write_text(json.dumps(old))
    with pytest.raises(UsageError, match="was made with other channels"):
        make(tmp_path, replace(OPTIONS, channels=("room",)))
    assert make(tmp_path).new == 5
    (tmp_path / SETTINGS).write_text(json.dumps(settings | {"loudness": 3}))  # of a later version
    with pytest.raises(UsageError, match="was made with other loudness"):
        make(tmp_path)


def test_another_installed_voice_is_another_plan(fake, tmp_path, monkeypatch):
    make(tmp_path / "a", count=3)
    make(tmp_path / "named", replace(OPTIONS, cast=SpeakerOptions(voices=("fake:low",))), count=3)
    monkeypatch.setattr(type(fake), "voices", fake.voices[:1])
    with pytest.raises(UsageError, match="was made with other installed"):
        make(tmp_path / "a")
    make(tmp_path / "named", replace(OPTIONS, cast=SpeakerOptions(voices=("fake:low",))))


@pytest.mark.parametrize("content", [b"", b'{"seed": 0', b"[]", b"\xff"])
def test_damaged_settings_are_not_overwritten(fake, tmp_path, content):
    make(tmp_path, count=3)
    (tmp_path / SETTINGS).write_bytes(content)
    with pytest.raises(UsageError, match="is damaged"):
        make(tmp_path)
    assert (tmp_path / SETTINGS).read_bytes() == content


def test_a_manifest_of_something_else_is_left_alone(fake, tmp_path):
    recordings = '{"audio_filepath": "a.wav", "text": "mine"}\n{"audio_filepath": "b.wav", "text": "too"}'
    (tmp_path / MANIFEST).write_text(recordings)
    with pytest.raises(UsageError, match="choose another folder"):
        make(tmp_path)
    assert (tmp_path / MANIFEST).read_text() == recordings


def test_what_cannot_be_said_is_left_out(fake, tmp_path):
    produced = make(tmp_path, sentences=[["mute", "good night", "mute me"]], count=3)
    assert (produced.count, len(produced.left_out)) == (1, 2)
    assert "cannot say mute" in produced.left_out[0][1]


def test_a_synthesiser_that_never_speaks_ends_it(fake, tmp_path):
    with pytest.raises(SimulationError, match="200 utterances in a row"):
        make(tmp_path, sentences=[["mute"]], count=500)


def test_channels_are_drawn_written_and_heard(fake, tmp_path):
    make(tmp_path / "clean", count=20)
    make(tmp_path / "through", replace(OPTIONS, channels=("telephone", "room", "clean")), count=20)
    pairs = list(zip(rows(tmp_path / "clean"), rows(tmp_path / "through"), strict=True))
    assert {row["channel"] for _, row in pairs} == {"telephone", "room", "clean"}
    for before, row in pairs:
        clean, heard = samples(tmp_path / "clean", before), samples(tmp_path / "through", row)
        assert before == {key: value for key, value in row.items() if key != "channel"}
        assert len(clean) == len(heard)
        assert np.array_equal(clean, heard) == (row["channel"] == "clean")
        if row["channel"] == "telephone":
            power = np.abs(np.fft.rfft(heard)) ** 2
            assert power[round(4200 * len(heard) / 16_000) :].sum() < 1e-3 * power.sum()


def test_a_channel_is_another_one_each_time(fake, tmp_path):
    make(tmp_path, replace(OPTIONS, channels=("room",)), sentences=[["good night"]], count=4)
    assert len(set(audio(tmp_path).values())) == 4
    first, second = (draw_channel(np.random.default_rng(seed), find_channel("room")) for seed in (0, 1))
    assert first.room != second.room


def test_an_unknown_channel_is_told_before_anything_is_made(fake, tmp_path):
    with pytest.raises(UnknownName, match="no channel named 'moon'"):
        plan(SENTENCES, replace(OPTIONS, channels=("room", "moon")))


def test_impediments_change_the_speech_of_their_share(fake, tmp_path):
    cast = SpeakerOptions(impediments=(Trait("slowness", 1.0),), impediment_share=0.5)
    make(tmp_path / "plain", count=20)
    make(tmp_path / "slow", replace(OPTIONS, cast=cast), count=20)
    pairs = list(zip(rows(tmp_path / "plain"), rows(tmp_path / "slow"), strict=True))
    slow = [row["duration"] / before["duration"] for before, row in pairs if "impediment" in row]
    usual = [row["duration"] / before["duration"] for before, row in pairs if "impediment" not in row]
    assert np.allclose(slow, 2.0, atol=0.01)
    assert np.allclose(usual, 1.0)
    assert slow
    assert usual


@pytest.mark.parametrize("style", ["ogg", "wav"])
def test_other_formats(fake, tmp_path, style):
    make(tmp_path, replace(OPTIONS, format=style), count=2)
    assert [soundfile.info(tmp_path / row["audio_filepath"]).samplerate for row in rows(tmp_path)] == [16_000] * 2


@pytest.mark.skipif(not any(engine.installed_voices() for engine in ENGINES.values()), reason="no synthesiser")
@pytest.mark.parametrize("accents", [(), (Trait("random"),)])
def test_several_processes_make_the_same_as_one(tmp_path, monkeypatch, accents):
    if accents and not ENGINES["flite"].installed_voices():
        pytest.skip("nothing tells how words are pronounced")
    options = PlanOptions(speakers=4, channels=("noisy",), cast=SpeakerOptions(accents=accents))
    for jobs, batch in ((1, 32), (2, 2)):  # one batch, and many in flight at once
        monkeypatch.setattr("asradapt.simulation.workers._BATCH", batch)
        make(tmp_path / str(jobs), options, count=9, jobs=jobs)
    assert rows(tmp_path / "1") == rows(tmp_path / "2")
    assert audio(tmp_path / "1") == audio(tmp_path / "2")
