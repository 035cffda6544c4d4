"""Inner outputs over phones, which an enrolment teaches beside the text."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from own_models import ALPHABET, make_model
from torch.nn import functional

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment.examples import Example
from asradapt.enrolment.objective import encode_pairs, objective_of
from asradapt.enrolment.phones import phone_losses
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions
from asradapt.errors import UsageError
from asradapt.language.pronouncing import load_pronouncer
from asradapt.models.base import has_phones
from asradapt.models.source import ConformerSource
from asradapt.types import Utterance

PHONES = ("", " ", *load_pronouncer().phones[1:])
TEXTS = ("one knife", "people said", "the thought of it")


def model_with(phones: tuple[str, ...] = PHONES, **card: str) -> ConformerSource:
    made = make_model(mels=20, blocks=2, conditions=(1, 2), phones=len(PHONES))
    made.phones, made.card = phones, {"language": "en", **card}
    return made


@pytest.fixture(scope="module")
def model() -> ConformerSource:
    return model_with()


@pytest.fixture(scope="module")
def spoken() -> tuple[Example, ...]:
    generator = torch.Generator().manual_seed(3)
    return tuple(
        Example(
            Utterance(Path(f"{number}.wav"), text),
            torch.randn(320 + 8 * number, 20, generator=generator),
            text,
            torch.tensor([ALPHABET.index(letter) for letter in text]),
            3.2 + 0.08 * number,
        )
        for number, text in enumerate(TEXTS)
    )


def inner(model: ConformerSource, pairs) -> tuple[list[torch.Tensor], torch.Tensor]:
    features = torch.nn.utils.rnn.pad_sequence([example.features for _, example in pairs], batch_first=True)
    _, frames, found = model.encode_inner(features, torch.tensor([len(e.features) for _, e in pairs]))
    return found, frames


def test_the_loss_is_the_mean_of_the_inner_outputs_ctc_losses(model, spoken) -> None:
    found, frames = inner(model, [(0, example) for example in spoken])
    losses = phone_losses(model, found, frames, TEXTS)
    assert len(found) == 2
    for row, text in enumerate(TEXTS):
        said = [phone for word in text.split() for phone in (*load_pronouncer().pronounce(word), " ")][:-1]
        target = torch.tensor([[PHONES.index(phone) for phone in said]])
        size = int(frames[row])
        wanted = [
            functional.ctc_loss(
                logits[row, :size, None].log_softmax(-1), target, torch.tensor([size]), torch.tensor([len(said)])
            )
            * len(said)  # the mean divides by the length
            for logits in found
        ]
        assert float(losses[row]) == pytest.approx(float(sum(wanted)) / 2, rel=1e-4)


def test_a_text_whose_sounds_are_not_known_has_none(model, spoken) -> None:
    found, frames = inner(model, [(0, example) for example in spoken])
    known = phone_losses(model, found, frames, TEXTS)
    losses = phone_losses(model, found, frames, (TEXTS[0], "café", TEXTS[2]))
    assert losses[1] == 0
    torch.testing.assert_close(losses[[0, 2]], known[[0, 2]])
    assert phone_losses(model, found, frames, ("é", "ü", "ö")).tolist() == [0, 0, 0]


def test_another_language_is_not_pronounced(spoken) -> None:
    german = model_with(language="de")
    found, frames = inner(german, [(0, example) for example in spoken])
    assert phone_losses(german, found, frames, TEXTS).tolist() == [0, 0, 0]


def losses_of(model: ConformerSource, spoken, weight: float) -> torch.Tensor:
    with objective_of(model).losses(None, [(0, example) for example in spoken], inner=weight) as losses:
        return losses.detach()


def test_they_are_added_by_their_weight(model, spoken) -> None:
    found, frames = inner(model, [(0, example) for example in spoken])
    plain = losses_of(model, spoken, 0.0)
    wanted = plain + 0.5 * phone_losses(model, found, frames, TEXTS)
    torch.testing.assert_close(losses_of(model, spoken, 0.5), wanted)


def test_a_model_whose_phones_are_not_known_learns_the_text_alone(spoken) -> None:
    silent = model_with(phones=())
    assert not has_phones(silent)
    torch.testing.assert_close(losses_of(silent, spoken, 2.0), losses_of(silent, spoken, 0.0), rtol=0, atol=0)


def test_what_judges_is_the_text_alone(model, spoken) -> None:
    pairs = [(0, example) for example in spoken]
    judged, _ = objective_of(model).judged(None, pairs)
    torch.testing.assert_close(judged, losses_of(model, spoken, 0.0))


def test_an_adaptation_learns_the_sounds(model, spoken) -> None:
    pairs = [(0, example) for example in spoken]
    reached = {}
    for weight in (0.0, 4.0):
        bank = SpeakerBank(model, create("affine"), speakers=1)
        trainer = Trainer(model, bank, [Task(spoken, 3.0, 0)], TrainingOptions(inner=weight, decay=0.0))
        train(trainer, [12])
        bank.requires_grad(False)
        with torch.no_grad(), bank.attach(model, torch.zeros(3, dtype=torch.long)):
            reached[weight] = float(phone_losses(model, *inner(model, pairs), TEXTS).sum())
        assert encode_pairs(model, bank, pairs)[0].isfinite().all()
    assert reached[4.0] < 0.9 * reached[0.0]


def test_the_embedded_model_has_phones_that_are_pronounced() -> None:
    from asradapt.models import load_model

    source = load_model("source_en", device="cpu")
    assert set(load_pronouncer().phones) < set(source.phones)
    assert load_pronouncer().encode("one knife", source.phones)
    assert TrainingOptions().inner > 0


@pytest.mark.parametrize("weight", [-1.0, float("inf"), float("nan")])
def test_a_weight_that_makes_no_sense_is_refused(weight: float) -> None:
    with pytest.raises(UsageError, match="inner must be 0 or more"):
        TrainingOptions(inner=weight)
