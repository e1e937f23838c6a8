"""Doors, paths and bodies, as Cloud Run functions: the contract suite's own tests."""

from __future__ import annotations

import pytest

from tests.contract.test_http import *

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
