"""All services in a SQL database; the SQL side of :class:`core.ports.Store`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Connection, and_, case, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from core.errors import ServiceExists, ServiceNotFound
from core.model import Identity, NewService, Service, ServiceSummary, Status, Usage
from core.ports import Changes, Clock, Lease, Tally, TunnelBehind, TunnelClaim
from infra import statements
from infra.crypto import Sealer
from infra.database import Database
from infra.rows import admitted, pack, pack_new, to_service, to_summary, to_tally
from infra.tables import hubs, leases, services, ssh_nodes

_MOST_PARAMETERS = 1000


class SqlStore:
    """Implements :class:`core.ports.Store`; each method is one transaction."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        """``clock`` dates every change."""
        self._db = database
        self._sealer = sealer
        self._clock = clock
        self._upsert = _upsert(database.is_sqlite)

    def admit(
        self, new: NewService, check: Callable[[Usage], None] | None = None, lease: Lease | None = None
    ) -> Service:
        """Insert the row. The hub's row is the lock under which its services are counted."""
        service = admitted(new, self._clock(), lease)
        values = pack_new(service, self._sealer)
        with self._db.write() as db:
            self._lock_hub(db, new.identity.hub)
            if db.scalar(statements.exists, new.identity._asdict()) is not None:
                raise ServiceExists(f"the service {new.identity} exists already")
            if check is not None:
                check(_usage(db, new.identity.hub, new.user_id))
            try:
                row_id = db.scalar(statements.add, values)
            except IntegrityError:
                raise ServiceExists(f"the service {new.identity} exists already") from None
        return replace(service, id=row_id)

    def _lock_hub(self, db: Connection, hub: str) -> None:
        if db.scalar(statements.hub_lock, {"hub": hub}) is None:
            db.execute(self._upsert(hubs).values(name=hub).on_conflict_do_nothing())
            db.scalar(statements.hub_lock, {"hub": hub})

    def find(self, identity: Identity) -> Service:
        """The service of that identity. Raises ``ServiceNotFound`` or ``Unreadable``."""
        with self._db.read() as db:
            row = db.execute(statements.find, identity._asdict()).mappings().first()
        if row is None:
            raise ServiceNotFound("Item not found")
        return to_service(row, self._sealer)

    def load(self, service_id: int) -> Service | None:
        """The service with that id, or None. Raises ``Unreadable``."""
        with self._db.read() as db:
            row = db.execute(statements.load, {"row_id": service_id}).mappings().first()
        return None if row is None else to_service(row, self._sealer)

    def list_hub(self, hub: str) -> list[ServiceSummary]:
        """All services of a hub, oldest first."""
        with self._db.read() as db:
            return [to_summary(row) for row in db.execute(statements.summaries, {"hub": hub}).mappings()]

    def usage(self, hub: str, user_id: str | None = None) -> Usage:
        """The counts of a hub and of one of its users."""
        with self._db.read() as db:
            return _usage(db, hub, user_id)

    def swap(self, service: Service, **changes: Unpack[Changes]) -> Service | None:
        """Set columns if the row still has that version."""
        now = self._clock()
        if changes.get("status") is Status.STOPPING and (service.end_date is None or service.end_date > now):
            changes["end_date"] = now
        swapped = replace(service, **changes, version=service.version + 1, last_update=now)
        values = pack(changes, self._sealer)
        values |= {"version": swapped.version, "last_update": swapped.last_update}
        with self._db.write() as db:
            done = db.execute(statements.swap, values | _version_of(service)).rowcount == 1
        return swapped if done else None

    def delete(self, service: Service) -> bool:
        """Delete the row if it still has that version."""
        with self._db.write() as db:
            return db.execute(statements.remove, _version_of(service)).rowcount == 1

    def status(self, service_id: int) -> Status | None:
        """The present status, without decrypting anything."""
        with self._db.read() as db:
            value = db.scalar(statements.status, {"row_id": service_id})
        return None if value is None else Status(value)

    def extend_lease(self, service_id: int, owner: str, until: datetime) -> bool:
        """Keep a lease that is still the owner's."""
        values = {"row_id": service_id, "owner": owner, "lease_until": until}
        with self._db.write() as db:
            return db.execute(statements.extend, values).rowcount == 1

    def unattended(self, now: datetime, pending_since: datetime, limit: int) -> list[int]:
        """Ids of work that nobody does."""
        s = services.c
        free = or_(s.lease_until.is_(None), s.lease_until <= now)
        due = or_(s.retry_at.is_(None), s.retry_at <= now)
        query = select(s.id).where(
            or_(
                and_(s.status == Status.PENDING, s.last_update <= pending_since, free),
                and_(s.status == Status.STARTING, free),
                and_(s.status == Status.STOPPING, free, due),
            )
        )
        return self._ids(query.order_by(s.id).limit(limit))

    def expired(self, now: datetime, limit: int) -> list[int]:
        """Ids of running services whose end date has passed, the longest overdue first."""
        s = services.c
        query = select(s.id).where(s.status == Status.RUNNING, s.end_date <= now)
        return self._ids(query.order_by(s.end_date).limit(limit))

    def identities(self, service_ids: Sequence[int]) -> list[Identity]:
        """The names of those that are there."""
        s = services.c
        found: list[Identity] = []
        with self._db.read() as db:
            for some in _batched(service_ids):
                query = select(s.jupyterhub_username, s.name, s.start_id).where(s.id.in_(some)).order_by(s.id)
                found += [Identity(*row) for row in db.execute(query)]
        return found

    def _ids(self, query: Any) -> list[int]:
        with self._db.read() as db:
            return list(db.scalars(query))

    def missing(self, service_ids: Sequence[int]) -> list[int]:
        """Those without a row."""
        found: set[int] = set()
        with self._db.read() as db:
            for some in _batched(service_ids):
                found.update(db.scalars(select(services.c.id).where(services.c.id.in_(some))))
        return [service_id for service_id in service_ids if service_id not in found]

    def outpost_id(self) -> str:
        """The id that the migration has made up."""
        with self._db.read() as db:
            return str(db.execute(statements.outpost_id).scalar_one())

    def tally(self) -> list[Tally]:
        """All services, counted, with one query."""
        with self._db.read() as db:
            return [to_tally(row) for row in db.execute(statements.tally).mappings()]

    def take_tick(self, job: str, owner: str, now: datetime, until: datetime) -> bool:
        """Take, or keep, the lease of a scheduled job."""
        take = self._upsert(leases).values(job=job, owner=owner, until=until)
        take = take.on_conflict_do_update(
            index_elements=[leases.c.job],
            set_={"owner": owner, "until": until},
            where=or_(leases.c.owner == owner, leases.c.until <= now),
        )
        with self._db.write() as db:
            return db.execute(take).rowcount == 1

    def release_tick(self, job: str) -> None:
        """The next who wants the lease of a scheduled job gets it."""
        with self._db.write() as db:
            db.execute(delete(leases).where(leases.c.job == job))

    def ssh_restarted(self, generation: str) -> bool:
        """Note the SSH node's generation; False when it was known already."""
        note = self._upsert(ssh_nodes).values(name=statements.SSH_NODE, generation=generation)
        note = note.on_conflict_do_update(
            index_elements=[ssh_nodes.c.name],
            set_={"generation": generation},
            where=ssh_nodes.c.generation != generation,
        )
        with self._db.write() as db:
            return db.execute(note).rowcount == 1

    def ssh_generation(self) -> str | None:
        """The SSH node's generation, if there is one."""
        with self._db.read() as db:
            return db.scalar(statements.ssh_generation)

    def tunnels_behind(self, generation: str, now: datetime, after: int, limit: int) -> list[TunnelBehind]:
        """Running services with tunnels of another generation that are due."""
        s = services.c
        query = select(s.id, s.jupyterhub_username, s.tunnel_failure.is_not(None)).where(
            s.id > after, _tunnel_is_due(generation, now)
        )
        with self._db.read() as db:
            return [TunnelBehind(*row) for row in db.execute(query.order_by(s.id).limit(limit))]

    def claim_tunnel(self, service_id: int, generation: str, now: datetime, until: datetime) -> TunnelClaim | None:
        """Be the only one that has this tunnel set up, until then."""
        s = services.c
        attempts = case((s.tunnel_asked == generation, s.tunnel_attempts), else_=0)
        current = statements.ssh_generation.scalar_subquery() == generation
        claim = (
            update(services)
            .where(s.id == service_id, _tunnel_is_due(generation, now), current)
            .values(tunnel_asked=generation, tunnel_attempts=attempts, tunnel_retry_at=until)
            .returning(s.tunnel_attempts, s.tunnel_failure)
        )
        with self._db.write() as db:
            row = db.execute(claim).first()
        return None if row is None else TunnelClaim(*row)

    def tunnel_later(self, service_id: int, generation: str, retry_at: datetime, claim: TunnelClaim) -> None:
        """Give a claim back: the tunnel is due again at that moment."""
        s = services.c
        values = {"tunnel_retry_at": retry_at, "tunnel_attempts": claim.attempts, "tunnel_failure": claim.failure}
        with self._db.write() as db:
            db.execute(update(services).where(s.id == service_id, s.tunnel_asked == generation).values(values))

    def tunnels_set_up(self, service_ids: Sequence[int], generation: str, failure: str | None = None) -> None:
        """These tunnels are of that generation now, or given up."""
        if not service_ids:
            return
        current = statements.ssh_generation.scalar_subquery() == generation
        note = update(services).where(current).values(tunnel_generation=generation, tunnel_failure=failure)
        with self._db.write() as db:
            for some in _batched(service_ids):
                db.execute(note.where(services.c.id.in_(some)))


def _tunnel_is_due(generation: str, now: datetime) -> ColumnElement[bool]:
    """Its service runs, its tunnel is of another generation, and nobody else has it or wants it to wait."""
    s = services.c
    return and_(
        s.status == Status.RUNNING,
        s.tunnel_generation.is_distinct_from(generation),
        or_(s.tunnel_asked.is_distinct_from(generation), s.tunnel_retry_at <= now),
    )


def _upsert(is_sqlite: bool) -> Any:
    """``insert`` of the dialect in use; the other one is not even imported."""
    if is_sqlite:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert


def _batched(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Parts that fit into one statement's parameters."""
    for start in range(0, len(ids), _MOST_PARAMETERS):
        yield ids[start : start + _MOST_PARAMETERS]


def _version_of(service: Service) -> dict[str, int]:
    return {"row_id": service.id, "row_version": service.version}


def _usage(db: Connection, hub: str, user_id: str | None) -> Usage:
    if user_id is None:
        found = db.execute(statements.usage, {"hub": hub})
    else:
        found = db.execute(statements.user_usage, {"hub": hub, "user_id": user_id})
    rows = [(flavor, int(total), int(own or 0)) for flavor, total, own in found]
    return Usage(
        hub={flavor: total for flavor, total, _ in rows},
        user={flavor: own for flavor, _, own in rows if own},
    )
