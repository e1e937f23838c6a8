"""Clients of AWS that give up in time. boto3 is imported only where it is needed: that takes a while."""

from __future__ import annotations

from functools import cache
from typing import Any

_CONNECT_SECONDS = 2
_READ_SECONDS = 5
_ATTEMPTS = 2


@cache
def session() -> Any:
    """boto3's session of this process; AWS's variables apply, credentials are renewed by themselves."""
    import boto3

    return boto3.session.Session()


@cache
def client(service: str) -> Any:
    """A client of that service; safe to use from several threads."""
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": _ATTEMPTS}
    )
    return session().client(service, config=config)
