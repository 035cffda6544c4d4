"""What a model writes anyway is divided out where a language model brings a prior of its own, and only there."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from language_samples import TOKENS, write_arpa

from asradapt.cli.decoding_options import default_decoder, open_decoder
from asradapt.cli.enroll_work import teacher_of
from asradapt.decoding import Decoder, DecoderOptions, Weights
from asradapt.decoding.decoder import fitted
from asradapt.decoding.fusion import WITHOUT_PRIOR
from asradapt.decoding.priors import TokenPrior
from asradapt.enrolment.pseudo import teacher_for
from asradapt.errors import InputError
from asradapt.language import load_language, read_arpa
from asradapt.models import DEFAULT_MODEL, load_model
from asradapt.models.source import with_weights

COUNT = len(TOKENS)
EVEN = tuple([-math.log(COUNT)] * COUNT)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    return read_arpa(write_arpa(tmp_path_factory.mktemp("arpa")))


@pytest.fixture(scope="module")
def source():
    return load_model(DEFAULT_MODEL, device="cpu")


def model_with(card):
    return SimpleNamespace(tokens=TOKENS, frame_seconds=0.04, card=card)


def test_the_weighted_prior_is_taken_from_every_frame_and_added_tokens_have_the_mean():
    prior = TokenPrior((-0.5, -1.0, -3.0))
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    mean = math.log((math.exp(-1.0) + math.exp(-3.0)) / 2)
    expected = torch.tensor([-0.5, -1.0, -3.0, mean, mean])
    torch.testing.assert_close(prior.divided_out(logits, 0.5), logits - 0.5 * expected)
    torch.testing.assert_close(prior.divided_out(logits, 0.0), logits)


def test_the_card_says_it_or_there_is_none(language):
    assert Decoder.of(model_with({}), language, DecoderOptions()).options.prior is None
    decoder = Decoder.of(model_with({"token_prior": list(EVEN)}), language, DecoderOptions())
    assert decoder.options.prior == TokenPrior(EVEN)
    own = TokenPrior((-1.0, *EVEN[1:]))  # whoever names one knows
    named = Decoder.of(model_with({"token_prior": list(EVEN)}), language, DecoderOptions(prior=own))
    assert named.options.prior == own


@pytest.mark.parametrize(
    "said",
    [
        EVEN[1:],
        [*EVEN[1:], 0.5],
        [*EVEN[1:], math.nan],
        [*EVEN[1:], -1e9],
        [0.0] * COUNT,
        [*EVEN[1:], "x"],
        3,
        None,
    ],
)
def test_a_card_that_says_something_else_is_refused(said):
    with pytest.raises(InputError, match=f"not {COUNT} log probabilities"):
        TokenPrior.of({"token_prior": said}, TOKENS)


def test_a_letter_that_is_seldom_written_is_heard_sooner_with_a_language_model_and_not_without(language):
    letters = [token for token in TOKENS[2:] if token.isalpha()]
    often, seldom = (TOKENS.index(letter) for letter in letters[:2])
    logits = torch.full((1, 3, COUNT), -9.0)
    logits[0, :, 0], logits[0, 1, often], logits[0, 1, seldom] = -3.0, 1.0, 0.0
    values = list(EVEN)
    values[seldom] = -20.0
    prior = TokenPrior(tuple(values))

    def text(model, weight):
        options = DecoderOptions(prior=prior, weights=Weights(language=1e-6, word=0.0, prior=weight))
        return Decoder(TOKENS, 0.04, model, options)(logits, torch.tensor([3]))[0].text

    assert text(language, 0.0) == text(None, 0.6) == TOKENS[often]
    assert text(language, 0.6) == TOKENS[seldom]


def test_without_a_prior_the_weights_are_those_that_suit_without(language):
    assert Decoder(TOKENS, 0.04, language, DecoderOptions()).weights == WITHOUT_PRIOR
    assert Decoder(TOKENS, 0.04, language, DecoderOptions(prior=TokenPrior(EVEN))).weights == Weights()
    own = Weights(language=0.3)
    assert Decoder(TOKENS, 0.04, language, DecoderOptions(weights=own)).weights == own


def test_a_card_is_asked_only_where_its_prior_is_used(language):
    wrong = model_with({"token_prior": [0.5]})
    Decoder.of(wrong)
    Decoder.of(wrong, None, DecoderOptions())
    Decoder.of(wrong, language, DecoderOptions(beams=0))
    with pytest.raises(InputError):
        Decoder.of(wrong, language, DecoderOptions())


def test_whatever_searches_with_the_embedded_language_model_divides_the_prior_out(source):
    named = Decoder.of(source, load_language(), DecoderOptions())
    chosen = {"no_lm": False, "beam": None, "lm_weight": None, "vocab_file": None}
    for decoder in (default_decoder(source), teacher_for(source), teacher_of(source, "lm_en")):
        assert decoder.options.prior == named.options.prior is not None
        assert decoder.weights == Weights()
    heavier = open_decoder(source, lm=None, word_score=2.0, **chosen)
    assert heavier.options.prior == named.options.prior
    assert heavier.weights == Weights(word=2.0)


def test_the_embedded_model_names_its_own(source):
    prior = Decoder.of(source, load_language(), DecoderOptions()).options.prior
    assert prior is not None
    assert sum(math.exp(value) for value in prior.logprob) == pytest.approx(1.0, abs=0.01)
    assert max(prior.logprob) == prior.logprob[0]  # the blank


def test_where_the_language_model_counts_nothing_the_prior_stays(language):
    logits = torch.randn(1, 4, COUNT, generator=torch.Generator().manual_seed(1))
    prior = TokenPrior((*EVEN[:-1], -9.0))
    for weight, same in ((0.0, True), (0.5, False)):
        options = DecoderOptions(prior=prior, weights=Weights(language=weight))
        searched = Decoder(TOKENS, 0.04, language, options)._searched(logits)
        assert torch.equal(searched, logits) is same


def test_a_language_model_that_counts_nothing_is_none(language):
    for weight, counts in ((0.0, False), (0.5, True)):
        decoder = Decoder(TOKENS, 0.04, language, DecoderOptions(weights=Weights(language=weight)))
        assert decoder.with_language is counts
        assert decoder.calibration(each=False) == fitted(counts, each=False)
    assert fitted(True, each=False) != fitted(False, each=False)


def test_a_model_that_was_merged_of_the_embedded_one_has_its_language_model(source):
    weights = source.module.state_dict()
    merged = with_weights(source, f"{source.name}-merged", weights, {"merged": "affine"})
    other = with_weights(source, f"{source.name}-merged", weights, {})  # of this name by chance
    assert default_decoder(merged).language is not None
    assert default_decoder(other).language is None
    assert teacher_for(merged).language is not None
