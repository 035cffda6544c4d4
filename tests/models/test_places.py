from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers")
from families import FOREIGN, foreign_models


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_found_by_trying_can_first_be_asked_for_in_inference_mode(tmp_path, name):
    """As an enrolment does, whose first question comes while it listens."""
    plain, inferring = (foreign_models(tmp_path / part)[name] for part in ("a", "b"))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, inferring = plain(), inferring()
    with torch.inference_mode():
        assert inferring.equal_lengths == plain.equal_lengths
        assert inferring.weights == plain.weights
        assert inferring.frame_seconds == plain.frame_seconds
    assert inferring.sites == plain.sites
    logits, _ = inferring.encode(torch.randn(1, 30, 24).requires_grad_(), torch.tensor([30]))
    assert logits.requires_grad
