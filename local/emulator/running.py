"""The file by which another command finds the emulator that runs in a state folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from local.aws.http_events import encoded
from local.aws.schedule import scheduled_event, utc_now
from local.emulator.errors import EmulatorError
from local.state import EMULATOR, State, StateError
from local.template import Deployment

_FILE = "running.json"


@dataclass(frozen=True)
class Running:
    """What another command needs to know."""

    invoke: str
    """The URL of Lambda's Invoke API."""
    names: dict[str, str] = field(default_factory=dict)
    """The functions' names by logical id."""
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the function's logical id: ``arn`` and ``input`` of its first schedule."""

    @classmethod
    def of(cls, deployment: Deployment, invoke: str) -> Running:
        """That of a deployment."""
        functions = deployment.functions
        return cls(
            invoke,
            {name: function.name for name, function in functions.items()},
            {
                name: {"arn": function.schedules[0].arn, "input": function.schedules[0].input}
                for name, function in functions.items()
                if function.schedules
            },
        )

    def write(self, state: State) -> None:
        """Tell others."""
        (state.folder / _FILE).write_text(json.dumps(asdict(self)))

    def event(self, function: str) -> bytes:
        """The event of that function's schedule. Raises ``EmulatorError`` when it has none."""
        schedule = self.schedules.get(function)
        if schedule is None:
            known = ", ".join(self.schedules) or "none"
            raise EmulatorError(f"--tick: {function!r} is no function with a schedule; those are: {known}")
        if schedule["input"] is not None:
            return str(schedule["input"]).encode()
        return encoded(scheduled_event(schedule["arn"], utc_now()))


def find(folder: Path) -> Running:
    """That of the emulator that runs in that state folder. Raises ``EmulatorError`` when none does."""
    nobody = EmulatorError(f"--tick: no emulator runs with the state folder {folder}")
    if not (folder / _FILE).exists():
        raise nobody
    try:
        with State(folder).locked(EMULATOR):
            raise nobody
    except StateError:
        return Running(**json.loads((folder / _FILE).read_text()))


def forget(state: State) -> None:
    """It runs no more."""
    (state.folder / _FILE).unlink(missing_ok=True)
