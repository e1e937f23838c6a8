"""The plain types that every part of Outpost speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

JsonDict = dict[str, Any]

UNDEFINED_FLAVOR = "_undefined"
"""Under this name services without a known flavor are counted and reported."""


class Status(StrEnum):
    """Where a service is in its life; a service that is gone has no row."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class Identity(NamedTuple):
    """What names a service: no two rows share it, and hubs never see each other's."""

    hub: str
    name: str
    start_id: str

    def __str__(self) -> str:
        return f"{self.hub}/{self.name or '(default)'}/{self.start_id}"


@dataclass(frozen=True, slots=True)
class Body:
    """What the hub asked for: stored encrypted for as long as the service lives."""

    env: dict[str, str] = field(default_factory=dict)
    user_options: JsonDict = field(default_factory=dict)
    misc: JsonDict = field(default_factory=dict)

    @property
    def user_id(self) -> str:
        """The user's id at the hub, ``"0"`` when the hub does not say."""
        return self.env.get("JUPYTERHUB_USER_ID") or "0"

    @property
    def user_name(self) -> str:
        """The user's name at the hub."""
        return self.env.get("JUPYTERHUB_USER", "")

    @property
    def api_token(self) -> str:
        """The server's own token for the hub's API; calls about the server carry it too."""
        return self.env.get("JUPYTERHUB_API_TOKEN", "")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What only one operation needs: stored encrypted until the operation has ended.

    ``runtime`` is how many seconds the server may run once it is up; None is no limit.
    """

    certs: dict[str, str] = field(default_factory=dict)
    trust_bundles: dict[str, str] = field(default_factory=dict)
    auth_state: dict[str, str] = field(default_factory=dict)
    runtime: float | None = None

    @property
    def hub_ca(self) -> str:
        """The PEM that the hub's own certificate is verified with, or ``""``."""
        return self.trust_bundles.get("hub-ca", "")

    def after_start(self) -> Inputs:
        """What outlives the start: the (public) certificate the hub is known by."""
        return Inputs(trust_bundles={"hub-ca": self.hub_ca} if self.hub_ca else {})


@dataclass(frozen=True, slots=True)
class Service:
    """One single-user server: a row of the database, decrypted. What has a default is so when it is admitted."""

    id: int
    identity: Identity
    user_id: str
    flavor: str | None
    status: Status
    version: int
    start_date: datetime
    last_update: datetime
    body: Body
    inputs: Inputs
    end_date: datetime | None = None
    state: JsonDict = field(default_factory=dict)
    start_response: str = ""
    lease_owner: str | None = None
    lease_until: datetime | None = None
    attempts: int = 0
    retry_at: datetime | None = None
    failure: str | None = None

    @property
    def hub(self) -> str:
        """The Basic-auth name of the hub this service belongs to."""
        return self.identity.hub


@dataclass(frozen=True, slots=True)
class ServiceSummary:
    """What a list shows of a service: nothing in it is encrypted."""

    id: int
    identity: Identity
    user_id: str
    flavor: str | None
    status: Status
    start_date: datetime
    last_update: datetime
    end_date: datetime | None
    state_stored: bool


@dataclass(frozen=True, slots=True)
class NewService:
    """A service that asks to be admitted."""

    identity: Identity
    flavor: str | None
    body: Body
    inputs: Inputs

    @property
    def user_id(self) -> str:
        """The user's id at the hub."""
        return self.body.user_id


@dataclass(frozen=True, slots=True)
class Usage:
    """How many services a hub and one of its users have that are not stopping, by flavor."""

    hub: Mapping[str | None, int] = field(default_factory=dict)
    user: Mapping[str | None, int] = field(default_factory=dict)

    @property
    def user_total(self) -> int:
        """All of the user's services, whatever their flavor."""
        return sum(self.user.values())
