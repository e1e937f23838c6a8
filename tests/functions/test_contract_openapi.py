"""The API's own description, as functions: the contract suite's own tests."""

from __future__ import annotations

import pytest

from tests.contract.test_openapi import *

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
