"""Flavors and run times, as Cloud Run functions: the contract suite's own tests."""

from __future__ import annotations

import pytest

from tests.contract.test_flavors import *
from tests.contract.test_flavors import test_many_changes_at_once_become_few_calls
from tests.google.conftest import ON_GUNICORN

del test_many_changes_at_once_become_few_calls  # each change is a message, which the worker handles by itself

pytestmark = [pytest.mark.slow, pytest.mark.postgresql, ON_GUNICORN]
