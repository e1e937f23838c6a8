"""The proxy in front of the hub, where there is no Node: ``configurable-http-proxy`` from PyPI.

It does all that JupyterLab needs but for what is added here.
"""

from __future__ import annotations

from configurable_http_proxy import cli, configproxy
from configurable_http_proxy.handlers import ProxyHandler
from tornado.httpclient import AsyncHTTPClient

_SLOW_REQUEST_SECONDS = 600.0
_REQUESTS_AT_ONCE = 200


class Handler(ProxyHandler):  # type: ignore[misc]  # the package has no types
    """A proxied request, or websocket."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """What the server behind chose: without it browsers refuse the websockets of JupyterLab's kernels."""
        selected: str | None = self.ws_client.selected_subprotocol
        return selected

    def on_message(self, message: str | bytes) -> None:
        """Pass a message on as what it is: the protocol that JupyterLab's kernels speak is binary."""
        if self.ws_client:
            self.ws_client.write_message(message, binary=isinstance(message, bytes))


def main() -> None:
    """The command line of ``configurable-http-proxy``."""
    # tornado's own limits, 20 seconds and 10 requests, end the hub's page of a slow start
    AsyncHTTPClient.configure(None, max_clients=_REQUESTS_AT_ONCE, defaults={"request_timeout": _SLOW_REQUEST_SECONDS})
    configproxy.ProxyHandler = Handler
    cli.main()


if __name__ == "__main__":
    main()
