"""The zip that Google builds Outpost's functions of."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from local import google_source
from local.google_source import ROOT

NAME = re.compile(r"^[\w.-]+")


def names(text: str) -> list[str]:
    """The packages of a requirements file."""
    found = (NAME.match(line) for line in text.splitlines() if not line.startswith("-"))
    return [match[0].lower().replace("_", "-") for match in found if match]


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first/source.zip", tmp_path / "second/source.zip"
    for path in (first, second):
        google_source.build(path, [])
    assert first.read_bytes() == second.read_bytes()


def test_the_source_is_what_functions_run_and_nothing_else(tmp_path: Path) -> None:
    google_source.build(tmp_path / "source.zip", [])
    with zipfile.ZipFile(tmp_path / "source.zip") as packed:
        inside = set(packed.namelist())
    here = {"main.py", "requirements.txt", "constraints.txt"}
    assert {name.partition("/")[0] for name in inside - here} == {"core", "handlers", "infra"}
    assert {Path(name).suffix for name in inside - here} == {".py", ".mako"}
    sources = {
        path.relative_to(ROOT).as_posix()
        for folder in ("core", "handlers", "infra")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert sources <= inside


def test_every_package_has_one_version() -> None:
    pinned = set(names((ROOT / "constraints.txt").read_text()))
    text = google_source.requirements(["MySpawner"])
    assert text.startswith("-c constraints.txt\n")
    assert set(names(text)) - pinned == {"myspawner"}
    assert not {"boto3", "mangum"} & set(names(text))
