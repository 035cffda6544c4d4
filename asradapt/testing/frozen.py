"""What any source model is, whatever it writes with: named, frozen, fingerprinted, with sites that exist."""

from __future__ import annotations

import string

from asradapt.models.base import SITE_KINDS, SourceModel


class FrozenContract:
    """The part of the contract that needs no sound; the fixture `model` gives the model."""

    def test_a_model_offers_what_the_protocol_names(self, model: SourceModel) -> None:
        assert isinstance(model, SourceModel)
        assert model.name
        assert model.sample_rate > 0
        assert model.frame_seconds > 0
        assert model.device == next(model.module.parameters()).device

    def test_the_card_is_a_dictionary_that_can_be_set(self, model: SourceModel) -> None:
        card = model.card
        model.card = {**card, "asked": "for"}
        assert model.card["asked"] == "for"
        model.card = card

    def test_a_model_is_frozen_in_eval_mode(self, model: SourceModel) -> None:
        assert not any(part.training for part in model.module.modules())
        assert not any(parameter.requires_grad for parameter in model.module.parameters())

    def test_site_names_are_unique_and_their_kinds_known(self, model: SourceModel) -> None:
        names = [site.name for site in model.sites]
        assert names
        assert len(set(names)) == len(names)
        assert {site.kind for site in model.sites} <= set(SITE_KINDS)

    def test_every_site_is_a_module(self, model: SourceModel) -> None:
        modules = dict(model.module.named_modules())
        assert [site.name for site in model.sites if site.name not in modules] == []

    def test_every_weight_site_is_a_parameter_of_the_stated_shape(self, model: SourceModel) -> None:
        weights, parameters = model.weights, dict(model.module.named_parameters())
        assert weights
        assert all(tuple(parameters[site.name].shape) == site.shape for site in weights)
        outputs = [site.name for site in model.sites if site.kind == "output"]
        assert not any(site.name.startswith(f"{output}.") for site in weights for output in outputs)

    def test_the_fingerprint_is_a_hash_that_stays(self, model: SourceModel) -> None:
        assert len(model.fingerprint) == 64
        assert set(model.fingerprint) <= set(string.hexdigits)
        assert model.to(model.device).fingerprint == model.fingerprint
