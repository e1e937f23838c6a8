"""``internal_ssl``: hub and server know each other by certificates that travel with the start."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from local.stack import hub_process
from tests.e2e.hub import Server
from tests.e2e.stack import OUTPOST_CONFIG, Stack
from tests.e2e.stack import __file__ as stack_file
from tests.support.waiting import eventually

_HERE = Path(__file__).parent


class Encrypted(Stack):
    """A hub with its own certificates, reached directly."""

    def __init__(self, folder: Path) -> None:
        self.certs = folder / "certs"
        super().__init__(folder)
        token = secrets.token_hex(16)
        settings = {
            "TESTER_TOKEN": token,
            "E2E_HUB_CONFIG": str(Path(stack_file).parent / "jupyterhub_config.py"),
            "CERTS": str(self.certs),
        }
        self.hub = hub_process(self.state, self.ports, _HERE / "ssl_hub_config.py", settings)
        self.token = token

    def settings(self) -> dict[str, str]:
        """A certificate that the hub has signed, as its operator gives Outpost one."""
        return {
            "OUTPOST_CONFIG_FILE": str(_HERE / "ssl_outpost_config.py"),
            "E2E_OUTPOST_CONFIG": str(OUTPOST_CONFIG),
            "OUTPOST_CERTIFICATE": str(self.certs / "proxy-client" / "proxy-client"),
        }

    def start_hub(self) -> None:
        """Start it, and wait until it answers whom it knows."""
        self.hub.start()

        def up() -> bool:
            assert self.hub.running, self.hub.log_tail(40)
            try:
                with self.as_proxy() as proxy:
                    return proxy.get(f"{self.api.url}/hub/health").is_success
            except (OSError, httpx.TransportError):
                return False

        self.api.url = f"https://127.0.0.1:{self.ports.hub}"
        eventually(up, 40, "the hub answers")
        self.api.close()
        self.api.http = self.as_proxy()

    def as_proxy(self) -> httpx.Client:
        """Calls with the certificate of the hub's proxy, trusting what the hub trusts."""
        context = ssl.create_default_context(cafile=str(self.certs / "proxy-client-ca_trust.crt"))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        folder = self.certs / "proxy-client"
        context.load_cert_chain(folder / "proxy-client.crt", folder / "proxy-client.key")
        return httpx.Client(verify=context, headers={"Authorization": f"token {self.token}"}, timeout=30)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Encrypted]:
    """A running hub with ``internal_ssl``, and an Outpost."""
    running = Encrypted(tmp_path)
    try:
        running.start()
        yield running
    finally:
        running.close()


def test_the_server_serves_with_the_hubs_certificates_and_lets_in_only_whom_they_name(stack: Encrypted) -> None:
    server: Server = stack.new_server("lab").start()
    told = ["unpacking the toolbox", "sharpening the pencils"]
    assert [event["message"] for event in server.events() if event.get("message") in told] == told
    place = urlsplit(server.processes()[0].environ()["JUPYTERHUB_SERVICE_URL"])
    url = f"https://{place.netloc}{place.path}api/status"
    with stack.as_proxy() as proxy:
        answer = proxy.get(url, headers={"Authorization": f"token {server.token}"})
        assert answer.is_success, answer.text
    with pytest.raises(httpx.TransportError), httpx.Client(verify=False) as stranger:
        stranger.get(url)
    server.stop()
    server.assert_gone()
