"""The scheduled work, as whoever keeps the time calls it: one pass each, how many services it concerned."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from core import cleanup as cleaning
from core import expiry
from core import recover as recovery
from core.model import Identity
from infra.wiring import Outpost


async def recover(outpost: Outpost, dry_run: bool = False) -> int:
    """Carry on what nobody does any more."""
    grace = timedelta(seconds=outpost.settings.lease_seconds)
    return await recovery.recover(outpost.store, outpost.dispatcher, outpost.clock, grace, dry_run)


async def expire(outpost: Outpost, dry_run: bool = False) -> int:
    """Stop the services whose run time is over."""
    return await expiry.expire(outpost.store, outpost.lifecycle.expire, outpost.clock, dry_run)


def cleanup_is_on(outpost: Outpost) -> bool:
    """Is there a hub whose server list can be asked for?"""
    return outpost.settings.check_services != "off" and bool(outpost.settings.server_lists)


async def cleanup(outpost: Outpost, dry_run: bool = False) -> int:
    """Stop the services that their hub no longer lists."""
    dry_run = dry_run or outpost.settings.check_services == "dry-run"
    lists, stop = outpost.settings.server_lists, partial(_stop_soon, outpost)
    return await cleaning.cleanup(outpost.store, outpost.calls, lists, stop, outpost.clock, dry_run)


async def orphans(outpost: Outpost, dry_run: bool = False) -> int:
    """Report, or take away, servers of this Outpost that no row knows."""
    return await outpost.orphans.look(outpost.settings.delete_orphans, dry_run)


async def tunnels(outpost: Outpost, dry_run: bool = False) -> int:
    """Have hubs set their tunnels up again after a restart of the SSH node."""
    return await outpost.tunnels.rebuild(dry_run)


async def _stop_soon(outpost: Outpost, identity: Identity) -> None:
    await outpost.lifecycle.stop(identity, {}, wait=False)
