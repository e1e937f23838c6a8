"""A start is admitted below every limit, and refused at any with a sentence that names it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotAllowed, QuotaExceeded
from core.model import UNDEFINED_FLAVOR, Usage
from core.quota import Limits, check, count

RUNNING = Usage(hub={"a": 3, "b": 2, "old": 4, None: 1}, user={"a": 1, "b": 2, None: 1})
DEFINED = frozenset({"a", "b"})


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits("a", max=3), "Only 3 servers of the flavor 'a' may run at once, and they all do (max: 3)"),
        (Limits("a", max=1), "Only 1 server of the flavor 'a' may run at once, and they all do (max: 1)"),
        (Limits("new", max=0), "Servers of the flavor 'new' cannot be started at the moment (max: 0)"),
        (
            Limits("a", max_per_user=1),
            "You may have only 1 server of the flavor 'a' at once; stop one first (maxPerUser: 1)",
        ),
        (Limits("a", max_per_user=0), "You may have no servers of the flavor 'a' (maxPerUser: 0)"),
        (
            Limits("a", global_max_per_user=4),
            "You may have only 4 servers in all at once; stop one first (global_max_per_user: 4)",
        ),
        (Limits("new", global_max_per_user=0), "You may have no servers in all (global_max_per_user: 0)"),
        (
            Limits(UNDEFINED_FLAVOR, max=5, defined=DEFINED),
            "Only 5 servers without a known flavor may run at once (flavors_undefined_max: 5)",
        ),
        (
            Limits(UNDEFINED_FLAVOR, max=0, defined=DEFINED),
            "Servers without a known flavor cannot be started here (flavors_undefined_max: 0)",
        ),
    ],
)
def test_a_limit_that_is_reached_is_told_with_its_value(limits: Limits, sentence: str) -> None:
    with pytest.raises(QuotaExceeded) as caught:
        check(limits, RUNNING)
    assert caught.value.args == (sentence,)
    assert isinstance(caught.value, NotAllowed)


@pytest.mark.parametrize(
    "limits",
    [
        Limits("a"),
        Limits("a", max=4, max_per_user=2, global_max_per_user=5),
        Limits("new", max=1, max_per_user=1),
        Limits(UNDEFINED_FLAVOR, defined=DEFINED),
        Limits(UNDEFINED_FLAVOR, max=6, defined=DEFINED),
    ],
)
def test_below_the_limits_a_start_fits(limits: Limits) -> None:
    check(limits, RUNNING)


def test_all_that_is_not_defined_counts_together() -> None:
    assert count(UNDEFINED_FLAVOR, RUNNING.hub, DEFINED) == 5
    assert count(UNDEFINED_FLAVOR, RUNNING.hub, frozenset()) == 10
    assert count("old", RUNNING.hub, DEFINED) == 4


@given(st.integers(-1, 5), st.integers(-1, 5), st.integers(-1, 5))
def test_one_after_the_other_as_many_fit_as_the_lowest_limit_says(hub: int, user: int, total: int) -> None:
    limits = Limits("a", hub, user, total)
    lowest = min((limit for limit in (hub, user, total) if limit != -1), default=None)
    admitted = 0
    try:
        for _ in range(10):
            check(limits, Usage(hub={"a": admitted}, user={"a": admitted}))
            admitted += 1
    except QuotaExceeded:
        pass
    assert admitted == (10 if lowest is None else lowest)
