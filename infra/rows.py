"""Rows of the database to services and back; the only place that seals and opens them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from core.errors import Unreadable
from core.model import Body, Identity, Inputs, NewService, Service, ServiceSummary, Status
from core.ports import Changes, Lease, Tally
from infra.crypto import Sealer


def admitted(new: NewService, now: datetime, lease: Lease | None) -> Service:
    """The service that ``new`` becomes; its id is not known before it is inserted."""
    return Service(
        id=0,
        identity=new.identity,
        user_id=new.user_id,
        flavor=new.flavor,
        status=Status.PENDING if lease is None else Status.STARTING,
        version=0,
        start_date=now,
        last_update=now,
        body=new.body,
        inputs=new.inputs,
        lease_owner=None if lease is None else lease.owner,
        lease_until=None if lease is None else lease.until,
    )


def pack_new(service: Service, sealer: Sealer) -> dict[str, Any]:
    """The columns of a service that has just been admitted."""
    return {
        "jupyterhub_username": service.identity.hub,
        "name": service.identity.name,
        "start_id": service.identity.start_id,
        "jupyterhub_user_id": service.user_id,
        "flavor": service.flavor,
        "status": service.status,
        "version": service.version,
        "attempts": 0,
        "start_date": service.start_date,
        "last_update": service.last_update,
        "lease_owner": service.lease_owner,
        "lease_until": service.lease_until,
        "body": sealer.seal(asdict(service.body)),
        "inputs": _pack_inputs(service.inputs, sealer),
    }


def pack(changes: Changes, sealer: Sealer) -> dict[str, Any]:
    """The columns that ``changes`` set."""
    values: dict[str, Any] = dict(changes)
    if "inputs" in changes:
        values["inputs"] = _pack_inputs(changes["inputs"], sealer)
    if "state" in changes:
        values["state"] = sealer.seal(changes["state"])
    if "start_response" in changes:
        values["start_response"] = sealer.seal({"service": changes["start_response"]})
    return values


def _pack_inputs(inputs: Inputs, sealer: Sealer) -> bytes | None:
    return None if inputs == Inputs() else sealer.seal(asdict(inputs))


def to_service(row: Mapping[Any, Any], sealer: Sealer) -> Service:
    """The service in a row. Raises ``Unreadable`` that names it when no key opens it."""
    identity = _identity(row)
    try:
        body = sealer.open(row["body"])
        inputs = sealer.open(row["inputs"]) if row["inputs"] else {}
        state = sealer.open(row["state"]) if row["state"] else {}
        response = sealer.open(row["start_response"]) if row["start_response"] else {}
    except Unreadable as error:
        raise Unreadable(f"service {identity}: {error}") from None
    return Service(
        **_plain(row, identity),
        version=row["version"],
        body=Body(**body),
        inputs=Inputs(**inputs),
        state=state or {},
        start_response=response.get("service", ""),
        lease_owner=row["lease_owner"],
        lease_until=row["lease_until"],
        attempts=row["attempts"],
        retry_at=row["retry_at"],
        failure=row["failure"],
    )


def to_summary(row: Mapping[Any, Any]) -> ServiceSummary:
    """What a list shows of a row."""
    return ServiceSummary(**_plain(row, _identity(row)), state_stored=bool(row["state_stored"]))


def to_tally(row: Mapping[Any, Any]) -> Tally:
    """Of a row of counts."""
    status = Status(row["status"])
    ended = row["end_date"] if status is Status.STOPPING else None
    return Tally(row["jupyterhub_username"], row["flavor"], status, row["number"], oldest=ended or row["start_date"])


def _identity(row: Mapping[Any, Any]) -> Identity:
    return Identity(row["jupyterhub_username"], row["name"], row["start_id"])


def _plain(row: Mapping[Any, Any], identity: Identity) -> dict[str, Any]:
    return {
        "id": row["id"],
        "identity": identity,
        "user_id": str(row["jupyterhub_user_id"]),
        "flavor": row["flavor"],
        "status": Status(row["status"]),
        "start_date": row["start_date"],
        "last_update": row["last_update"],
        "end_date": row["end_date"],
    }
