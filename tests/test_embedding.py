"""Inside other programs: threads, processes, settings of PyTorch, random numbers, samples in memory."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from own_models import make_model
from samples import random_state, store_people, store_speaker

import asradapt
from asradapt import errors
from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.enrolment.lanes import Lanes
from asradapt.enrolment.memory import recomputed
from asradapt.errors import AudioError, SourceMismatch, TextError, UnknownName, UnwritableText, UsageError
from asradapt.models import load_model
from asradapt.models.turns import Turn, hooked, thread, using, working_for
from asradapt.pipeline import Ahead
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript, Window
from asradapt.types import Utterance

PEOPLE = {"ann": "lowrank", "bob": "affine", "cleo": "affine+lowrank", "dora": "encoder"}


@pytest.fixture
def own():
    return make_model()


@pytest.fixture
def store(tmp_path, own):
    return store_people(tmp_path / "store", own, PEOPLE)


@pytest.fixture
def clip(tmp_path, babble):
    path = tmp_path / "clip.wav"
    soundfile.write(path, babble(1.2, 3).numpy(), 16_000, subtype="FLOAT")
    return path


def heard(transcriber, clip, speaker):
    (found,) = [one for one in transcriber.transcribe([Utterance(clip, speaker=speaker)]) if hasattr(one, "text")]
    return found.text


# ---- threads


def in_another_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_what_a_thread_attaches_changes_nothing_in_another(own, babble):
    waveform = babble(1.0, 1)[None]
    inputs = own.prepare(waveform, torch.tensor([waveform.shape[1]]))
    bank = SpeakerBank(own, create("affine+lowrank"))
    bank.load(0, random_state(own, "affine+lowrank"))
    plain = own.encode(*inputs)[0]
    with bank.attach(own, torch.zeros(1, dtype=torch.int64)):
        here = own.encode(*inputs)[0]
        there = in_another_thread(lambda: own.encode(*inputs)[0])
    assert torch.equal(there, plain)
    assert not torch.allclose(here, plain)


def test_who_works_for_a_thread_has_its_hooks():
    module, me = torch.nn.Identity(), threading.get_ident()

    def for_me():
        with working_for(me):
            return float(module(torch.zeros(1))), thread()

    with hooked(module, lambda *_: torch.ones(1)):
        assert float(module(torch.zeros(1))) == 1
        assert in_another_thread(lambda: (float(module(torch.zeros(1))), thread()))[0] == 0
        assert in_another_thread(for_me) == (1, me)
    assert float(module(torch.zeros(1))) == 0
    assert thread() == me


def test_who_changes_the_weights_has_the_network_alone():
    network, log = torch.nn.Identity(), []
    inside, leave = threading.Event(), threading.Event()

    def shares():
        with using(network), using(network):
            inside.set()
            leave.wait(10)
            with using(network):  # who is in it never waits for those who want it alone
                log.append("shared")

    def alone():
        with using(network, alone=True), using(network):
            log.append("alone")

    def later():
        with using(network):
            log.append("later")

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(shares)
        inside.wait(10)
        waits = [pool.submit(alone)]
        time.sleep(0.2)
        waits.append(pool.submit(later))
        time.sleep(0.2)
        assert log == []
        leave.set()
        for one in (first, *waits):
            one.result(10)
    assert log == ["shared", "alone", "later"]


def test_who_gives_up_waiting_keeps_nobody_out(monkeypatch):
    network, inside, leave = torch.nn.Identity(), threading.Event(), threading.Event()

    def shares():
        with using(network):
            inside.set()
            leave.wait(10)

    def interrupted(*_):
        raise KeyboardInterrupt

    def also_shares():
        with using(network):
            pass

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shares)
        inside.wait(10)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Condition, "wait_for", interrupted)
            with pytest.raises(KeyboardInterrupt):
                using(network, alone=True).__enter__()
        pool.submit(also_shares).result(10)
        leave.set()
        first.result(10)


def test_who_shares_a_network_cannot_have_it_alone():
    network = torch.nn.Identity()
    with using(network), pytest.raises(RuntimeError, match="alone"), using(network, alone=True):
        pass
    with using(network, alone=True), using(network), using(network, alone=True):
        pass


def test_lanes_are_of_the_source_whoever_is_heard_meanwhile(own, store, clip):
    transcriber, done = Transcriber(own, store), threading.Event()

    def hear():
        while not done.is_set():
            heard(transcriber, clip, "dora")

    source = {name: weight.clone() for name, weight in own.module.named_parameters()}
    with ThreadPoolExecutor(1) as pool:
        hearing = pool.submit(hear)
        try:
            for _ in range(40):
                lanes = Lanes(own)
                pool_of_two = lanes._open(2)
                for one in lanes.passes[1:]:
                    weights = dict(one.model.module.named_parameters())
                    assert all(torch.equal(weights[name], weight) for name, weight in source.items())
                if pool_of_two:
                    pool_of_two.shutdown()
        finally:
            done.set()
            hearing.result(30)


def test_no_lane_is_made_of_a_model_that_computes_its_blocks_twice(own):
    with recomputed(own):
        lanes = Lanes(own)
        assert lanes._open(2) is None
        assert len(lanes.passes) == 1


@pytest.mark.parametrize("shared", [True, False])
def test_threads_get_the_texts_that_everybody_gets_alone(own, store, clip, shared):
    people = [*PEOPLE, None, "nobody"] * 6
    alone = {speaker: heard(Transcriber(own, store), clip, speaker) for speaker in {*people}}
    assert len({*alone.values()}) == len(PEOPLE) + 1
    one = Transcriber(own, store)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda s: heard(one if shared else Transcriber(own, store), clip, s), people))
    assert found == [alone[speaker] for speaker in people]


def test_enrolments_in_threads_are_those_of_one_after_the_other(tmp_path, own, babble):
    words = ["one two", "two three", "three four", "four five", "five six", "six one"]
    data = []
    for seed, text in enumerate(words):
        path = tmp_path / f"{seed}.wav"
        soundfile.write(path, babble(1.5, seed).numpy(), 16_000)
        data.append(Utterance(path, text, "ann"))
    options = EnrolmentOptions(method="lowrank", passes=2, least_steps=4, forecast=False)

    def counts(_):
        (one,) = enroll(own, {"ann": data}, options=options).speakers
        return one.record.folds

    alone = counts(0)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(counts, range(2))) == [alone, alone]
    assert not any(module._forward_hooks for module in own.module.modules())


def test_a_lock_is_copied_as_a_lock_of_its_own():
    turn = Turn()
    with turn:
        other = copy.deepcopy(turn)
        assert in_another_thread(lambda: other._lock.acquire(timeout=5))  # it is not held by this thread
    assert isinstance(pickle.loads(pickle.dumps(turn)), Turn)


# ---- a program that runs for long


def test_a_transcriber_uses_what_is_current(own, store, clip):
    transcriber = Transcriber(own, store)
    first = heard(transcriber, clip, "ann")
    store_speaker(store, own, "ann", "lowrank", seed=9)
    second = heard(transcriber, clip, "ann")
    assert second == heard(Transcriber(own, store), clip, "ann") != first
    store.rollback("ann")
    assert heard(transcriber, clip, "ann") == first
    store.remove("ann")
    assert heard(transcriber, clip, "ann") == heard(transcriber, clip, None)
    with pytest.raises(UnknownName):
        transcriber.member("ann")


def test_a_refused_speaker_is_asked_for_again_when_stored_anew(own, store, clip):
    store_speaker(store, make_model(seed=5), "ann", "lowrank")
    transcriber = Transcriber(own, store)
    with pytest.raises(SourceMismatch):
        transcriber.member("ann")
    (window,) = transcriber.transcribe([Utterance(clip, speaker="ann")])
    assert "another source model" in window.failed[0].reason
    store_speaker(store, own, "ann", "lowrank", seed=9)
    assert heard(transcriber, clip, "ann") == heard(Transcriber(own, store), clip, "ann")


def test_one_run_hears_nobody_in_two_ways(own, store, clip):
    def inputs():
        for number in range(600):
            if number == 500:
                store_speaker(store, own, "ann", "lowrank", seed=9)
            yield Utterance(clip, speaker="ann")

    found = Transcriber(own, store, TranscriberOptions(window_seconds=1.0)).transcribe(inputs())
    assert len({one.text for one in found if isinstance(one, Transcript)}) == 1


def test_results_of_inputs_that_come_slowly_come_with_them():
    given = []

    def slowly():
        for number in range(4):
            time.sleep(0.3)
            given.append(number)
            yield number

    ahead = Ahead(lambda item: item, slowly(), weight=lambda _: 1.0, most=1e9, threads=1)
    assert [(item, len(given)) for item, _ in ahead] == [(0, 2), (1, 3), (2, 4), (3, 4)]


# ---- processes


def kinds():
    return [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.AsradaptError)
    ]


@pytest.mark.parametrize("kind", kinds())
def test_errors_come_out_of_other_processes_as_they_were(kind):
    made = {
        "UnwritableText": lambda: UnwritableText("5é", addable=False),
        "UnknownName": lambda: kind("speaker", "ann", ["bob"], "Look"),
        "UnknownMethod": lambda: kind("method", "x", ["y"]),
    }.get(kind.__name__, lambda: kind("that"))()
    again = pickle.loads(pickle.dumps(made))
    assert (type(again), str(again), vars(again)) == (kind, str(made), vars(made))


def test_utterances_and_transcripts_can_be_keys(clip):
    utterance = Utterance(clip, fields={"part": "test"})
    assert {utterance: 1, Transcript(utterance, "a", 1.0, False): 2}[utterance] == 1


# ---- what other programs set in PyTorch


def test_callers_may_be_in_inference_mode(own, store, clip):
    alone = {speaker: heard(Transcriber(own, store), clip, speaker) for speaker in ("ann", "cleo")}
    transcriber = Transcriber(own, store)
    with torch.inference_mode():
        assert heard(transcriber, clip, "ann") == alone["ann"]
    assert heard(transcriber, clip, "cleo") == alone["cleo"]
    with torch.inference_mode():
        assert heard(transcriber, clip, "cleo") == alone["cleo"]


def test_a_model_loaded_in_inference_mode_learns_and_so_do_callers_without_gradients(tmp_path, babble):
    path = tmp_path / "0.wav"
    soundfile.write(path, babble(1.5, 0).numpy(), 16_000)
    data = {"ann": [Utterance(path, text, "ann") for text in ("one two", "two three", "three four", "five")]}
    options = EnrolmentOptions(method="affine", passes=1, least_steps=2, forecast=False)
    with torch.inference_mode():
        model = load_model()
        enroll(model, data, options=options)
    with torch.no_grad():
        enroll(model, data, options=options)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_another_type_by_default_is_refused(own, double):
    for work in (load_model, lambda: Transcriber(own), lambda: enroll(own, {})):
        with pytest.raises(UsageError, match="set_default_dtype"):
            work()


def test_random_numbers_of_the_caller_stay_as_they_are():
    state = torch.manual_seed(3).get_state()
    load_model()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_model_is_named_by_a_path_and_a_device(tmp_path):
    with pytest.raises(errors.InputError, match=r"none\.safetensors"):
        load_model(tmp_path / "none.safetensors", device=torch.device("cpu"))


# ---- options and phrases


@pytest.mark.parametrize(
    "wrong",
    [
        {"phrase_strength": float("nan")},
        {"phrase_strength": 50.0},
        {"phrase_strength": -3.0},
        {"segment_seconds": 0.0},
        {"segment_seconds": float("nan")},
        {"batch_seconds": -1.0},
        {"batch_size": -1},
        {"window_seconds": float("inf")},
    ],
)
def test_options_out_of_their_range_are_refused(wrong):
    with pytest.raises(UsageError, match=str(next(iter(wrong.values())))):
        TranscriberOptions(**wrong)


@pytest.mark.parametrize("phrases", ["Kaliningrad", ["Kaliningrad", None], [5]])
def test_phrases_are_a_list_of_texts(store, phrases):
    store.set_vocabulary("ann", ["zoe miller"])
    with pytest.raises(TextError, match="text"):
        store.set_vocabulary("ann", phrases)
    assert store.vocabulary("ann") == ("zoe miller",)
    with pytest.raises(UsageError, match="list"):
        asradapt.decoding.DecoderOptions(phrases="zoe miller")


# ---- samples in memory


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.int32])
def test_samples_in_memory_are_heard_like_a_file(own, store, tmp_path, babble, kind):
    whole = np.round(babble(1.2, 3).numpy() * 2**15).clip(-(2**15), 2**15 - 1)
    path = tmp_path / "clip.wav"
    soundfile.write(path, whole.astype(np.int16), 16_000)
    scale = {np.int16: 1, np.int32: 2**16}.get(kind, 2.0**-15)
    held = asradapt.from_samples((whole * scale).astype(kind), 16_000, speaker="ann", name="call 17")
    window, found = Transcriber(own, store).transcribe([held])
    assert isinstance(window, Window)
    assert found.text == heard(Transcriber(own, store), path, "ann") != ""
    assert found.utterance.audio == Path("call 17")


def test_samples_of_another_rate_are_converted(own, babble):
    held = asradapt.from_samples(babble(1.2, 3).numpy()[::2], 8_000, name="x")
    _, found = Transcriber(own).transcribe([held])
    assert found.seconds == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("samples", "rate", "told"),
    [
        (np.zeros((2, 100), np.float32), 16_000, "one channel"),
        (np.zeros(0, np.float32), 16_000, "no audio"),
        (np.zeros(100, np.float32), 0, "no audio"),
        (np.full(100, np.nan), 16_000, "finite"),
        (np.full(100, 20_000.0), 16_000, "full scale"),
        (np.zeros(100, np.int64), 16_000, "int64"),
        (np.array(["a"]), 16_000, "<U1"),
        ([[0.0], [0.0, 0.1]], 16_000, "whole number of Hz"),
        (np.zeros(100, np.float32), 16_000.5, "whole number of Hz"),
        (np.zeros(100, np.float32), "16000", "whole number of Hz"),
    ],
)
def test_samples_that_are_no_audio_are_refused(samples, rate, told):
    with pytest.raises(AudioError, match=rf"x: .*{told}"):
        asradapt.from_samples(samples, rate, name="x")


def test_a_buffer_may_be_used_again():
    buffer = np.zeros(100, np.float32)
    held = asradapt.from_samples(buffer, 16_000, name="x")
    buffer[:] = 1
    assert not held.samples.any()


def test_the_package_says_that_it_has_types():
    assert (Path(asradapt.__file__).parent / "py.typed").exists()
