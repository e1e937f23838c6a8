"""Start, list, poll and stop, as Cloud Run functions: the contract suite's own tests."""

from __future__ import annotations

import pytest

from tests.contract.test_services import *
from tests.google.conftest import ON_GUNICORN

pytestmark = [pytest.mark.slow, pytest.mark.postgresql, ON_GUNICORN]
