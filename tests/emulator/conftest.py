"""Emulators in a folder, of small templates and of Outpost's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.emulator import Emulator

HERE = Path(__file__).parent
Start = Callable[..., Emulator]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The template of a small application, with its code beside it; tests may change both."""
    folder = tmp_path / "app"
    folder.mkdir()
    for name in ("template.yaml", "app.py"):
        shutil.copy(HERE / name, folder / name)
    return folder / "template.yaml"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Start]:
    """Make an emulator of a template, with options. There is one state folder."""
    made: list[Emulator] = []

    def make(template: Path, *options: str) -> Emulator:
        made.append(Emulator(tmp_path, template, *options))
        return made[-1]

    yield make
    for each in made:
        each.close()
