"""Source models that break one point of the contract each, and one that keeps all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from own_models import make_model

from asradapt.models.base import Site
from asradapt.models.source import ConformerSource

PHONES = ("", " ", *"abcde")


def variant(phones: tuple[str, ...] = (), **changes: Any) -> Callable[[], ConformerSource]:
    """Makes a small model some of whose attributes are others; with an inner output if it hears phones."""

    def make() -> ConformerSource:
        plain = make_model(kernel=5, **({"conditions": (1,), "phones": len(PHONES)} if phones else {}))
        kind = type("Broken", (ConformerSource,), {k: v for k, v in changes.items() if k != "then"})
        card = {"pace": {"crowded": 0.5, "slowest": 0.7}} if phones else {}
        made = kind("broken", plain.module, plain._features, plain.tokens, card, phones=phones)
        changes.get("then", lambda model: None)(made)
        return made

    return make


def with_mean(self, features, frames):
    logits, counts = ConformerSource.encode(self, features, frames)
    return logits + 5 * logits.mean(1, keepdim=True), counts


def with_noise(self, features, frames):
    logits, counts = ConformerSource.encode(self, features, frames)
    return logits + features.mean((1, 2), keepdim=True), counts


def over_batch(self, features, frames):
    logits, counts = ConformerSource.encode(self, features, frames)
    return logits - 0.5 * logits[:1, :1], counts


def without_gradient(self, features, frames):
    with torch.no_grad():
        logits, counts = ConformerSource.encode(self, features, frames)
    return logits.requires_grad_(torch.is_grad_enabled()), counts


def counting(self, features, frames):
    self.module.passes += 1
    return ConformerSource.encode(self, features, frames)


def other_logits(self, features, frames):
    logits, counts, inner = ConformerSource.encode_inner(self, features, frames)
    return logits + 1, counts, inner


def plain_logits(self, features, frames):
    return ConformerSource.encode_inner(self, features, frames)[:2]


def first_over_batch(self, features, frames):
    logits, counts = ConformerSource.encode_first(self, features, frames)
    return logits - logits.mean(0, keepdim=True), counts


def longer(self, waveforms, lengths):
    logits, counts = ConformerSource.forward(self, waveforms, lengths)
    return torch.nn.functional.pad(logits, (0, 0, 0, 1)), counts


def with_ghost(model):
    model.module.ghost = torch.nn.Linear(16, 16).eval().requires_grad_(False)


def plus(kind: str, site: Site):
    return property(lambda self: (*getattr(ConformerSource, kind).func(self), site))


def wider(self):
    return tuple(replace(site, width=site.width + 1) for site in ConformerSource.sites.func(self))


BROKEN: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "leaks padding": (
        variant(encode=with_mean),
        {
            "test_a_row_of_a_batch_equals_the_row_alone",
            "test_more_padding_than_needed_changes_nothing",
            "test_a_model_that_cannot_take_padding_says_so",
        },
    ),
    "hears what stands behind the features": (
        variant(encode=with_noise),
        {"test_noise_behind_the_features_changes_nothing", "test_noise_behind_an_adapted_row_changes_nothing"},
    ),
    "depends on its company": (
        variant(encode=over_batch),
        {"test_a_row_of_a_batch_equals_the_row_alone", "test_a_row_does_not_depend_on_its_place_in_the_batch"},
    ),
    "says that it leaks and does not": (
        variant(equal_lengths=property(lambda self: True)),
        {"test_a_model_that_cannot_take_padding_says_so"},
    ),
    "has a site that never fires": (
        variant(sites=plus("sites", Site("ghost", "norm", 16, 16)), then=with_ghost),
        {
            "test_every_site_has_the_stated_widths_and_fires_once",
            "test_a_gradient_reaches_every_tensor_of_every_site_and_nothing_else",
        },
    ),
    "has a site that is no module": (
        variant(sites=plus("sites", Site("nowhere", "norm", 16, 16))),
        {"test_every_site_is_a_module"},
    ),
    "has sites of another width": (
        variant(sites=property(wider)),
        {"test_every_site_has_the_stated_widths_and_fires_once"},
    ),
    "has a site of an unknown kind": (
        variant(sites=plus("sites", Site("blocks.0", "loudspeaker", 16, 16))),
        {"test_site_names_are_unique_and_their_kinds_known"},
    ),
    "has weights that are no parameters": (
        variant(weights=plus("weights", Site("output.weight", "weight", 1, 1, (1, 1)))),
        {"test_every_weight_site_is_a_parameter_of_the_stated_shape"},
    ),
    "is not frozen": (
        variant(then=lambda model: model.module.requires_grad_(True)),
        {
            "test_a_model_is_frozen_in_eval_mode",
            "test_a_forward_pass_leaves_no_gradient",
            "test_training_changes_the_bank_and_never_the_base",
        },
    ),
    "is in training mode": (
        variant(then=lambda model: model.module.train()),
        {"test_a_model_is_frozen_in_eval_mode"},
    ),
    "changes with every pass": (
        variant(encode=counting, then=lambda model: model.module.register_buffer("passes", torch.zeros(()))),
        {"test_training_changes_the_bank_and_never_the_base"},
    ),
    "lets no gradient through": (
        variant(encode=without_gradient),
        {"test_a_gradient_reaches_every_tensor_of_every_site_and_nothing_else"},
    ),
    "has no word boundary": (
        variant(tokens=property(lambda self: tuple(t.replace(" ", "|") for t in self._tokens))),
        {"test_the_first_token_is_the_blank_and_no_character"},
    ),
    "has a token twice": (
        variant(tokens=property(lambda self: (*self._tokens[:-1], "a"))),
        {"test_the_first_token_is_the_blank_and_no_character"},
    ),
    "has no hash": (
        variant(fingerprint=property(lambda self: "unknown")),
        {"test_the_fingerprint_is_a_hash_that_stays"},
    ),
    "does more in forward than it says": (
        variant(forward=longer),
        {"test_forward_is_encode_after_prepare"},
    ),
    "has frames of another length than it says": (
        variant(frame_seconds=property(lambda self: 0.02)),
        {"test_logits_have_a_frame_for_every_begun_frame_time"},
    ),
    "says other things where its phones are asked for": (
        variant(
            PHONES, encode=lambda self, *x: ConformerSource.encode_inner(self, *x)[:2], encode_inner=other_logits
        ),
        {"test_inner_outputs_come_with_the_same_logits"},
    ),
    "has more phones than outputs for them": (
        variant((*PHONES, "f")),
        {"test_inner_outputs_come_with_the_same_logits"},
    ),
    "has a phone twice": (
        variant((*PHONES[:-1], "a")),
        {"test_the_first_phone_is_the_blank_and_one_the_border_of_words"},
    ),
    "hears how fast others speak": (
        variant(PHONES, encode_first=first_over_batch),
        {
            "test_the_first_inner_output_alone_depends_on_its_own_row",
            "test_what_is_too_fast_is_slowed_down_as_if_it_were_alone",
        },
    ),
    "has no name": (variant(name=property(lambda self: "")), {"test_a_model_offers_what_the_protocol_names"}),
}
GOOD = variant()
GOOD_WITH_PHONES = variant(PHONES)
