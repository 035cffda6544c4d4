"""New characters, from the command's list to what is written in a batch of people with different alphabets."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from samples import store_speaker
from tones import LETTERS, RATE, band_hertz

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.tokens import MARGIN, base_letter
from asradapt.decoding import Decoder, DecoderOptions
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.label_space import FROM_TEXTS, characters_in, parse_characters, rare_characters
from asradapt.enrolment.spelling import encode_text
from asradapt.enrolment.updates import TrainingOptions, evaluate_pairs
from asradapt.errors import TextError, UsageError
from asradapt.language import read_arpa
from asradapt.store import SpeakerStore
from asradapt.test_time import EachOptions
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance

# A tone in band 9 means nothing to the source; at the margin a new character is never the likeliest.
BANDS = {letter: 2.0 * number for number, letter in enumerate(LETTERS)} | {"é": 9.0, "ж": 7.0}
# The recogniser of tones is 16 wide and has three numbers that are not zero in a frame; new outputs of real models
# have hundreds to learn from, hence the rate.
OPTIONS = EnrolmentOptions(
    method="head",
    rates=(5.0,),
    passes=20,
    least_steps=40,
    checkpoints=4,
    training=TrainingOptions(),
    forecast=False,
)


def say(text: str, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    time, pause = torch.arange(round(0.12 * RATE)) / RATE, torch.zeros(round(0.08 * RATE))
    sounds = [0.3 * torch.sin(2 * torch.pi * band_hertz(BANDS[letter]) * time) for letter in text]
    clean = torch.cat([pause, *(part for sound in sounds for part in (sound, pause))])
    return clean + 0.003 * torch.randn(clean.shape, generator=generator)


def record(folder: Path, name: str, letters: str, count: int, seed: int = 0) -> list[Utterance]:
    """Recordings of words of these letters by a person."""
    chance, found = random.Random(f"{name}{seed}"), []
    for number in range(count):
        text = " ".join("".join(chance.choices(letters, k=chance.randint(2, 4))) for _ in range(2))
        path = folder / f"{name}{seed}-{number}.wav"
        soundfile.write(path, say(text, 100 * seed + number).numpy(), RATE)
        found.append(Utterance(path, text, name))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("new-letters")


@pytest.fixture(scope="module")
def people(folder):
    return {"ann": record(folder, "ann", "abcdeéé", 9), "ivan": record(folder, "ivan", "abcdeжж", 9)}


@pytest.fixture(scope="module")
def tests(folder):
    return record(folder, "ann", "abcdeéé", 6, seed=7) + record(folder, "ivan", "abcdeжж", 6, seed=7)


@pytest.fixture(scope="module")
def home(tone_model, people, tmp_path_factory):
    """A store with ann and ivan, each with a letter of their own."""
    store = SpeakerStore(tmp_path_factory.mktemp("store"))
    result = enroll(tone_model, people, options=replace(OPTIONS, add_tokens=FROM_TEXTS), store=store)
    return store, {one.record.speaker: one for one in result.speakers}


def texts(transcriber: Transcriber, utterances: list[Utterance]) -> list[str]:
    return [one.text for one in transcriber.transcribe(utterances) if isinstance(one, Transcript)]


# ---- what may be added


def test_a_list_between_spaces_and_a_run_of_characters_are_the_same():
    assert parse_characters(" é ñ ß", "abc") == parse_characters("éñß", "abc") == "éñß"
    assert parse_characters("e\u0301", "abc") == "é"  # put together


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("éé", "named twice: é"),
        ("aé", "can write already: a"),
        ("É", "write é for É"),
        ("-", "no part of a word"),
        ("", "no character"),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 65))), "at most 64 new characters, got 65"),
    ],
)
def test_what_cannot_be_added_is_refused_with_the_reason(given, told):
    with pytest.raises(UsageError, match=told):
        parse_characters(given, ("", " ", "a"))


def test_characters_of_texts_are_the_letters_that_the_model_cannot_write():
    rows = [Utterance(Path("1.wav"), text) for text in ("Ça va? 3 cafés!", "noël", None)]
    assert characters_in(rows, tuple(" abcdefghijklmnopqrstuvwxyz")) == "çéë"


def test_a_text_that_cannot_be_written_names_the_option():
    with pytest.raises(TextError, match=r"cannot write: é ñ; --add-tokens 'éñ' teaches it"):
        encode_text("año é", tuple(" aon"))
    with pytest.raises(TextError) as caught:
        encode_text("a 3", tuple(" aon"))
    assert "--add-tokens" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [({}, "needs the new characters"), ({"tokens": {"characters": "éa"}}, "can write a already")],
)
def test_a_bank_of_tokens_that_cannot_be_is_refused(tone_model, options, told):
    with pytest.raises(UsageError, match=told):
        SpeakerBank(tone_model, create("tokens", options))


def test_a_new_letter_starts_below_the_letter_that_it_is_made_of(tone_model, examples):
    assert [base_letter(one) for one in "éñøßж"] == ["e", "n", "o", "s", "ж"]
    (example,) = examples(1, shift=0.0, texts=["adbec"])
    bank = SpeakerBank(tone_model, create("tokens", {"tokens": {"characters": "éж"}}))
    with torch.no_grad(), bank.attach(tone_model, torch.tensor([0])):
        logits, _ = tone_model.encode(example.features[None], torch.tensor([len(example.features)]))
    letters = [tone_model.tokens.index(letter) for letter in "abcde"]
    assert torch.equal(logits[..., -2], logits[..., letters[-1]] - MARGIN)
    assert torch.equal(logits[..., -1], logits[..., letters].amax(-1) - MARGIN)


@pytest.mark.parametrize("name", ["hf-wav2vec2-large", "torchaudio-large"])
def test_a_foreign_model_s_own_order_of_outputs_is_minded(name, tmp_path, babble):
    families = pytest.importorskip("families", reason="the extra [hf] is not installed")
    model = families.foreign_models(tmp_path)[name]()
    inputs = model.prepare(babble(0.8)[None], torch.tensor([12800]))
    bank = SpeakerBank(model, create("tokens", {"tokens": {"characters": "éñ"}}))
    with torch.no_grad(), bank.attach(model, torch.tensor([0])):
        logits, _ = model.encode(*inputs)
    for column, letter in ((-2, "e"), (-1, "n")):
        assert torch.equal(logits[..., column], logits[..., model.tokens.index(letter)] - MARGIN)


# ---- learning


@pytest.mark.parametrize("name", ["ann", "ivan"])
def test_a_new_letter_is_learned_from_few_recordings_and_the_gate_accepts(home, name):
    one = home[1][name]
    assert one.record.decision == "adapted", one.explanation
    assert one.record.method == "head+tokens"
    assert one.record.options["tokens"] == {"characters": {"ann": "é", "ivan": "ж"}[name]}
    assert one.before.wer > 0.5
    assert one.after.wer < 0.3


def test_people_with_different_new_letters_write_their_own_in_one_batch(tone_model, home, tests):
    store, _ = home
    together = texts(Transcriber(tone_model, store), tests)
    assert together == [text for one in tests for text in texts(Transcriber(tone_model, store), [one])]
    right = sum(text == one.text for text, one in zip(together, tests, strict=True))
    assert right >= len(tests) - 3
    assert not any("ж" in text for text in together[:6])
    assert not any("é" in text for text in together[6:])


def test_who_has_no_new_letters_is_written_exactly_as_without_such_company(tone_model, home, folder):
    store, _ = home
    store_speaker(store, tone_model, "carl", "head", seed=3)
    company = record(folder, "ann", "abcdeé", 3, seed=8) + record(folder, "ivan", "abcdeж", 3, seed=8)
    others = [
        replace(one, speaker=who) for who in (None, "carl") for one in record(folder, "carl", "abcde", 4, seed=9)
    ]
    for decoder in (None, Decoder(tone_model.tokens, tone_model.frame_seconds, None, DecoderOptions(beams=8))):
        alone = texts(Transcriber(tone_model, store, decoder=decoder), others)
        mixed = texts(Transcriber(tone_model, store, decoder=decoder), [*others, *company])
        assert mixed[: len(others)] == alone


def test_the_beam_search_spells_new_letters_with_and_without_a_language_model(tone_model, home, tests, tmp_path):
    store, _ = home
    words = {word for one in tests for word in (one.text or "").split() if set(word) <= set(LETTERS)}
    listed = "\n".join(f"-1.0\t{word}" for word in ("<s>", "</s>", "<unk>", "abc", *sorted(words)))
    path = tmp_path / "words.arpa"
    path.write_text(f"\\data\\\nngram 1={listed.count(chr(10)) + 1}\n\n\\1-grams:\n{listed}\n\n\\end\\\n")
    for language in (None, read_arpa(path)):
        decoder = Decoder(tone_model.tokens, tone_model.frame_seconds, language, DecoderOptions(beams=8))
        found = texts(Transcriber(tone_model, store, decoder=decoder), tests)
        assert sum("é" in text for text in found[:6]) >= 4  # of 6
        assert sum("ж" in text for text in found[6:]) >= 4
        assert not any("ж" in text for text in found[:6])


def test_a_phrase_with_a_new_letter_counts_for_whoever_can_write_it(tone_model, home, tests):
    store, _ = home
    options = DecoderOptions(beams=8, phrases=("éé", "жж"))
    found = texts(Transcriber(tone_model, store, decoder=Decoder(tone_model.tokens, 0.04, None, options)), tests)
    assert len(found) == len(tests)
    assert any("é" in text for text in found[:6])


def test_a_character_of_few_recordings_is_told(people):
    rows = people["ann"]
    only = next(number for number, one in enumerate(rows) if "é" in (one.text or ""))
    told = rare_characters(
        {"ann": [replace(one, text="abc") if n != only else one for n, one in enumerate(rows)]}, "éñ"
    )
    assert told[0] == "ann: the new character é is in 1 only of 9 texts; 3 or more are needed"
    assert told[1].startswith("ann: the new character ñ is in none")


def test_every_utterance_adapts_itself_the_same_in_the_company_of_new_letters(tone_model, home, folder):
    store, _ = home
    company = record(folder, "ann", "abcdeé", 3, seed=8)
    others = [replace(one, speaker=None) for one in record(folder, "carl", "abcde", 3, seed=9)]
    options = TranscriberOptions(adapt_each=EachOptions(steps=3))
    alone = texts(Transcriber(tone_model, store, options), others)
    assert texts(Transcriber(tone_model, store, options), [*others, *company])[:3] == alone


# ---- the store


def test_characters_stay_with_the_speaker_when_enrolled_further(tone_model, home, folder, tmp_path):
    home[0].export("ann", tmp_path / "ann.zip")
    store = SpeakerStore(tmp_path / "again")
    store.import_(tmp_path / "ann.zip")
    assert store.load("ann").record.options["tokens"] == {"characters": "é"}
    more = record(folder, "ann", "abcdeé", 9, seed=5)
    (one,) = enroll(tone_model, {"ann": more}, options=OPTIONS, store=store).speakers
    assert not one.left_out
    assert one.start.startswith("trained from version 1")
    again = record(folder, "ann", "abcdeé", 9, seed=6)
    (wider,) = enroll(tone_model, {"ann": again}, options=replace(OPTIONS, add_tokens="ñ"), store=store).speakers
    assert wider.start.startswith("trained from the source")
    assert one.after.wer < 0.3


def test_a_fresh_enrolment_drops_the_characters_that_it_does_not_name(tone_model, home, folder, tmp_path):
    home[0].export("ann", tmp_path / "ann.zip")
    store = SpeakerStore(tmp_path / "again")
    store.import_(tmp_path / "ann.zip")
    spoken = {"ann": record(folder, "ann", "abcdeé", 6, seed=6)}
    result = enroll(tone_model, spoken, options=OPTIONS, store=store, fresh=True)
    assert any("cannot write: é" in failure.reason for failure in result.failed)
    wide = replace(OPTIONS, add_tokens="ñ")
    told = enroll(tone_model, spoken, options=wide, store=store, fresh=True).warnings
    assert any("the new character ñ" in one for one in told)
    assert not any("new character é" in one for one in told)


def test_the_source_is_scored_on_texts_that_it_cannot_write(tone_model, people):
    data = prepare_examples(tone_model, people["ann"], "é").usable
    scores = evaluate_pairs(tone_model, None, [(0, one) for one in data], TrainingOptions())[0]
    assert all(loss > 1e3 for one in data if "é" in one.text for loss in [scores.losses[id(one)]])
    assert not any("é" in text for text in scores.texts.values())
