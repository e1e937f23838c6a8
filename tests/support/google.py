"""Google on this machine: tokens for a service account's key or for the machine itself, GKE, secrets and objects."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

PROJECT = "tests"
CLUSTER = f"projects/{PROJECT}/locations/europe-west3/clusters/hpc"
ACCOUNT, ACCOUNT_ID = f"outpost@{PROJECT}.iam.gserviceaccount.com", "100000000000000000001"
"""This process's account, by its e-mail address and by the number that is its id."""
CERTIFICATES = "/oauth2/v1/certs"
"""The path where the certificates of identity tokens are."""

_LONGEST_HANG = 60.0
_KEY_ID = "the key of the tests"
_SCOPES = "https://www.googleapis.com/auth/"


NOT_FOUND = {"error": {"code": 404, "status": "NOT_FOUND", "message": "the message may hold what it likes"}}


class Google:
    """Hands numbered tokens out, each good for an hour; who has one is told of a cluster, secrets and objects."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.scopes: list[set[str]] = []
        """What each token was asked for with, without what all scopes begin with."""
        self.cluster: dict[str, Any] = {
            "endpoint": "192.0.2.1",
            "masterAuth": {"clusterCaCertificate": "Q0E="},
            "status": "RUNNING",
        }
        self.secrets: dict[str, bytes] = {}
        """Values by the names of their versions: ``projects/P/secrets/S/versions/1``."""
        self.objects: dict[tuple[str, str], bytes] = {}
        """Contents by bucket and name."""
        self.storage_answers = threading.Event()
        """Cleared, requests for objects hang."""
        self.storage_answers.set()
        self.refuses: tuple[int, dict[str, Any]] | None = None
        self.seen: list[str] = []
        self.not_modified = 0
        self._key = rsa.generate_private_key(65537, 2048)

    def key_file(self, folder: Path) -> Path:
        """A service account's key, as ``GOOGLE_APPLICATION_CREDENTIALS`` names it."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": ACCOUNT,
            "client_id": ACCOUNT_ID,
            "token_uri": f"{self.url}/token",
        }
        path = folder / "account.json"
        path.write_text(json.dumps(account))
        return path

    def answer(self, path: str, headers: Any, body: str) -> tuple[int, Any]:
        """Status and JSON for a request."""
        self.seen.append(path)
        if path == "/token":
            claims = self._verified(parse_qs(body)["assertion"][0])
            return 200, self._token(claims["scope"].split())
        if path == "/" or path.startswith("/computeMetadata/v1/"):
            assert headers["Metadata-Flavor"] == "Google"
            return 200, self._metadata(urlsplit(path.removeprefix("/computeMetadata/v1/")))
        if path == CERTIFICATES:
            return 200, {_KEY_ID: self._certificate()}
        if self.refuses:
            return self.refuses
        if not self.knows(headers):
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        if path == f"/v1/{CLUSTER}":
            return 200, self.cluster
        if path.startswith("/v1/projects/") and path.endswith(":access"):
            return self._secret(unquote(path.removeprefix("/v1/").removesuffix(":access")))
        if path.startswith("/storage/v1/b/"):
            return self._object(path)
        return 404, NOT_FOUND

    def knows(self, headers: Any) -> bool:
        """Does this request bring one of the tokens, or one that the key's owner has signed by itself?"""
        given = str(headers["Authorization"] or "").removeprefix("Bearer ")
        if given.count(".") == 2:
            return bool(self._verified(given)["exp"] > time.time())
        number = given.removeprefix("google token ")
        return number.isdecimal() and int(number) <= self.tokens

    @property
    def tokens(self) -> int:
        """How many there are."""
        return len(self.scopes)

    def kubernetes_user(self, token: str) -> str:
        """Who has the token, for GKE: the account's number, unless it was asked for with the e-mail address."""
        scopes = self.scopes[int(token.removeprefix("google token ")) - 1]
        return ACCOUNT if "userinfo.email" in scopes else ACCOUNT_ID

    def _secret(self, version: str) -> tuple[int, Any]:
        if version.endswith("/versions/latest"):
            secret = version.removesuffix("latest")
            version = max((name for name in self.secrets if name.startswith(secret)), default=version)
        if version not in self.secrets:
            return 404, NOT_FOUND
        return 200, {"name": version, "payload": {"data": base64.b64encode(self.secrets[version]).decode()}}

    def _object(self, path: str) -> tuple[int, Any]:
        url = urlsplit(path)
        bucket, _, name = url.path.removeprefix("/storage/v1/b/").partition("/o/")
        self.storage_answers.wait(_LONGEST_HANG)
        content = self.objects.get((unquote(bucket), unquote(name)))
        if content is None or "/" in name:
            return 404, "No such object: files/the body may hold what it likes"
        return 200, content.decode()

    def identity_token(self, audience: str, email: str, **claims: Any) -> str:
        """A token as Google gives service accounts, to say who calls; other ``claims`` take the place of its own."""
        now = int(time.time())
        says = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "email": email,
            "email_verified": True,
            "sub": "1",
            "iat": now,
            "exp": now + 3600,
        }
        parts = ({"alg": "RS256", "typ": "JWT", "kid": _KEY_ID}, says | claims)
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_encoded(self._key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"

    def _certificate(self) -> str:
        name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")]), datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, self._key.public_key(), x509.random_serial_number())
        until = now + timedelta(days=1)
        made = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(until).sign(self._key, SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def _token(self, scopes: list[str]) -> dict[str, Any]:
        asked = {scope.removeprefix(_SCOPES) for scope in scopes}
        assert "cloud-platform" in asked
        self.scopes.append(asked)
        return {"access_token": f"google token {self.tokens}", "expires_in": 3600, "token_type": "Bearer"}

    def _metadata(self, asked: SplitResult) -> Any:
        path, of_the_instance = asked.path, f"{_SCOPES}cloud-platform"
        if path.endswith("/token"):
            return self._token(parse_qs(asked.query).get("scopes", [of_the_instance])[0].split(","))
        if path.startswith("instance/service-accounts/"):
            return {"email": ACCOUNT, "scopes": [of_the_instance]}
        return PROJECT if path == "project/project-id" else "googleapis.com" if "universe" in path else ""

    def _verified(self, assertion: str) -> dict[str, Any]:
        signed, _, signature = assertion.rpartition(".")
        self._key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), SHA256())
        claims: dict[str, Any] = json.loads(_decoded(signed.partition(".")[2]))
        return claims


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


G = TypeVar("G", bound=Google)


@contextmanager
def serving(kind: Callable[[str], G]) -> Iterator[G]:
    """A server of that kind for as long as the block runs."""
    google: G

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            status, answer = google.answer(self.path, self.headers, body)
            is_text = isinstance(answer, str)
            content = answer.encode() if is_text else json.dumps(answer).encode()
            etag = f'"{sha256(content).hexdigest()}"'
            if status == 200 and self.headers["If-None-Match"] == etag:
                status, content = 304, b""
                google.not_modified += 1
            self.send_response(status)
            self.send_header("ETag", etag)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "text/plain" if is_text else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815  # its name in http.server

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        google = kind(f"http://127.0.0.1:{listening.server_port}")
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield google
        finally:
            listening.shutdown()


def server() -> AbstractContextManager[Google]:
    """A server for as long as the block runs."""
    return serving(Google)
