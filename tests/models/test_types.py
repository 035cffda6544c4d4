"""Every CTC class of transformers is tested as a family, or refused in a sentence before its weights are read."""

from __future__ import annotations

import pytest

transformers = pytest.importorskip("transformers")
from families import KINDS  # noqa: E402

from asradapt.errors import InputError  # noqa: E402
from asradapt.models import load_model  # noqa: E402

CLASSES = {kind.__name__: settings for settings, kind in transformers.AutoModelForCTC._model_mapping.items()}
TESTED = {f"{name}ForCTC" for name, _ in KINDS.values()}


def test_the_tested_families_are_classes_of_the_library():
    assert CLASSES.keys() >= TESTED


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - TESTED))
def test_every_other_class_is_refused_with_those_that_can_be_used(tmp_path, name):
    CLASSES[name](architectures=[name]).save_pretrained(tmp_path)
    with pytest.raises(
        InputError, match=r"do not take waveforms .*; usable are wav2vec2 .* and whisper$"
    ) as caught:
        load_model(str(tmp_path), device="cpu")
    assert repr(CLASSES[name].model_type) in str(caught.value)
