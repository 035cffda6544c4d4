"""The contract tests for third parties find what is wrong with a model, and nothing wrong with a good one."""

from __future__ import annotations

import re

import pytest
from broken import BROKEN

from asradapt.adaptation import METHODS
from asradapt.testing import (
    FrozenContract,
    LogitsContract,
    MethodContract,
    MixedContract,
    PhonesContract,
    SourceModelContract,
)

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.usefixtures("all_of_torch")

REGISTERED = tuple(METHODS)
"""When tests are collected; a tool that another test of this process has run may register more."""

MINE = """
import pytest
from broken import BROKEN, GOOD, GOOD_WITH_PHONES
from asradapt.adaptation import create
from asradapt.testing import SourceModelContract


@pytest.fixture(scope="module")
def model():
    return {model}


class TestMine(SourceModelContract):
    @pytest.fixture(params={methods})
    def methods(self, request):
        return create(request.param)
"""


def run(pytester, model, methods=("affine",)):
    """Runs the kit on a model; gives the names of the tests that fail and how many passed."""
    pytester.makepyfile(test_mine=MINE.format(model=model, methods=list(methods)))
    done = pytester.runpytest_inprocess("-q", "-rfE", "-p", "no:cacheprovider", "--tb=no")
    failed = set(
        re.findall(r"^(?:FAILED|ERROR) test_mine\.py::TestMine::(test_\w+)", str(done.stdout), re.MULTILINE)
    )
    return failed, done.parseoutcomes().get("passed", 0)


@pytest.mark.parametrize("model", ["GOOD()", "GOOD_WITH_PHONES()"])
def test_a_good_model_passes(pytester, model):
    failed, passed = run(pytester, model, ("affine", "encoder"))
    assert failed == set()
    assert passed > 80


@pytest.mark.parametrize("fault", BROKEN)
def test_each_fault_is_found(pytester, fault):
    failed, passed = run(pytester, f"BROKEN[{fault!r}][0]()")
    assert BROKEN[fault][1] <= failed
    assert passed > 10, "everything fails: the tests do not say what is wrong"


def test_without_a_choice_every_registered_method_is_tested(pytester):
    pytester.makepyfile(
        test_mine="""
        import pytest
        from asradapt.testing import SourceModelContract

        class TestMine(SourceModelContract):
            @pytest.fixture
            def model(self):
                return None
        """
    )
    listed = str(pytester.runpytest_inprocess("--collect-only", "-q", "-p", "no:cacheprovider").stdout)
    for method in REGISTERED:
        assert f"TestMine::test_a_new_bank_is_the_identity_bit_for_bit[{method}-1]" in listed


def test_the_parts_can_be_had_alone():
    parts = (FrozenContract, LogitsContract, PhonesContract, MethodContract, MixedContract)
    names = [{name for name in dir(part) if name.startswith("test_")} for part in parts]
    whole = {name for name in dir(SourceModelContract) if name.startswith("test_")}
    assert set.union(*names) == whole
    assert sum(map(len, names)) == len(whole), "a test of one part hides a test of another"


def test_a_model_that_writes_otherwise_brings_its_own_outputs_and_loss(pytester):
    """The contracts of methods need no tokens and no CTC where `outputs` and `loss` are overridden."""
    pytester.makepyfile(
        test_mine="""
        import pytest
        from broken import GOOD
        from asradapt.adaptation import create
        from asradapt.testing import FrozenContract, MethodContract, MixedContract
        from asradapt.testing.mixed import CROWD

        class TestMine(FrozenContract, MethodContract, MixedContract):
            crowd = [("affine", {}) if "tokens" in options else (name, options) for name, options in CROWD]

            @pytest.fixture
            def model(self):
                model = GOOD()
                type(model).tokens = ()
                return model

            @pytest.fixture(params=["affine"])
            def methods(self, request):
                return create(request.param)

            def outputs(self, model, inputs):
                return model.encode(*inputs)[0].tanh() * 10

            def loss(self, model, inputs):
                return self.outputs(model, inputs).square().sum()
        """
    )
    outcomes = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider").parseoutcomes()
    assert set(outcomes) <= {"passed"}
    assert outcomes["passed"] > 25
