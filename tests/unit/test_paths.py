"""Which route a raw path means."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.paths import SegmentConvertor, routing_path

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)


def read(path: str) -> list[str]:
    """What the routes read of a canonical path."""
    return [SegmentConvertor().convert(segment) for segment in path.removeprefix("/services/").split("/")]


@given(name=NAMES, start_id=NAMES.filter(bool), slash=st.booleans(), base=st.sampled_from(["", "/outpost", "/a/b"]))
def test_every_name_and_start_id_comes_back_from_its_path(name: str, start_id: str, slash: bool, base: str) -> None:
    raw = f"{base}/services/{quote(name, safe='')}/{quote(start_id, safe='')}{'/' if slash else ''}"
    assert read(routing_path(raw.encode(), base)) == [name, start_id]


@given(name=NAMES.filter(bool), slash=st.booleans())
def test_without_a_start_id_it_is_0(name: str, slash: bool) -> None:
    raw = f"/services/{quote(name, safe='')}{'/' if slash else ''}"
    assert read(routing_path(raw.encode())) == [name, "0"]


@given(name=st.from_regex(r"[a-z%/]{1,20}", fullmatch=True).filter(lambda n: unquote(n) == n))
def test_hubs_that_do_not_encode_a_slash_are_understood(name: str) -> None:
    assert read(routing_path(f"/services/{name}/f00".encode())) == [name, "f00"]


@given(raw=st.binary(max_size=80))
def test_any_bytes_give_a_path_that_routes_can_read(raw: bytes) -> None:
    assert routing_path(b"/" + raw).isascii()
    assert len(read(routing_path(b"/services/x" + raw))) == 2


@pytest.mark.parametrize(
    ("raw", "base", "path"),
    [
        ("/", "", "/"),
        ("/ping/", "", "/ping"),
        ("/services", "", "/services"),
        ("/services/", "", "/services"),
        ("/services//", "", "/services//0"),
        ("/services//id", "", "/services//id"),
        ("/services//id/", "", "/services//id"),
        ("/outpost", "/outpost", "/"),
        ("/outpost/ping", "/outpost", "/ping"),
        ("/outposts/ping", "/outpost", "/outposts/ping"),
        ("/ping", "/outpost", "/ping"),
        ("/servicesx/", "", "/servicesx"),
    ],
)
def test_the_plain_cases(raw: str, base: str, path: str) -> None:
    assert routing_path(raw.encode(), base) == path
