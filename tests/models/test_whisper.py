"""Whisper as a source model, on small random checkpoints: equal to the library, independent rows, refusals."""

from __future__ import annotations

import copy
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
import transformers
from safetensors.torch import load_file, save_file
from transformers.models.whisper.generation_whisper import _dynamic_time_warping
from whisper_samples import save_whisper

from asradapt.adaptation import METHODS, SpeakerBank, create
from asradapt.enrolment.objective import WrittenObjective, token_losses
from asradapt.errors import InputError, TextError, UsageError
from asradapt.features import mask
from asradapt.models import ModelOptions, load_model
from asradapt.models.base import SITE_KINDS, Seq2SeqModel, SourceModel, computed_seconds, fingerprint, writes
from asradapt.models.whisper.features import fill_window, silence
from asradapt.models.whisper.words import costs_of, entries, split_words, timed_words

# Sums in another order, as for the other models; logits reach 13 and states 4 here.
SAME = {"rtol": 0, "atol": 1e-4}
SECONDS = (0.31, 1.2, 0.05, 0.8, 0.8, 2.98, 3.0, 3.6)  # the window has three: the last is cut, as the library does
PROMPT = 2  # tokens, of a model of English alone


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_whisper(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def model(folder) -> Seq2SeqModel:
    return load_model(str(folder), device="cpu")


@pytest.fixture(scope="module")
def library(folder):
    """The library's own network, extractor and tokenizer of the same folder."""
    return (
        transformers.WhisperForConditionalGeneration.from_pretrained(folder),
        transformers.WhisperFeatureExtractor.from_pretrained(folder),
        transformers.WhisperTokenizer.from_pretrained(folder),
    )


@pytest.fixture(scope="module")
def clips(babble):
    return [babble(seconds, seed) for seed, seconds in enumerate(SECONDS)]


@pytest.fixture(scope="module")
def windows(library, clips):
    """What the library's extractor makes of the clips, (8, 80, 300)."""
    return library[1]([clip.numpy() for clip in clips], sampling_rate=16000, return_tensors="pt").input_features


@pytest.fixture(scope="module")
def inputs(model, clips, batch):
    return model.prepare(*batch(clips))


def texts_of(model: Seq2SeqModel, count: int) -> list[torch.Tensor]:
    texts = ("the cat", "sitting", "a thing", "he", "them", "in the hat", "oh", "the")
    return [torch.tensor(model.spell(text)[1]) for text in texts[:count]]


def orders() -> list[list[int]]:
    chance = random.Random(0)
    return [*([i] for i in range(8)), [1, 5], [6, 2], *(chance.sample(range(8), 8) for _ in range(2))]


# ---- equal to the library


def test_features_are_those_of_the_librarys_extractor(model, inputs, windows):
    features, frames = inputs
    ours = fill_window(features, frames, silence(features, frames), windows.shape[2])
    torch.testing.assert_close(ours.transpose(1, 2), windows, rtol=0, atol=1e-5)
    assert features.shape[1] == int(frames.max()) == 300
    assert int(frames[2]) == 7  # 0.05 s are seen by seven frames; only these are kept


def test_features_of_silence_are_those_of_the_librarys_extractor(model, library):
    quiet = torch.zeros(1, 9000)
    features, frames = model.prepare(quiet, torch.tensor([9000]))
    theirs = library[1](quiet[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    ours = fill_window(features, frames, silence(features, frames), 300)
    torch.testing.assert_close(ours.transpose(1, 2), theirs, rtol=0, atol=1e-6)


@torch.no_grad()
def test_states_and_logits_are_those_of_the_library(model, library, inputs, windows):
    targets = texts_of(model, 8)
    states, counts = model.encode(*inputs)
    theirs = library[0].model.encoder(windows).last_hidden_state
    torch.testing.assert_close(states, theirs, **SAME)
    assert counts.tolist() == [(frames + 1) // 2 for frames in inputs[1].tolist()]
    logits = model.logits(states, targets)
    assert logits.shape == (8, max(map(len, targets)), library[0].config.vocab_size)
    for row, target in enumerate(targets):
        given = torch.tensor([[*model.prompt, *target[:-1].tolist()]])
        expected = library[0](input_features=windows[row : row + 1], decoder_input_ids=given).logits
        torch.testing.assert_close(logits[row, : len(target)], expected[0, PROMPT - 1 :], **SAME)


@torch.no_grad()
def test_the_loss_is_that_of_the_library(model, library, inputs, windows):
    target = texts_of(model, 1)[0]
    states, _ = model.encode(*inputs)
    labels = torch.tensor([[*model.prompt[1:], *target.tolist()]])
    ours = token_losses(model.logits(states[:1], [target]), [target])
    logits = library[0](input_features=windows[:1], labels=labels).logits[
        :, PROMPT - 1 :
    ]  # the prompt not counted
    theirs = torch.nn.functional.cross_entropy(logits[0], target, reduction="sum")
    torch.testing.assert_close(ours[0], theirs, rtol=1e-4, atol=1e-4)


def test_texts_are_those_of_the_librarys_generation(model, library, inputs, windows):
    written = library[2].batch_decode(library[0].generate(windows), skip_special_tokens=True)
    states, counts = model.encode(*inputs)
    texts = model.texts(states)
    assert texts == [" ".join(text.split()) for text in written]
    assert [heard.text for heard in model.write(states, counts)] == texts
    assert len(set(texts)) > 3  # the random model hears something else in most


def test_the_prompt_is_what_the_librarys_generation_begins_with(tmp_path, library, windows):
    many = save_whisper(tmp_path / "many", many=True)
    network = transformers.WhisperForConditionalGeneration.from_pretrained(many)
    for given, options in (
        ({"language": "de", "task": "transcribe"}, ModelOptions(language="german")),
        ({"language": "fr", "task": "translate"}, ModelOptions(language="<|fr|>", task="translate")),
        ({"language": "en", "task": "transcribe"}, ModelOptions(language="EN")),
    ):
        found = network.generate(windows[:1], force_unique_generate_call=True, **given)[0].tolist()
        model = load_model(str(many), device="cpu", options=options)
        assert list(model.prompt) == found[:4]
        assert model.card["language"] == given["language"]


# ---- rows are independent


@pytest.mark.parametrize("order", orders(), ids=lambda order: "".join(map(str, order)))
@torch.no_grad()
def test_a_row_of_a_batch_equals_the_row_alone(model, clips, batch, order):
    targets = texts_of(model, 8)
    states, counts = model.forward(*batch([clips[i] for i in order]))
    logits = model.logits(states, [targets[i] for i in order])
    written = model.write(states, counts)
    for row, index in enumerate(order):
        alone, count = model.forward(*batch([clips[index]]))
        torch.testing.assert_close(states[row], alone[0], **SAME)
        expected = model.logits(alone, [targets[index]])[0]
        torch.testing.assert_close(logits[row, : len(expected)], expected, **SAME)
        heard = model.write(alone, count)[0]
        assert [(w.text, w.start, w.end) for w in written[row].words] == [
            (w.text, w.start, w.end) for w in heard.words
        ]


@torch.no_grad()
def test_noise_behind_recording_and_features_changes_nothing(model, clips, batch, inputs):
    waveforms, lengths = batch(clips)
    noise = 30 * torch.randn(waveforms.shape, generator=torch.Generator().manual_seed(1))
    dirty = torch.where(mask(lengths, waveforms.shape[1]), waveforms, noise)
    assert torch.equal(model.prepare(dirty, lengths)[0], inputs[0])
    features, frames = inputs
    noise = 30 * torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    behind = torch.where(mask(frames, features.shape[1])[..., None], features, noise)
    assert torch.equal(model.encode(behind, frames)[0], model.encode(features, frames)[0])


@torch.no_grad()
@pytest.mark.parametrize(
    "name", [name for name, one in METHODS.items() if not one.one_speaker and name != "tokens"]
)
def test_a_mixed_batch_writes_what_each_speaker_alone_would(model, inputs, name):
    bank = SpeakerBank(model, create(name), speakers=5)
    generator = torch.Generator().manual_seed(0)
    for tensor in bank.tensors.values():
        wide = tensor[0, ..., 0].numel() if tensor.ndim > 2 else 1
        tensor += 0.4 * wide**-0.5 * torch.randn(tensor.shape, generator=generator)
    rows = [3, 0, 4, 4, 1, 2, 0, 2]
    source = model.texts(model.encode(*inputs)[0])
    with bank.attach(model, torch.tensor(rows)):
        states, counts = model.encode(*inputs)
        together, timed = model.texts(states), model.write(states, counts)
    assert together != source
    for row, speaker in enumerate(rows):
        features, frames = inputs[0][row : row + 1, : int(inputs[1][row])], inputs[1][row : row + 1]
        with bank.select([speaker]).attach(model, torch.tensor([0])):
            assert model.texts(model.encode(features, frames)[0]) == [together[row]] == [timed[row].text]
    assert model.texts(model.encode(*inputs)[0]) == source


# ---- what the protocol names


@torch.no_grad()
def test_every_site_is_a_module_of_the_stated_widths_and_fires_once(model, inputs):
    modules, fired = dict(model.module.named_modules()), {}
    handles = []
    for site in model.sites:

        def hook(_, taken, given, name=site.name):
            fired.setdefault(name, []).append((taken[0].shape, given.shape))

        handles.append(modules[site.name].register_forward_hook(hook))
    model.logits(model.encode(*inputs)[0], texts_of(model, 8))
    for handle in handles:
        handle.remove()
    assert set(fired) == {site.name for site in model.sites}
    for site in model.sites:
        assert site.kind in SITE_KINDS
        ((taken, given),) = fired[site.name]
        assert (taken[0], taken[2], given[0], given[2]) == (8, site.width_in, 8, site.width)
        assert taken[1] == given[1]


def test_sites_are_all_places_of_encoder_and_decoder(model):
    names = [site.name for site in model.sites]
    assert len(set(names)) == len(names) == 1 + 2 * 9 + 1 + 2 * 14 + 1 + 1
    assert {site.kind for site in model.sites} == set(SITE_KINDS)
    linear = [name for name, part in model.module.named_modules() if isinstance(part, torch.nn.Linear)]
    norms = [name for name, part in model.module.named_modules() if isinstance(part, torch.nn.LayerNorm)]
    assert set(linear) | set(norms) <= set(names)


def test_every_weight_site_is_a_parameter_but_no_embedding(model):
    parameters = dict(model.module.named_parameters())
    assert all(tuple(parameters[site.name].shape) == site.shape for site in model.weights)
    left = set(parameters) - {site.name for site in model.weights}
    assert left == {
        f"whisper.model.{name}.weight"
        for name in ("encoder.embed_positions", "decoder.embed_positions", "decoder.embed_tokens")
    }


def test_a_model_offers_what_the_protocol_names(model):
    assert isinstance(model, SourceModel)
    assert writes(model)
    assert (model.name, model.tokens, model.sample_rate) == ("hf:small", (), 16000)
    assert (model.frame_seconds, model.window_seconds) == (0.02, 3.0)
    assert computed_seconds(model, 0.5) == 3.0
    assert not model.equal_lengths
    assert not any(part.training for part in model.module.modules())
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_a_model_of_ctc_outputs_is_none_that_writes(tiny_model):
    assert not writes(tiny_model())
    assert computed_seconds(tiny_model(), 0.5) == 0.5


def test_the_fingerprint_is_that_of_the_weights(model):
    assert model.fingerprint == fingerprint(model.module) == fingerprint(copy.deepcopy(model.module))


@torch.no_grad()
@pytest.mark.parametrize("precision", ["bf16"])
def test_another_precision_computes_nearly_the_same(folder, model, inputs, precision):
    rough = load_model(str(folder), device="cpu", options=ModelOptions(precision=precision))
    states, _ = rough.encode(*inputs)
    assert states.dtype == torch.bfloat16
    close, _ = model.encode(*inputs)
    assert float((states - close).abs().mean()) < 0.05
    assert len(rough.texts(states)) == 8


# ---- texts and words


def test_a_text_is_spelt_as_it_was_written(model, library):
    normal, tokens = model.spell("  The cat,\n sitting! ")
    assert normal == "the cat sitting"
    assert library[2].decode(tokens, skip_special_tokens=True) == " The cat, sitting!"
    assert tokens[-1] == library[0].config.eos_token_id


def test_words_that_were_added_to_a_tokenizer_are_words(folder, tmp_path):
    tokenizer = transformers.WhisperTokenizer.from_pretrained(folder)
    network = transformers.WhisperForConditionalGeneration.from_pretrained(folder)
    tokenizer.add_tokens(["zzz"])
    network.resize_token_embeddings(len(tokenizer))
    shutil.copytree(folder, tmp_path / "more")
    (tmp_path / "more" / "tokenizer.json").unlink()
    for one in (tokenizer, network):
        one.save_pretrained(tmp_path / "more")
    model = load_model(str(tmp_path / "more"), device="cpu")
    _, tokens = model.spell("the zzz sat")
    assert tokenizer.convert_tokens_to_ids("zzz") in tokens
    assert "zzz" in model._decode(model._until_end(tokens))
    with pytest.raises(TextError, match="a sign of the model's own"):
        model.spell("the <|notimestamps|>")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "the text is empty"),
        (" \n", "the text is empty"),
        ("?!", "holds no word"),
        ("thank you 😀", "cannot write: 😀"),
        ("the end <|endoftext|>", "a sign of the model's own"),
        ("cat " * 9, "the text has 36 tokens, and the model writes 21 at most"),
    ],
)
def test_a_text_that_cannot_be_written_is_refused(model, text, message):
    with pytest.raises(TextError, match=message.replace("|", r"\|")):
        model.spell(text)


@torch.no_grad()
def test_words_lie_in_order_within_the_audio(model, inputs):
    states, counts = model.encode(*inputs)
    heard = model.write(states, counts)
    assert any(len(one.words) > 1 for one in heard)
    for one, count in zip(heard, counts.tolist(), strict=True):
        times = [time for word in one.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= count * model.frame_seconds + 1e-9
        assert all(0 < word.confidence < 1 for word in one.words)


@torch.no_grad()
def test_confidence_is_the_mean_probability_of_a_words_tokens(model, inputs):
    states, counts = model.encode(*inputs)
    for row, (heard, tokens) in enumerate(zip(model.write(states, counts), model._written(states), strict=True)):
        target = torch.tensor(tokens)
        logits = model.logits(states[row : row + 1], [target])[0]
        sure = logits.softmax(-1).gather(1, target[:, None])[:, 0]
        words = split_words(tokens, model._decode)
        expected = [float(sure[places].log().mean().exp()) for _, places in words]
        assert [word.confidence for word in heard.words] == pytest.approx(expected, rel=1e-3, abs=2e-6)


def test_a_model_without_alignment_heads_looks_with_the_upper_half(model, folder, tmp_path, inputs):
    layers = model.module.whisper.config.decoder_layers
    assert model.module.alignment_heads() == [(layers - 1, 0), (layers - 1, 1)]
    chosen = copy.deepcopy(model.module)
    chosen.whisper.generation_config.alignment_heads = [[0, 1]]
    assert chosen.alignment_heads() == [(0, 1)]
    chosen.whisper.generation_config.alignment_heads = [[layers, 0], [0, 99], [0, 1]]  # its teacher had more
    assert chosen.alignment_heads() == [(0, 1)]
    chosen.whisper.generation_config.alignment_heads = [[layers, 0]]
    assert chosen.alignment_heads() == model.module.alignment_heads()


@torch.no_grad()
def test_what_the_decoder_looks_at_is_the_librarys_cross_attention(model, folder, inputs):
    eager = transformers.WhisperForConditionalGeneration.from_pretrained(folder, attn_implementation="eager")
    states, target = model.encode(*inputs)[0], texts_of(model, 1)[0]
    given = torch.tensor([[*model.prompt, *target.tolist()]])
    with model.module.watched([(0, 1), (1, 0)]) as seen:
        model.module.decode(states[:1], given)
    looks = model.module.looks(seen, [(0, 1), (1, 0)], 0)
    theirs = eager(encoder_outputs=(states[:1],), decoder_input_ids=given, output_attentions=True).cross_attentions
    torch.testing.assert_close(looks[0], theirs[0][0, 1], rtol=0, atol=1e-5)
    torch.testing.assert_close(looks[1], theirs[1][0, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (5, 5), (7, 40), (12, 13), (20, 6), (30, 90)])
def test_time_warping_is_that_of_the_library(rows, columns):
    costs = np.random.default_rng(rows).normal(size=(rows, columns))
    text, time = _dynamic_time_warping(costs)
    jumps = np.pad(np.diff(text), (1, 0), constant_values=1).astype(bool)
    assert entries(costs) == time[jumps].tolist()


def test_costs_are_those_of_the_library():
    weights = torch.rand(3, 5, 30, generator=torch.Generator().manual_seed(0)).softmax(-1)
    scaled = (weights - weights.mean(-2, keepdim=True)) / weights.std(-2, keepdim=True, unbiased=False)
    from transformers.models.whisper.generation_whisper import _median_filter

    expected = -_median_filter(scaled[None], 7)[0].mean(0)
    np.testing.assert_allclose(costs_of(weights, 7), expected.double().numpy(), atol=1e-5)
    assert np.isfinite(costs_of(weights[:, :1], 7)).all()  # one token: nothing to compare with


def test_words_begin_with_spaces_and_hold_whole_characters(library):
    tokenizer = library[2]

    def decode(tokens):
        return tokenizer.decode(list(tokens), skip_special_tokens=True)

    tokens = tokenizer(" the café — sat", add_special_tokens=False).input_ids
    words = split_words(tokens, decode)
    assert [text for text, _ in words] == ["the", "café", "—", "sat"]
    assert sorted(place for _, places in words for place in places) == list(range(len(tokens)))
    broken = [200, *tokens[:1]]
    assert " ".join(text for text, _ in split_words(broken, decode)) == " ".join(decode(broken).split())
    assert split_words([], decode) == []


def test_words_at_one_place_still_follow_each_other():
    words = [("a", [0]), ("b", [1]), ("c", [2, 3])]
    found = timed_words(words, [4, 4, 4, 4, 9], [0.5] * 4, 0.02, 0.2)
    assert [time for w in found for time in (w.start, w.end)] == pytest.approx([0.08, 0.1, 0.1, 0.12, 0.12, 0.18])
    assert found[0].confidence == pytest.approx(0.5)


# ---- augmentation


def test_augmented_features_keep_their_range_and_fit_the_window(model, inputs):
    from asradapt.enrolment.augmentation import NO_AUGMENTATION, Augmentation
    from asradapt.enrolment.examples import Example
    from asradapt.types import Utterance

    objective = WrittenObjective(model)
    features = inputs[0][5][: int(inputs[1][5])]
    example = Example(Utterance(Path("x.wav"), "a"), features, "a", torch.tensor([1]), 2.98)
    assert objective.augmented(example, NO_AUGMENTATION, "1") is features
    changed = [objective.augmented(example, Augmentation(), str(seed)) for seed in range(5)]
    assert all(len(one) == len(features) for one in changed)  # another tempo would not fit
    assert all(features.min() <= one.min() <= one.max() <= features.max() for one in changed)
    assert not torch.equal(changed[0], changed[1])
    shorter = replace(example, features=features[:100], seconds=1.0)
    assert len({len(objective.augmented(shorter, Augmentation(), str(seed))) for seed in range(5)}) > 1


# ---- refusals


def test_a_model_of_english_alone_takes_neither_language_nor_task(folder):
    for options, said in (
        (ModelOptions(language="en"), "--language is of no use"),
        (ModelOptions(task="transcribe"), "--task is of no use"),
        (ModelOptions(language="de", task="translate"), "--language and --task are of no use"),
    ):
        with pytest.raises(UsageError, match=said):
            load_model(str(folder), device="cpu", options=options)


def test_a_model_of_many_languages_wants_to_know_which(tmp_path):
    many = save_whisper(tmp_path / "many", many=True)
    with pytest.raises(UsageError, match=r"many languages; --language takes one of 3: de, en, fr"):
        load_model(str(many), device="cpu")
    with pytest.raises(UsageError, match=r"no language 'xx'; --language takes one of 3: de, en, fr"):
        load_model(str(many), device="cpu", options=ModelOptions(language="xx"))


def test_options_of_other_models_are_refused(folder, tmp_path):
    with pytest.raises(UsageError, match=r"--weights is of no use for .*small, a Whisper model"):
        load_model(str(folder), device="cpu", options=ModelOptions(weights=tmp_path))


def damaged(folder: Path, tmp_path: Path, change) -> str:
    """What is said of a copy of the folder with a change."""
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    change(other)
    with pytest.raises(InputError) as caught:
        load_model(str(other), device="cpu")
    return str(caught.value)


def without(*names: str):
    return lambda folder: [(folder / name).unlink() for name in names]


def edited(name: str, **values):
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def lacking(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.decoder.layers.0.fc1.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            without("tokenizer.json", "vocab.json"),
            "has no tokenizer (tokenizer.json, or vocab.json and merges.txt)",
        ),
        (without("preprocessor_config.json"), "has no preprocessor_config.json"),
        (without("model.safetensors"), "holds no weights"),
        (
            edited("preprocessor_config.json", feature_size=40),
            "300 frames of 40 bands, the network takes 300 of 80",
        ),
        (edited("preprocessor_config.json", chunk_length=30), "3000 frames of 80 bands"),
        (edited("config.json", eos_token_id=5), "does not fit"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "the tokenizer in"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "cannot be loaded"),
        (lacking, "lack 1 tensors of the network: model.decoder.layers.0.fc1.weight"),
    ],
    ids=range(9),
)
def test_a_damaged_checkpoint_is_refused_with_what_is_wrong(folder, tmp_path, change, message):
    assert message in damaged(folder, tmp_path, change)


def test_an_outdated_checkpoint_of_many_languages_is_refused(tmp_path):
    many = save_whisper(tmp_path / "many", many=True)
    edited("generation_config.json", lang_to_id=None)(many)
    with pytest.raises(InputError, match=r"generation_config\.json .* is outdated"):
        load_model(str(many), device="cpu", options=ModelOptions(language="en"))


def test_a_pickle_is_read_only_when_it_is_allowed(folder, tmp_path, model):
    other = tmp_path / "pickled"
    shutil.copytree(folder, other)
    torch.save(load_file(other / "model.safetensors"), other / "pytorch_model.bin")
    (other / "model.safetensors").unlink()
    with pytest.raises(InputError, match="--allow-pickle"):
        load_model(str(other), device="cpu")
    allowed = load_model(str(other), device="cpu", options=ModelOptions(allow_pickle=True))
    assert allowed.fingerprint == model.fingerprint
    (other / "pytorch_model.bin").write_bytes(b"RIFF garbage")
    with pytest.raises(InputError, match="a pickle that holds more than tensors, or is damaged"):
        load_model(str(other), device="cpu", options=ModelOptions(allow_pickle=True))
