"""Every method, alone and mixed, on the embedded model and on every family of other libraries."""

from __future__ import annotations

import pytest

from asradapt.adaptation import METHODS
from asradapt.models.base import SourceModel
from asradapt.testing import MethodContract, MixedContract
from asradapt.testing.adapted import Methods, named


class TestMethods(MethodContract):
    """Every method, and combinations of two; all others are tried on small models of this project."""

    @pytest.fixture
    def model(self, family_model: SourceModel) -> SourceModel:
        return family_model

    @pytest.fixture(params=[*METHODS, "affine+lowrank", "lowrank+tokens"])
    def methods(self, request: pytest.FixtureRequest, model: SourceModel) -> Methods:
        return named(request.param, model)


class TestMixtures(MixedContract):
    """People with unlike adaptations in one batch."""

    @pytest.fixture
    def model(self, family_model: SourceModel) -> SourceModel:
        return family_model
