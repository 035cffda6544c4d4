"""On a CUDA device (or a pretended one): rows are independent, people are heard and enrolled as on CPUs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import torch
from samples import random_state, store_speaker
from tones import make_tone_model, record_person

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.mixed import IDENTITY, Member, MixedBank
from asradapt.audio import load_audio
from asradapt.decoding import Decoder, DecoderOptions
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.language import load_language
from asradapt.models import load_model
from asradapt.models.source import with_weights
from asradapt.pace import prepare
from asradapt.phrases import Phrases
from asradapt.store import SpeakerStore
from asradapt.test_time import EachOptions
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance

# In fp32 with TF32 off: other kernels for other shapes sum in another order. The logits reach 10, a leak of
# padding or of a neighbour's adaptation changes them by 1 or more.
SAME = {"rtol": 0, "atol": 1e-3}

METHODS = ("affine", IDENTITY, "lowrank", "affine+lowrank", "input", "bottleneck", "head")


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Convolutions and products in fp32, not TF32."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.fixture
def gpu_model(tiny_model, device):
    return tiny_model(kernel=5).to(device)


@pytest.fixture
def waveforms(babble):
    return [babble(seconds, seed) for seed, seconds in enumerate((0.31, 1.2, 0.05, 0.8, 0.8, 2.0, 1.03))]


@pytest.fixture
def padded(batch, device):
    """Makes a batch (B, T) on the device and its lengths."""
    return lambda waveforms: tuple(part.to(device) for part in batch(waveforms))


def test_tensors_of_two_devices_do_not_mix(device):
    """Shown once, so that what else runs on the device proves something."""
    there, here, places = torch.ones(3, 4, device=device), torch.ones(3, 4), torch.tensor([2, 0])
    refused = (
        lambda: there + here,
        lambda: there @ here.T,
        lambda: torch.cat([there, here]),
        lambda: torch.stack([there[0, 0], here[0, 0]]),
        lambda: torch.where(there > 0, there, here),
        lambda: there.index_put_((places.to(device),), here[:2]),
        lambda: there.gather(1, torch.zeros(3, 1, dtype=torch.int64)),
        lambda: here[places.to(device)],
        lambda: torch.nn.functional.layer_norm(there, (4,), here[0]),
        lambda: there.numpy(),
    )
    for mix in refused:
        with pytest.raises((RuntimeError, IndexError, TypeError)):
            mix()
    assert (there[places] + torch.tensor(1.0)).tolist() == [[2.0] * 4] * 2  # what a GPU allows
    assert here.copy_(there * 2).tolist() == [[2.0] * 4] * 3


@torch.no_grad()
def test_a_row_of_a_batch_equals_the_row_alone(gpu_model, waveforms, padded):
    alone = [gpu_model.forward(*padded([waveform]))[0][0] for waveform in waveforms]
    chance = random.Random(0)
    for order in ([1, 5], [5, 1], [2, 5], *(chance.sample(range(7), 7) for _ in range(3))):
        logits, frames = gpu_model.forward(*padded([waveforms[i] for i in order]))
        assert logits.device == gpu_model.device
        for row, index in enumerate(order):
            assert int(frames[row]) == len(alone[index])
            torch.testing.assert_close(logits[row, : len(alone[index])], alone[index], **SAME)


@torch.no_grad()
def test_a_mixed_batch_equals_every_speaker_alone(gpu_model, waveforms, padded):
    members = [
        Member(name, {}, {} if name == IDENTITY else random_state(gpu_model, name, seed=seed))
        for seed, name in enumerate(METHODS)
    ]
    mixed, inputs = MixedBank(gpu_model), padded(waveforms)
    source, _ = gpu_model.forward(*inputs)
    with mixed.attach(gpu_model, members):
        together, _ = gpu_model.forward(*inputs)
    for row, (member, waveform) in enumerate(zip(members, waveforms, strict=True)):
        if member.method == IDENTITY:
            assert torch.equal(together[row], source[row])
            continue
        bank = SpeakerBank(gpu_model, create(member.method))
        bank.load(0, member.state)
        with bank.attach(gpu_model, torch.tensor([0], device=gpu_model.device)):
            alone = gpu_model.forward(*padded([waveform]))[0][0]
        torch.testing.assert_close(together[row, : len(alone)], alone, **SAME)
        assert float((alone - source[row, : len(alone)]).abs().max()) > 0.1


def test_mixed_transcription_equals_file_by_file(gpu_model, waveforms, tmp_path):
    store = SpeakerStore(tmp_path / "store")
    clips = []
    for seed, (method, waveform) in enumerate(zip((*METHODS[:-1], "encoder"), waveforms, strict=True)):
        speaker = f"speaker{seed}"
        store_speaker(store, gpu_model, speaker, method, seed=seed)
        soundfile.write(tmp_path / f"{seed}.wav", waveform.numpy(), 16_000)
        clips.append(Utterance(tmp_path / f"{seed}.wav", speaker=speaker))
    one_by_one, mixed = (
        [
            item.text
            for item in Transcriber(gpu_model, store, TranscriberOptions(batch_size=size)).transcribe(clips)
            if isinstance(item, Transcript)
        ]
        for size in (1, 0)
    )
    assert len(mixed) == len(clips)
    assert mixed == one_by_one


def test_enrolment_decides_as_on_the_cpu(tmp_path, device):
    people = {
        "ann": record_person(tmp_path, "ann", shift=1.0),
        "anna": record_person(tmp_path, "anna", shift=-1.0, utterances=6),
        "bob": record_person(tmp_path, "bob", utterances=4),
    }
    options = EnrolmentOptions(method="input", rates=(10.0,), passes=20, checkpoints=2)
    cpu, gpu = (enroll(make_tone_model().to(place), people, options=options).speakers for place in ("cpu", device))
    assert [one.record.decision for one in cpu] == ["adapted", "adapted", "source"]
    for one, other in zip(cpu, gpu, strict=True):
        assert (one.record.speaker, one.record.decision) == (other.record.speaker, other.record.decision)
        assert one.record.split == other.record.split
        assert one.record.source == other.record.source
        assert one.before == other.before
        assert abs(one.after.wer - other.after.wer) < 0.1
        assert one.state.keys() == other.state.keys()
        assert all(tensor.device.type == "cpu" for tensor in other.state.values())


@pytest.mark.parametrize("beams", [0, 4])
def test_a_recording_is_heard_as_on_the_cpu(device, beams):
    """From file to words by the embedded model: searched with a language model, or adapted to it."""
    clip = sorted((Path(__file__).parents[1] / "data" / "demo" / "audio").glob("*.opus"))[0]
    options = TranscriberOptions(adapt_each=None if beams else EachOptions())
    search = DecoderOptions(beams=beams, phrases=Phrases(["Kaliningrad"] if beams else []))
    found = []
    for place in ("cpu", device):
        model = load_model(device="cpu").to(place)
        decoder = Decoder.of(model, load_language() if beams else None, search)
        heard = Transcriber(model, None, options, decoder).transcribe([Utterance(clip)])
        found += [one for one in heard if isinstance(one, Transcript)]
    here, there = found
    assert len(here.text.split()) > 1
    assert there.text == here.text
    for one, other in zip(here.words, there.words, strict=True):
        assert other.start == pytest.approx(one.start, abs=0.05)
        assert other.confidence == pytest.approx(one.confidence, abs=0.02)


@torch.no_grad()
def test_a_merged_model_slows_down_as_on_the_cpu(device, batch, padded):
    """It has a second network for it, which moves as well."""
    clips = sorted((Path(__file__).parents[1] / "data" / "demo" / "audio").glob("*.opus"))[:4]
    source = load_model("source_en", device="cpu")
    weights = {name: 1.01 * value for name, value in source.module.state_dict().items()}
    model = with_weights(source, "merged", weights, {}, paced=True)
    heard = [torch.from_numpy(load_audio(clip, model.sample_rate).samples) for clip in clips]
    here = prepare(model, *batch(heard))
    there = prepare(model.to(device), *padded(heard))
    assert float(here.tempo.min()) < 1
    torch.testing.assert_close(there.tempo.cpu(), here.tempo)
    torch.testing.assert_close(there.features.cpu(), here.features, rtol=0, atol=1e-2)


@pytest.fixture
def moved(family_model, device):
    """The model of a family on the device; it is shared and comes back to the CPU."""
    yield lambda: family_model.to(device)
    family_model.to("cpu")


@torch.no_grad()
def test_models_of_every_family_hear_as_on_the_cpu(family_model, moved, waveforms, batch, padded):
    alike = [waveforms[3], waveforms[4]]  # of one length, so that models that leak padding take them together
    here, lengths = family_model.forward(*batch(alike))
    model = moved()
    bank = SpeakerBank(model, create("affine"), speakers=2)
    with bank.attach(model, torch.tensor([1, 0], device=model.device)):
        there, frames = model.forward(*padded(alike))
    assert there.device.type != "cpu"
    assert frames.tolist() == lengths.tolist()
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-2)
