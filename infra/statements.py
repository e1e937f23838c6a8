"""The statements that requests run, built once: SQLAlchemy takes longer to build one than SQLite to run it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, bindparam, delete, func, insert, select, update

from core.model import Status
from infra.tables import hubs, outposts, services, ssh_nodes

SSH_NODE = "ssh"

_s = services.c
_is = and_(
    _s.jupyterhub_username == bindparam("hub"), _s.name == bindparam("name"), _s.start_id == bindparam("start_id")
)
_has_version = and_(_s.id == bindparam("row_id"), _s.version == bindparam("row_version"))
"""A parameter of an ``UPDATE`` must not have the name of a column that is set."""

ssh_generation = select(ssh_nodes.c.generation).where(ssh_nodes.c.name == SSH_NODE)

outpost_id = select(outposts.c.id)

hub_lock = select(hubs.c.name).where(hubs.c.name == bindparam("hub")).with_for_update()
"""SQLite's write transactions are alone already; ``FOR UPDATE`` is dropped there."""

exists = select(_s.id).where(_is)
add = insert(services).values(tunnel_generation=ssh_generation.scalar_subquery()).returning(_s.id)
"""The other columns are its parameters."""

find = select(services).where(_is)
load = select(services).where(_s.id == bindparam("row_id"))
status = select(_s.status).where(_s.id == bindparam("row_id"))

swap = update(services).where(_has_version)
"""The columns to set are its parameters."""
remove = delete(services).where(_has_version)
extend = update(services).where(_s.id == bindparam("row_id"), _s.lease_owner == bindparam("owner"))

SUMMARY = [c for c in _s if c.name not in ("body", "inputs", "start_response", "failure", "state")]
summaries = (
    select(*SUMMARY, _s.state.is_not(None).label("state_stored"))
    .where(_s.jupyterhub_username == bindparam("hub"))
    .order_by(_s.id)
)


tally = select(
    _s.jupyterhub_username,
    _s.flavor,
    _s.status,
    func.count().label("number"),
    func.min(_s.start_date).label("start_date"),
    func.min(_s.end_date).label("end_date"),
).group_by(_s.jupyterhub_username, _s.flavor, _s.status)


def _usage(own: Any) -> Select[Any]:
    """One index scan over the hub's services that are not stopping."""
    return (
        select(_s.flavor, func.count(), own)
        .where(_s.jupyterhub_username == bindparam("hub"), _s.status != Status.STOPPING)
        .group_by(_s.flavor)
    )


usage = _usage(func.sum(0))
user_usage = _usage(func.sum((_s.jupyterhub_user_id == bindparam("user_id")).cast(_s.version.type)))
