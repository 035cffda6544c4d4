"""Foreign models say exactly what their own libraries say."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import torchaudio
from safetensors.torch import load_file, save_file

transformers = pytest.importorskip("transformers")

from families import BUNDLES, KINDS, LETTERS, alive, save_bundle, save_ctc, small_bundle  # noqa: E402
from samples import store_speaker  # noqa: E402

from asradapt.decoding import Decoder, DecoderOptions, greedy_decode  # noqa: E402
from asradapt.enrolment.objective import objective_of  # noqa: E402
from asradapt.errors import InputError, SourceMismatch, UnknownName, UsageError  # noqa: E402
from asradapt.models import ModelOptions, load_model  # noqa: E402
from asradapt.models.torchaudio_bundle import bundles, make_source  # noqa: E402
from asradapt.store import SpeakerStore, check_source  # noqa: E402

RIGHT = "\N{RIGHT SINGLE QUOTATION MARK}"
SAME = {"rtol": 0, "atol": 1e-4}  # sums of another order in fp32; the logits reach 10
SECONDS = (1.0, 0.61, 0.5)


@pytest.fixture(scope="module")
def clips(babble):
    return [babble(seconds, seed) for seed, seconds in enumerate(SECONDS)]


@pytest.fixture(scope="module", params=list(KINDS))
def folder(request, tmp_path_factory):
    return save_ctc(tmp_path_factory.mktemp("kinds") / request.param, request.param)


@pytest.fixture(scope="module")
def ours(folder):
    return load_model(str(folder), device="cpu")


@pytest.fixture(scope="module")
def theirs(folder):
    """The library's own network, feature extractor and tokenizer."""
    network = transformers.AutoModelForCTC.from_pretrained(folder)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    return network.eval(), extractor, transformers.AutoTokenizer.from_pretrained(folder)


def logits_of(theirs, clip):
    """Logits (F, V) of one clip by the library."""
    network, extractor, _ = theirs
    values = extractor(clip.numpy(), sampling_rate=16000, return_tensors="pt").input_values
    with torch.no_grad():
        return network(values).logits[0]


def own_text(theirs, logits):
    """What the library's tokenizer makes of logits; this project writes one case and single spaces."""
    written = theirs[2].decode(logits.argmax(-1).tolist())
    return " ".join(written.lower().split())


@torch.no_grad()
def test_logits_and_text_are_the_librarys_own(ours, theirs, clips, batch):
    together = [clips] if not ours.equal_lengths else [[clip] for clip in clips]
    for some in together:
        logits, frames = ours.forward(*batch(some))
        texts = greedy_decode(logits, frames, ours.tokens)
        for row, clip in enumerate(some):
            expected = logits_of(theirs, clip)
            count = int(frames[row])
            assert count == len(expected)
            own = logits[row, :count][:, torch.tensor(ours.alphabet.order).argsort()]
            torch.testing.assert_close(own, expected, **SAME)
            special = ("<s>", "</s>", "<unk>")
            text = own_text(theirs, expected)
            assert texts[row] == text or any(one in text for one in special)
            assert text


@torch.no_grad()
def test_word_times_are_the_librarys_own(ours, theirs, babble, batch):
    """`output_word_offsets` counts frames; frames are turned into seconds by the same step."""
    for seed in range(20):  # until there is a word boundary in the babble of a random network
        clip = babble(2.0, seed)
        found = theirs[2].decode(logits_of(theirs, clip).argmax(-1).tolist(), output_word_offsets=True)
        if len(found.word_offsets) > 1:
            break
    heard = Decoder(ours.tokens, ours.frame_seconds)(*ours.forward(*batch([clip])))[0]
    step = ours.frame_seconds
    expected = [(one["word"].lower(), one["start_offset"]) for one in found.word_offsets]
    got = [(word.text, round(word.start / step)) for word in heard.words]
    assert len(got) > 1
    assert got == expected


@torch.no_grad()
def test_torchaudio_and_transformers_agree_on_the_same_weights(tmp_path, clips, batch):
    """Both have wav2vec 2.0; the weights of one are put into the names of the other by torchaudio's importer."""
    folder = save_ctc(tmp_path / "hf", "wav2vec2-base", letters=("<pad>", "|", *LETTERS[5:]))
    network = transformers.Wav2Vec2ForCTC.from_pretrained(folder).eval()
    imported = torchaudio.models.wav2vec2.utils.import_huggingface_model(network)
    path = tmp_path / "weights.pth"
    bundle = small_bundle()
    shape = imported.state_dict()
    axes = bundle._remove_aux_axis
    for key in ("aux.weight", "aux.bias"):
        rows = list(shape[key])
        for axis in axes:
            rows.insert(axis, torch.zeros_like(rows[0]))
        shape[key] = torch.stack(rows)
    torch.save(shape, path)
    one = load_model(str(folder), device="cpu")
    other = make_source("SMALL", bundle, path, ModelOptions())
    assert [token for token in one.tokens if len(token) == 1] == [
        token for token in other.tokens if len(token) == 1
    ]
    # the library normalises the waveform for one of them only: feed both what one of them makes of it
    features, frames = one.prepare(*batch(clips))
    torch.testing.assert_close(one.encode(features, frames)[0], other.encode(features, frames)[0], **SAME)


@pytest.mark.parametrize("like", BUNDLES)
@torch.no_grad()
def test_a_bundle_says_what_torchaudio_says(tmp_path, clips, batch, monkeypatch, like):
    bundle = small_bundle(like)
    monkeypatch.setattr(torchaudio.pipelines, "SMALL_ASR", bundle, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    save_bundle(tmp_path / "checkpoints" / bundle._path, bundle)
    ours, theirs = load_model("torchaudio:SMALL_ASR", device="cpu"), _by_torchaudio(bundle, tmp_path, monkeypatch)
    logits, frames = ours.forward(*batch(clips))
    for row, clip in enumerate(clips):
        expected = theirs(clip[None])[0][0]
        assert int(frames[row]) == len(expected)
        torch.testing.assert_close(logits[row, : len(expected)], expected, **SAME)
    assert ours.name == "torchaudio:SMALL_ASR"
    assert ours.tokens[1] == " "
    assert "e" in ours.tokens


def _by_torchaudio(bundle, folder, monkeypatch):
    """The bundle's own `get_model`, which finds the file that it would otherwise download."""
    from torchaudio.pipelines._wav2vec2 import utils

    def cached(url, **_):
        return torch.load(folder / "checkpoints" / url.rsplit("/", 1)[-1], weights_only=True)

    monkeypatch.setattr(utils, "load_state_dict_from_url", cached)
    return bundle.get_model()


def test_every_bundle_that_writes_text_is_known_and_its_network_can_be_built():
    known = bundles()
    assert {"WAV2VEC2_ASR_BASE_960H", "HUBERT_ASR_XLARGE", "VOXPOPULI_ASR_BASE_10K_DE"} <= known.keys()
    assert "WAV2VEC2_BASE" not in known
    for bundle in known.values():
        assert bundle._params["aux_num_out"] == len(bundle.get_labels())
        with torch.device("meta"):
            assert torchaudio.models.wav2vec2_model(**bundle._params).aux is not None


@torch.no_grad()
def test_a_blank_that_is_not_the_first_output_is_moved_there(tmp_path, clips, batch):
    letters = ("|", *LETTERS[5:], "<unk>", "<s>", "</s>", "<pad>")
    folder = save_ctc(tmp_path / "last", "wav2vec2-large", letters=letters, pad_token_id=len(letters) - 1)
    ours = load_model(str(folder), device="cpu")
    network = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    assert ours.tokens[0] == "<blank>"
    assert ours.tokens[1:4] == (" ", "e", "t")
    values = transformers.AutoFeatureExtractor.from_pretrained(folder)(
        clips[0].numpy(), sampling_rate=16000, return_tensors="pt"
    ).input_values
    expected = network(values).logits[0]
    logits, _ = ours.forward(*batch(clips[:1]))
    torch.testing.assert_close(logits[0, :, 0], expected[:, -1], **SAME)
    torch.testing.assert_close(logits[0, :, 1:], expected[:, :-1], **SAME)


def test_letters_of_both_cases_are_kept_as_they_are(tmp_path):
    folder = save_ctc(tmp_path / "both", "hubert", letters=("<pad>", "|", "A", "a", "b", "ß"))
    assert load_model(str(folder), device="cpu").tokens == ("<blank>", " ", "A", "a", "b", "ß")


def test_options_that_a_model_has_no_use_for_are_refused(tmp_path):
    folder = save_ctc(tmp_path / "one", "hubert")
    with pytest.raises(UsageError, match="--task is of no use"):
        load_model(str(folder), device="cpu", options=ModelOptions(task="translate"))
    with pytest.raises(UsageError, match="--language is of no use"):
        load_model(str(folder), device="cpu", options=ModelOptions(language="deu"))
    with pytest.raises(UsageError, match="--weights is of no use for the model source_en"):
        load_model("source_en", device="cpu", options=ModelOptions(weights=tmp_path))


@pytest.mark.parametrize(
    "name", ["torchaudio:NOTHING", "torchaudio:WAV2VEC2_BASE", "no-such-model", "other:thing"]
)
def test_names_that_are_no_model_are_refused_with_what_there_is(name):
    with pytest.raises(UnknownName) as caught:
        load_model(name, device="cpu")
    assert "known: " in str(caught.value)


def test_weights_that_are_not_there_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match="asradapt models fetch torchaudio:HUBERT_ASR_LARGE"):
        load_model("torchaudio:HUBERT_ASR_LARGE", device="cpu")


def test_random_networks_of_these_tests_say_something(ours):
    assert alive is not None
    assert len(ours.tokens) == len(LETTERS)


def test_a_blank_that_tokenizer_and_network_name_differently_is_refused(tmp_path):
    folder = save_ctc(tmp_path / "doubt", "hubert")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"pad_token": "Z"}))
    with pytest.raises(InputError, match=r"tokenizer says 'Z', number 31, and config.json .* says 0"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("beside", [True, False])
def test_a_blank_that_the_tokenizer_names_elsewhere_or_by_default_is_refused_too(tmp_path, beside):
    letters = (*LETTERS[4:], "[PAD]" if beside else "<pad>")
    folder = save_ctc(tmp_path / "model", "hubert", letters=letters)
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        (folder / name).unlink(missing_ok=True)
    if beside:
        (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    with pytest.raises(InputError, match="is in doubt"):
        load_model(str(folder), device="cpu")


def test_a_checkpoint_without_the_mask_of_its_training_is_the_same_every_time(tmp_path):
    """As the published facebook/wav2vec2-base-960h; the library draws what is missing anew."""
    folder = save_ctc(tmp_path / "model", "wav2vec2-base")
    weights = load_file(folder / "model.safetensors")
    del weights["wav2vec2.masked_spec_embed"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    found = set()
    for seed in range(2):
        torch.manual_seed(seed)
        found.add(load_model(str(folder), device="cpu").fingerprint)
    assert len(found) == 1


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_an_adapter_of_any_kernel_counts_the_frames_of_the_library(tmp_path, clips, batch, kernel):
    folder = save_ctc(tmp_path / "model", "wav2vec2-adapter", adapter_kernel_size=kernel)
    model = load_model(str(folder), device="cpu")
    network = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    _, frames = model(*batch(clips))
    for clip, count in zip(clips, frames.tolist(), strict=True):
        assert count == len(logits_of((network, extractor, None), clip))


def test_another_apostrophe_than_that_of_the_texts_is_written_as_theirs(tmp_path):
    letters = tuple(RIGHT if letter == "'" else letter for letter in LETTERS)
    model = load_model(str(save_ctc(tmp_path / "model", "hubert", letters=letters)), device="cpu")
    assert RIGHT not in model.tokens
    _, target = objective_of(model).spell(f"don{RIGHT}t don't")
    assert [model.tokens[number] for number in target] == [*"don't don't"]
    both = load_model(str(save_ctc(tmp_path / "both", "hubert", letters=(*LETTERS, RIGHT))), device="cpu")
    assert {"'", RIGHT} <= set(both.tokens)


@torch.no_grad()
def test_beam_search_never_writes_the_signs_of_a_vocabulary(ours, babble, batch):
    decoder = Decoder(ours.tokens, ours.frame_seconds, None, DecoderOptions(beams=4, phrases=("hello",)))
    found = " ".join(decoder(*ours.forward(*batch([babble(1.5, seed)])))[0].text for seed in range(4))
    assert found.split()
    assert "<" not in found


def test_an_adapter_beside_the_weights_is_refused(tmp_path):
    folder = save_ctc(tmp_path / "both", "hubert")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="holds an adapter of PEFT"):
        load_model(str(folder), device="cpu")


def test_the_same_weights_are_one_source_wherever_they_lie(tmp_path, ours, folder):
    shutil.copytree(folder, tmp_path / "elsewhere")
    again = load_model(str(tmp_path / "elsewhere"), device="cpu")
    assert again.name != ours.name
    record = store_speaker(SpeakerStore(tmp_path / "store"), ours, "ann", "affine")
    check_source(record, again.name, again.fingerprint)
    with pytest.raises(SourceMismatch):
        check_source(record, again.name, "0" * 64)
    with pytest.raises(SourceMismatch):
        check_source(record, "torchaudio:SMALL", again.fingerprint)


def test_a_text_that_does_not_fit_is_known_before(ours, babble, batch):
    """Not one token more than there are frames, and not many fewer."""
    objective, frames = objective_of(ours), int(ours.forward(*batch([babble(1.0)]))[1][0])
    longest = max(count for count in range(60) if objective.fits(list(range(count)), 1.0))
    assert frames - 2 <= longest <= frames
