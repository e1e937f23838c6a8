"""Clients of AWS that give up in time. boto3 is imported only where it is needed: that takes a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from core.errors import ConfigError

_CONNECT_SECONDS = 2
_READ_SECONDS = 5
_ATTEMPTS = 2

_making = Lock()
"""A session makes its clients one after the other."""


@cache
def session() -> Any:
    """boto3's session of this process; AWS's variables apply, credentials are renewed by themselves."""
    import boto3
    import botocore.session

    settings = botocore.session.get_session()
    settings.set_config_variable("sts_regional_endpoints", "regional")  # older versions call another region's
    return boto3.session.Session(botocore_session=settings)


def client(service: str) -> Any:
    """A client of that service; safe to use from several threads."""
    with _making:
        return _client(service)


@cache
def _client(service: str) -> Any:
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": _ATTEMPTS}
    )
    return session().client(service, config=config)


@cache
def public_url(service: str) -> str:
    """Where that service is for everybody in this region and partition, whatever ``AWS_ENDPOINT_URL`` says."""
    from botocore.config import Config

    with _making:
        made = session().client(service, config=Config(ignore_configured_endpoint_urls=True))
    return str(made.meta.endpoint_url)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Trouble with AWS becomes a ``ConfigError`` of one line, which begins with ``what``."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise ConfigError(f"{what}: {error.response['Error']['Code']}") from None
    except BotoCoreError as error:
        raise ConfigError(f"{what}: {' '.join(str(error).split())}") from None
