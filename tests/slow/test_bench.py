"""The benchmark measures what it says, without an error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.outpost import ROOT

pytestmark = pytest.mark.slow


def test_every_candidate_answers_every_call_and_a_sweep_leaves_nothing(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    bounds = ["--clients", "1", "4", "--requests", "12", "--rounds", "2", "--services", "0", "30", "--expire", "20"]
    subprocess.run([sys.executable, "-m", "bench", *bounds, "--json", figures], cwd=ROOT, check=True, timeout=300)
    runs = json.loads(figures.read_text())["runs"]
    assert [run["services"] for run in runs] == [0, 30]
    for run in runs:
        assert run["candidates"]["outpost"]["sweep"]["left"] == 0
        for candidate in run["candidates"].values():
            rows = [row for calls in candidate["clients"].values() for row in calls.values()]
            assert len(rows) == 2 * 5
            assert all(row["per_second"] and not row["errors"] for row in rows)
