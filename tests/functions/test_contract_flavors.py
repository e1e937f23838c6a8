"""Flavors and run times, as functions: the contract suite's own tests."""

from __future__ import annotations

import pytest

from tests.contract.test_flavors import *

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
