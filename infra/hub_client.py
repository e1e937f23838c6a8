"""HTTP to hubs, with the options operators know from ``tornado.httpclient``."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from core.errors import ConfigError, HubFailed, HubUnreachable

_MAX_CONNECTIONS = 100
_NO_ANSWER = 599
"""Tornado's own status."""


class TornadoHubClient:
    """Implements :class:`core.ports.HubClient`. One Tornado client an event loop, kept by Tornado."""

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
        """One request; the HTTP status below 500 and the answer's body. Raises ``HubUnreachable``."""
        from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest  # only who calls hubs needs it

        arguments: dict[str, Any] = {"request_timeout": 10, **options}
        if ca and "ca_certs" not in arguments and arguments.get("validate_cert", True):
            # Tornado heeds these only where it makes the context itself.
            own = (arguments.pop("client_cert", None), arguments.pop("client_key", None))
            arguments["ssl_options"] = _context(ca, *own)
        headers = {"Authorization": f"token {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            arguments["body"] = json.dumps(body)
        request = HTTPRequest(url, method=method, headers=headers, **arguments)
        client = AsyncHTTPClient(max_clients=_MAX_CONNECTIONS)
        try:
            response = await client.fetch(request, raise_error=False)
        except (HTTPClientError, OSError, ValueError) as error:
            raise HubUnreachable(_reason(error)) from error
        if response.code == _NO_ANSWER:
            raise HubUnreachable(_reason(response.error))
        if response.code >= 500:
            raise HubFailed(f"HTTP {response.code}")
        return int(response.code), response.body or b""


def checked_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """These options, unless no call could be made with them: then ``ConfigError`` that names ``request_kwargs``.

    Files that they name may come later, such as a certificate that a hub makes.
    """
    from tornado.httpclient import HTTPRequest

    try:
        HTTPRequest("https://hub", method="POST", headers={}, body="", **options)
    except TypeError as error:
        said = str(error).rpartition("() ")[2]
        right = "it takes what tornado.httpclient.HTTPRequest takes, without method, headers and body"
        raise ConfigError(f"request_kwargs: {said}; {right}") from None
    return options


def _reason(error: BaseException | None) -> str:
    """What went wrong, without the URL's query or any header."""
    return f"{type(error).__name__}: {error}" if error is not None else "no answer"


def _context(ca: str, cert: str | None, key: str | None) -> ssl.SSLContext:
    """Trusts that CA only; shows the certificate of those files, which may change."""
    if cert is None:
        return _trusting(ca)
    context = _trusting.__wrapped__(ca)
    context.load_cert_chain(cert, key)
    return context


@lru_cache(maxsize=64)
def _trusting(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # JupyterHub's own CA has no key usage extension
    return context
