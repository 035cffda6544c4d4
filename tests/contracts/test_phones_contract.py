"""What the contract asks of models that hear phones inside, of the embedded one and of one merged of it."""

from __future__ import annotations

import pytest
from broken import GOOD_WITH_PHONES

from asradapt.models import load_model
from asradapt.models.source import with_weights
from asradapt.testing import PhonesContract

SOURCES = {
    "random": GOOD_WITH_PHONES,
    "embedded": lambda: load_model("source_en", device="cpu"),
    "merged": lambda: merged(GOOD_WITH_PHONES()),
}


def merged(model):
    """The same with other weights, where those of before hear how fast somebody speaks."""
    changed = {name: 1.1 * value for name, value in model.module.state_dict().items()}
    return with_weights(model, "merged", changed, {}, paced=True)


@pytest.fixture(scope="module", params=SOURCES)
def hearing(request):
    return SOURCES[request.param]()


class TestPhones(PhonesContract):
    @pytest.fixture
    def model(self, hearing):
        return hearing
