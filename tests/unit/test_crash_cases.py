"""The table of crashes is whole: in the documentation, and for every place where the code can be killed."""

from __future__ import annotations

import re

from tests.support.crash_cases import CASES
from tests.support.outpost import ROOT

ELSEWHERE = {"poll:ended"}
"""Steps with a test of their own."""


def test_the_documentation_shows_every_case_and_no_other() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    table = text.partition("<!-- crash cases -->\n")[2].partition("<!-- end -->")[0].splitlines()
    assert table[2:] == [case.row for case in CASES]


def test_every_fault_point_has_a_case() -> None:
    code = "".join(path.read_text() for path in (ROOT / "core").rglob("*.py"))
    named = set(re.findall(r'fault_point\("([^"]+)"\)', code))
    assert named == {step for case in CASES for step in case.steps} | ELSEWHERE
