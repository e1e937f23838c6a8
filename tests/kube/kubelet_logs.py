"""The part of a kubelet that serves its containers' logs to the API server."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Output = Callable[[str, str, bool], str | None]
"""Namespace, pod, previous: the log of the container's present or previous life; None when it has none."""


class LogServer:
    """``GET /containerLogs/NAMESPACE/POD/CONTAINER`` over HTTPS on loopback, in a thread."""

    def __init__(self, output: Output) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text = _answer(self.path, output)
                body = text.encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = _self_signed().wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="kubelet's logs")

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answer(url: str, output: Output) -> tuple[int, str]:
    path, query = urlsplit(url).path, dict(parse_qsl(urlsplit(url).query))
    namespace, pod, container = path.split("/")[2:]
    text = output(namespace, pod, query.get("previous") == "true")
    if text is None:
        return 400, f'container "{container}" in pod "{pod}" is waiting to start'
    lines = text.splitlines(keepends=True)
    wanted = int(query.get("tailLines", len(lines)))
    text = "".join(lines[max(0, len(lines) - wanted) :])
    return 200, text[: int(query.get("limitBytes", len(text)))]


def _self_signed() -> ssl.SSLContext:
    """A kubelet makes its own certificate, which API servers take as it is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubelet")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubelet.pem"
        path.touch(mode=0o600)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(path)
    return context
