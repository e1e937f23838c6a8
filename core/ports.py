"""What core needs of the world; infra implements it.

Stores are synchronous: one method, one transaction. :func:`core.threads.in_thread` calls them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, TypedDict, Unpack

from core.model import Identity, Inputs, JsonDict, NewService, Service, ServiceSummary, Status, Usage

Clock = Callable[[], datetime]
"""Answers the present moment, in UTC and aware."""


HubCall = Literal["events", "flavors", "tunnel", "servers"]
"""What a hub is called for."""


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


class TunnelBehind(NamedTuple):
    """A service whose tunnel is gone."""

    service_id: int
    hub: str
    failed: bool
    """Was it tried in vain before?"""


class TunnelClaim(NamedTuple):
    """What is known of a tunnel that is to be set up."""

    attempts: int = 0
    """How often its hub has failed in this generation."""
    failure: str | None = None
    """Why the last try was in vain, in this generation or before."""


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

    def tunnels_behind(self, generation: str, now: datetime, after: int, limit: int) -> list[TunnelBehind]:
        """Running services with tunnels of another generation that are due, by ascending ids above ``after``."""

    def claim_tunnel(self, service_id: int, generation: str, now: datetime, until: datetime) -> TunnelClaim | None:
        """Be the only one that has this tunnel set up, until then; None when there is nothing to do, or no longer."""

    def tunnel_later(self, service_id: int, generation: str, retry_at: datetime, claim: TunnelClaim) -> None:
        """Give a claim back: the tunnel is due again at that moment. ``claim`` says what is to be remembered."""

    def tunnels_set_up(self, service_ids: Sequence[int], generation: str, failure: str | None = None) -> None:
        """These tunnels are of that generation now, or given up with ``failure``; unless it is an old one by now.

        Disturbs no swap.
        """

    def tally(self) -> list[Tally]:
        """All services, counted."""

    def take_tick(self, job: str, owner: str, now: datetime, until: datetime) -> bool:
        """Take the lease of a scheduled job; False when another replica has it."""

    def release_tick(self, job: str) -> None:
        """The next who wants the lease of a scheduled job gets it."""


class Tally(NamedTuple):
    """Services of one hub, flavor and status, and since when the oldest of them has had that status.

    Of ``running`` and ``starting`` ones it is the moment they were asked for.
    """

    hub: str
    flavor: str | None
    status: Status
    number: int
    oldest: datetime


class Meter(Protocol):
    """Counts what happens. Nothing here raises or takes time; labels have few values, and none names a user."""

    def start_ended(self, hub: str, outcome: Literal["running", "failed", "cancelled"], seconds: float | None) -> None:
        """``seconds`` is None when nobody knows how long it took."""

    def stop_ended(self, hub: str, outcome: Literal["stopped", "failed"], seconds: float) -> None: ...

    def polled(self, hub: str, outcome: Literal["running", "ended", "unknown"]) -> None: ...

    def refused(self, hub: str, flavor: str, limit: str) -> None:
        """``limit`` is the key of the quota, as the operator writes it."""

    def expired(self, hub: str) -> None: ...

    def hub_called(self, hub: str, call: HubCall, outcome: Literal["ok", "refused", "unreachable"]) -> None: ...


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
