"""A row of the Outpost that was in the field before this one, as a row of revision 0001."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.errors import ConfigError, Unreadable
from core.model import UNDEFINED_FLAVOR, Body, Identity, JsonDict, Status
from core.spawners.adapter import OWN_STATE
from core.spawners.process import STARTED_BEFORE
from infra.crypto import Sealer

log = logging.getLogger(__name__)

_NO_END_YEAR = 9999
_CLOCK_SECONDS = 60.0
"""Start times are derived from a clock that may be set meanwhile."""

_NAMES = ("pid", "pod_name", "object_name", "object_id", "container_id", "job_id", "unit_name")
"""What Spawners' states call the resource itself; the rest of a state may differ though it is the same."""


@dataclass(frozen=True)
class _Opened:
    """What a row keeps encrypted, in the shape that ``infra.rows`` reads."""

    body: JsonDict
    state: JsonDict
    response: JsonDict


class Converter:
    """Converts rows, newest first."""

    def __init__(self, sealer: Sealer, newest: Mapping[Identity, int]) -> None:
        """``newest`` has the id of the newest row of every identity."""
        self._sealer = sealer
        self._newest = newest
        self._servers: set[Any] = set()
        self._done: Counter[str] = Counter()

    def summary(self) -> str:
        """How many there were, for the log."""
        return ", ".join(f"{number} {what}" for what, number in sorted(self._done.items())) or "no services"

    def convert(self, old: Mapping[str, Any]) -> dict[str, Any] | None:
        """The row that ``old`` becomes; None for a duplicate behind which nothing of its own can run.

        Raises ``ConfigError`` for a date that is none.
        """
        identity = identity_of(old)
        opened = self._open(old, identity)
        row = _plain(old, identity) | self._sealed(old, opened) | {"jupyterhub_user_id": _user_id(old, opened)}
        servers = set() if opened is None else _servers(opened.state, identity)
        if self._newest[identity] != old["id"]:
            status = self._duplicate(old, identity, opened, servers)
            if status is None:
                return None
            row |= {"status": status, "start_id": self._free_start_id(identity, old["id"])}
        self._servers |= servers
        self._done[f"{row['status']}"] += 1
        return row

    def _open(self, old: Mapping[str, Any], identity: Identity) -> _Opened | None:
        """None when no key opens it, which is logged."""
        try:
            body, state, response = (self._json(old[column]) for column in ("body", "state", "start_response"))
        except Unreadable as error:
            self._done["unreadable"] += 1
            log.error("service %s (row %d): %s; it is kept and left alone", identity, old["id"], error)
            return None
        parts = {key: _dict(body.get(key)) for key in ("env", "user_options", "misc")}
        env = {key: str(value) for key, value in parts["env"].items() if value is not None}
        service = response.get("service")
        return _Opened(
            body=parts | {"env": env},
            state=state,
            response={"service": service} if isinstance(service, str) else {},
        )

    def _json(self, token: bytes | None) -> JsonDict:
        return _dict(self._sealer.open(token)) if token else {}

    def _sealed(self, old: Mapping[str, Any], opened: _Opened | None) -> dict[str, bytes | None]:
        if opened is None:
            return {"body": old["body"] or b""} | {key: old[key] or None for key in ("state", "start_response")}
        return {
            "body": self._sealer.seal(opened.body),
            "state": self._sealer.seal(_with_limit(opened.state)) if opened.state else None,
            "start_response": self._sealer.seal(opened.response) if opened.response else None,
        }

    def _duplicate(
        self, old: Mapping[str, Any], identity: Identity, opened: _Opened | None, servers: set[Any]
    ) -> Status | None:
        """What becomes of a server that a newer one of the same identity hides from its hub.

        It is stopped, but never when that could stop the server of a newer row.
        """
        where = f"service {identity} (row {old['id']})"
        newer = self._newest[identity]
        if opened is None:
            log.error("%s: row %d has its identity, so it is kept under another start id", where, newer)
            return Status.RUNNING
        if not servers or servers & self._servers:
            why = "and its server" if servers else "and it knows no server"
            log.warning("%s: dropped, since row %d has its identity, %s", where, newer, why)
            self._done["dropped duplicates"] += 1
            return None
        log.warning("%s: row %d has its identity, so its own server is stopped", where, newer)
        return Status.STOPPING

    def _free_start_id(self, identity: Identity, row_id: int) -> str:
        start_id = f"{identity.start_id}~{row_id}"
        while identity._replace(start_id=start_id) in self._newest:
            start_id += "~"
        return start_id


def identity_of(old: Mapping[Any, Any]) -> Identity:
    """What a row of upstream names."""
    start_id = old["start_id"]
    return Identity(str(old["jupyterhub_username"]), old["name"] or "", "0" if start_id is None else str(start_id))


def _servers(state: JsonDict, identity: Identity) -> set[Any]:
    """What tells whether two states speak of one server: the resource's names, or else anything they share."""
    named = [key for key in _NAMES if state.get(key)]
    if named:
        return {(key, json.dumps([state[key], state.get("namespace")], sort_keys=True)) for key in named}
    return {(identity, key, json.dumps(value, sort_keys=True)) for key, value in state.items()}


def _with_limit(state: JsonDict) -> JsonDict:
    """A pid has no start time beside it, but what starts after the upgrade is another process."""
    if not state.get("pid"):
        return state
    return state | {OWN_STATE: {STARTED_BEFORE: time.time() + _CLOCK_SECONDS}}


def _plain(old: Mapping[str, Any], identity: Identity) -> dict[str, Any]:
    dates = {column: _moment(old, column, identity) for column in ("start_date", "last_update", "end_date")}
    began = dates["start_date"] or dates["last_update"] or datetime.now(UTC)
    return {
        "id": old["id"],
        "jupyterhub_username": identity.hub,
        "name": identity.name,
        "start_id": identity.start_id,
        "flavor": None if old["flavor"] in ("", UNDEFINED_FLAVOR) else old["flavor"],
        "status": _status(old),
        "start_date": began,
        "last_update": dates["last_update"] or began,
        "end_date": dates["end_date"],
    }


def _status(old: Mapping[str, Any]) -> Status:
    """A start that was under way has been cut off: without a lease, recovery takes it up."""
    if old["stop_pending"]:
        return Status.STOPPING
    return Status.STARTING if old["start_pending"] else Status.RUNNING


def _user_id(old: Mapping[str, Any], opened: _Opened | None) -> str:
    """Column 0 is its default: the column is missing, or was added when the row was there already."""
    stored = old.get("jupyterhub_user_id")
    if stored:
        return str(stored)
    return "0" if opened is None else Body(**opened.body).user_id


def _moment(old: Mapping[str, Any], column: str, identity: Identity) -> datetime | None:
    """Naive moments are UTC; the end of time is none."""
    value = old[column]
    if value is None or str(value).startswith((str(_NO_END_YEAR), "infinity")):
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ConfigError(
            f"service {identity} (row {old['id']}) of the existing database: {column} must be a date, "
            f"not {str(value)!r}; correct it, and start again"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _dict(value: Any) -> JsonDict:
    return value if isinstance(value, dict) else {}
