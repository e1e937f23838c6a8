"""What core needs of the world; infra implements it.

Stores are synchronous: one method, one transaction. :func:`core.threads.in_thread` calls them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypedDict, Unpack

from core.model import Identity, Inputs, JsonDict, NewService, Service, ServiceSummary, Status, Usage

Clock = Callable[[], datetime]
"""Answers the present moment, in UTC and aware."""


class Lease(NamedTuple):
    """Who carries a row on, and until when nobody else may."""

    owner: str
    until: datetime


class Changes(TypedDict, total=False):
    """The columns a swap may set."""

    status: Status
    end_date: datetime | None
    inputs: Inputs
    state: JsonDict
    start_response: str
    lease_owner: str | None
    lease_until: datetime | None
    attempts: int
    retry_at: datetime | None
    failure: str | None


class Store(Protocol):
    """The rows of all services. Every method raises ``StoreUnavailable`` when the database is away."""

    def admit(
        self, new: NewService, check: Callable[[Usage], None] | None = None, lease: Lease | None = None
    ) -> Service:
        """Insert ``new`` unless ``check`` raises: one transaction, alone for its hub.

        The row is pending, or with a ``lease`` starting, owned by whom the lease names.
        Raises ``ServiceExists`` when the identity is taken.
        """

    def find(self, identity: Identity) -> Service:
        """The service of that identity. Raises ``ServiceNotFound``, or ``Unreadable``."""

    def load(self, service_id: int) -> Service | None:
        """The service with that id, or None when it is gone. Raises ``Unreadable``."""

    def list_hub(self, hub: str) -> list[ServiceSummary]:
        """All services of a hub, oldest first."""

    def usage(self, hub: str, user_id: str | None = None) -> Usage:
        """The counts of a hub and of one of its users."""

    def swap(self, service: Service, **changes: Unpack[Changes]) -> Service | None:
        """Set columns if the row still has ``service.version``; None when somebody was faster."""

    def delete(self, service: Service) -> bool:
        """Delete the row if it still has ``service.version``."""

    def status(self, service_id: int) -> Status | None:
        """The present status, without decrypting anything; None when the row is gone."""

    def extend_lease(self, service_id: int, owner: str, until: datetime) -> bool:
        """Keep a lease; False when it is no longer the owner's."""

    def unattended(self, now: datetime, pending_since: datetime, limit: int) -> list[int]:
        """Ids of work nobody does: old pending rows, starts and stops whose lease ran out, stops due again."""

    def expired(self, now: datetime, limit: int) -> list[int]:
        """Ids of running services whose end date has passed."""

    def identities(self, service_ids: Sequence[int]) -> list[Identity]:
        """The names of those that are there."""

    def missing(self, service_ids: Sequence[int]) -> list[int]:
        """Those of these ids that have no row. An id is never used again."""

    def outpost_id(self) -> str:
        """A random id that comes with the database: the same for all replicas, and no other Outpost's."""

    def ssh_restarted(self, generation: str) -> bool:
        """The SSH node is of that generation now; False when this was known already."""

    def ssh_generation(self) -> str | None:
        """The SSH node's generation; None when nobody ever told of one."""

    def tunnels_behind(self, generation: str, after: int, limit: int) -> list[tuple[int, str]]:
        """Running services with tunnels of another generation: id and hub, by ascending ids above ``after``."""

    def tunnels_set_up(self, service_ids: Sequence[int], generation: str) -> None:
        """The tunnels of these services are of that generation now. Disturbs no swap."""

    def take_tick(self, job: str, owner: str, now: datetime, until: datetime) -> bool:
        """Take the lease of a scheduled job; False when another replica has it."""


class HubClient(Protocol):
    """Calls to a hub."""

    async def call(
        self,
        method: str,
        url: str,
        token: str,
        body: Mapping[str, object] | None,
        *,
        ca: str,
        options: Mapping[str, object],
    ) -> tuple[int, bytes]:
        """One request with ``Authorization: token``, its body as JSON; the HTTP status below 500 and the answer's body.

        ``ca`` is the PEM the hub is verified with, ``""`` the system's. Raises ``HubUnreachable`` for what may pass.
        """


class Dispatcher(Protocol):
    """Wakes somebody up to carry a row on. A lost wake-up costs a delay: recover finds the row."""

    async def wake(self, service_ids: Sequence[int]) -> None:
        """Ask for these rows to be carried on, soon, outside of this request."""


Work = Callable[[int], Awaitable[None]]
"""Carries one row on, whatever is to be done with it."""
