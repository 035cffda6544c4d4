"""How well the sounds of a text fit decides among the likeliest texts."""

from __future__ import annotations

import itertools

import numpy
import pytest
import soundfile
import torch
from language_samples import write_arpa
from own_models import ALPHABET, make_model

from asradapt.decoding import Decoder, DecoderOptions, Hypothesis, Weights
from asradapt.decoding.sounds import CONSIDERED, Sounds, ctc
from asradapt.errors import UsageError
from asradapt.language import read_arpa
from asradapt.language.pronouncing import load_pronouncer
from asradapt.test_time import EachOptions
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance

PHONES = ("", " ", *load_pronouncer().phones[1:])


@pytest.fixture(scope="module")
def sounds() -> Sounds:
    return Sounds(load_pronouncer(), PHONES)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    return read_arpa(write_arpa(tmp_path_factory.mktemp("arpa")))


@pytest.fixture(scope="module")
def model():
    made = make_model(mels=20, conditions=(1, 2), phones=len(PHONES))
    made.phones, made.card = PHONES, {"language": "en"}
    return made


def heard_as(text: str, frames: int = 24) -> torch.Tensor:
    """Logits (F, P) of somebody who says the phones of a text, a frame each with a blank behind it."""
    logits = torch.zeros(frames, len(PHONES))
    spoken = [number for phone in load_pronouncer().encode(text, PHONES) for number in (phone, 0)]
    spoken += [0] * (frames - len(spoken))
    logits[torch.arange(frames), torch.tensor(spoken)] = 6.0
    return logits


def texts(*pairs: tuple[str, float]) -> list[Hypothesis]:
    return [Hypothesis(text, (), score, score) for text, score in pairs]


def test_the_text_whose_sounds_were_heard_comes_first(sounds):
    rows = [texts(("no", -1.0), ("knife", -2.0), ("nine", -3.0)), texts(("no", -1.0), ("knife", -2.0))]
    inner = torch.stack([heard_as("nine"), heard_as("no")])
    found = sounds.ranked(rows, inner, torch.tensor([24, 24]), 1.0)
    assert found[0][0].text == "nine"
    assert found[1][0].text == "no"
    assert {one.text for one in found[0]} == {"no", "knife", "nine"}


def test_words_that_sound_alike_are_left_to_the_letters(sounds):
    row = texts(("one", -2.0), ("won", -2.5))
    assert load_pronouncer().pronounce("one") == load_pronouncer().pronounce("won")
    found = sounds.ranked([row], heard_as("one")[None], torch.tensor([24]), 5.0)
    assert [one.text for one in found[0]] == ["one", "won"]


def test_a_score_gains_the_log_probability_of_the_phones(sounds):
    row = texts(("no", -1.0), ("knife", -2.0))
    inner = torch.randn(1, 24, len(PHONES), generator=torch.Generator().manual_seed(0))
    found = {one.text: one.score for one in sounds.ranked([row], inner, torch.tensor([20]), 0.5)[0]}
    for one in row:
        target = torch.tensor(load_pronouncer().encode(one.text, PHONES))
        loss = float(ctc(inner, torch.tensor([20]), [target])[0])
        assert found[one.text] == pytest.approx(one.score - 0.5 * loss, rel=1e-5)


def test_no_words_are_as_likely_as_blanks_alone(sounds):
    quiet = torch.zeros(1, 10, len(PHONES))
    quiet[..., 0] = 8.0
    found = sounds.ranked([texts(("no", -1.0), ("", -1.5))], quiet, torch.tensor([10]), 1.0)
    assert found[0][0].text == ""


def test_what_cannot_be_said_in_so_few_frames_comes_last(sounds):
    row = texts(("people said", -1.0), ("no", -9.0))
    found = sounds.ranked([row], torch.zeros(1, 4, len(PHONES)), torch.tensor([4]), 0.5)
    assert [one.text for one in found[0]] == ["no", "people said"]


def test_a_row_with_a_text_of_unknown_sounds_stays_as_it_is(sounds):
    rows = [texts(("café", -1.0), ("nine", -2.0)), texts(("no", -1.0), ("nine", -2.0)), texts(("no", -1.0)), []]
    inner = heard_as("nine")[None].expand(4, -1, -1)
    found = sounds.ranked(rows, inner, torch.tensor([24] * 4), 1.0)
    assert found[0] == rows[0]
    assert found[1][0].text == "nine"
    assert found[2:] == rows[2:]


def test_rows_do_not_know_each_other(sounds):
    words = ("no", "knife", "nine", "one", "said", "people")
    rows = [
        texts(*((word, -0.1 * place) for place, word in enumerate(row)))
        for row in itertools.permutations(words, 3)
    ]
    inner = torch.randn(len(rows), 24, len(PHONES), generator=torch.Generator().manual_seed(1))
    frames = torch.tensor([14 + row % 10 for row in range(len(rows))])
    together = sounds.ranked(rows, inner, frames, 0.4)
    for row in range(0, len(rows), 7):
        size = int(frames[row])
        alone = sounds.ranked(rows[row : row + 1], inner[row : row + 1, :size], frames[row : row + 1], 0.4)[0]
        assert [one.text for one in alone] == [one.text for one in together[row]]


@pytest.mark.parametrize(
    ("phones", "card"), [((), {"language": "en"}), (PHONES, {"language": "de"}), (PHONES, {})]
)
def test_other_models_have_none(phones, card):
    assert Sounds.of(card, phones) is None


def test_a_decoder_has_them_where_it_searches_with_a_language_model(model, language):
    assert Decoder.of(model, language, DecoderOptions()).sounds is not None
    assert Decoder.of(model, language, DecoderOptions(beams=0)).sounds is None
    assert Decoder.of(model, None, DecoderOptions()).sounds is None
    assert Decoder.of(model, language, DecoderOptions(weights=Weights(language=0.0))).sounds is None
    assert Decoder.of(model, language, DecoderOptions(weights=Weights(sound=0.0))).sounds is None


def test_a_decoder_ranks_what_it_finds_by_them(model, language):
    logits = 2 * torch.randn(2, 24, len(ALPHABET), generator=torch.Generator().manual_seed(2))
    frames, inner = torch.tensor([24, 20]), torch.zeros(2, 24, len(PHONES))
    plain = Decoder.of(model, language, DecoderOptions(best=CONSIDERED))
    loud = Decoder.of(model, language, DecoderOptions(best=3, weights=Weights(sound=50.0)))
    for row, heard in enumerate(plain(logits, frames)):
        assert len(heard.alternatives) == CONSIDERED
        spoken = [load_pronouncer().encode(text, PHONES) for text in heard.alternatives]
        wanted = next(place for place, phones in enumerate(spoken) if place and phones not in spoken[:place])
        said = heard_as(heard.alternatives[wanted])[: int(frames[row])]
        inner[row, : len(said)] = said
        again = loud(logits, frames, inner=[inner])[row]
        assert again.alternatives[0] == heard.alternatives[wanted] != heard.alternatives[0]
        assert again.text == again.alternatives[0]  # the words with their times are those of the text
        assert len(again.alternatives) == 3
    assert (
        loud(logits, frames)[0].alternatives[0] == plain(logits, frames)[0].alternatives[0]
    )  # nothing heard inside


def test_a_narrow_search_compares_what_it_has(model, language):
    logits = torch.randn(1, 24, len(ALPHABET), generator=torch.Generator().manual_seed(2))
    loud = Weights(sound=50.0)
    (plain,) = Decoder.of(model, language, DecoderOptions(beams=4, best=4))(logits, torch.tensor([24]))
    for beams, place in ((1, 0), (4, 1)):
        said = heard_as(plain.alternatives[place])[None]
        decoder = Decoder.of(model, language, DecoderOptions(beams=beams, weights=loud))
        (heard,) = decoder(logits, torch.tensor([24]), inner=[said])
        assert len(heard.alternatives) == 1
        if beams == 4:
            assert heard.text == plain.alternatives[place]


@pytest.mark.parametrize("best", [0, -1])
def test_no_texts_are_refused_with_sounds_as_without(model, language, best):
    logits, inner = torch.randn(1, 24, len(ALPHABET)), torch.zeros(1, 24, len(PHONES))
    with pytest.raises(UsageError, match="best must be from 1"):
        Decoder.of(model, language, DecoderOptions(best=best))(logits, torch.tensor([24]), inner=[inner])


@pytest.mark.parametrize("sound", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_makes_no_sense_is_refused(sound):
    with pytest.raises(UsageError, match="weight of the sounds"):
        Weights(sound=sound)


def test_texts_behind_the_compared_ones_stay_there(sounds):
    row = texts(*(("no " * (CONSIDERED + 4 - place) + "nine", -place / 10) for place in range(CONSIDERED + 4)))
    inner = torch.randn(1, 90, len(PHONES), generator=torch.Generator().manual_seed(0))
    found = sounds.ranked([row], inner, torch.tensor([90]), 3.0)[0]
    assert found[CONSIDERED:] == row[CONSIDERED:]
    assert {one.text for one in found} == {one.text for one in row}
    assert [one.text for one in found] != [one.text for one in row]


@pytest.mark.parametrize("each", [None, EachOptions(steps=1)])
def test_transcribing_listens_to_them(model, language, tmp_path, each, monkeypatch):
    noise = numpy.random.default_rng(0).normal(0, 0.1, 16_000)
    soundfile.write(tmp_path / "a.wav", noise, 16_000)
    seen: list[torch.Tensor] = []
    ranked = Sounds.ranked

    def watched(self, rows, inner, frames, weight):
        seen.append(inner)
        return ranked(self, rows, inner, frames, weight)

    monkeypatch.setattr(Sounds, "ranked", watched)
    decoder = Decoder.of(model, language, DecoderOptions())
    transcriber = Transcriber(model, None, TranscriberOptions(adapt_each=each), decoder)
    found = [one for one in transcriber.transcribe([Utterance(tmp_path / "a.wav")]) if isinstance(one, Transcript)]
    assert len(found) == len(seen) == 1
    assert seen[0].shape[2] == len(PHONES)
