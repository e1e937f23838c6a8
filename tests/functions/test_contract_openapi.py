"""The API's own description, as functions: the contract suite's own tests."""

from __future__ import annotations

from functools import partial

import pytest

from tests.contract.conftest import Deploy
from tests.contract.test_openapi import *
from tests.functions.conftest import DeployFunctions

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]


@pytest.fixture(scope="module")
def deploy_outpost(functions: DeployFunctions) -> Deploy:
    """Warm functions: hundreds of odd requests say nothing about processes."""
    return partial(functions, cold=False)
