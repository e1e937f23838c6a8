"""A kubeconfig file with a token that is renewed before it ends, for Spawners that reach a cloud's cluster."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import ConfigError
from core.ports import Clock

log = logging.getLogger(__name__)

_LOOK_SECONDS = 30.0
_USER = "outpost"


class Cluster(NamedTuple):
    """Where a cluster's API is."""

    name: str
    url: str
    authority: str
    """The certificate it is verified with: PEM in base64, as kubeconfig files hold it."""


class Token(NamedTuple):
    """What the cluster's API knows this process by."""

    value: str
    renew_at: datetime
    """From then on there may not be enough time left for what begins."""


class Kubeconfig:
    """A file that always has a token that is good for some minutes, as long as this object is not closed.

    Whoever reads it for each operation, and again when a token is refused, needs to know nothing else.
    """

    def __init__(self, cluster: Cluster, sign: Callable[[], Token], clock: Clock) -> None:
        """Write it. Raises ``ConfigError`` when ``sign`` does, or when the file cannot be written."""
        self._cluster = cluster
        self._sign = sign
        self._clock = clock
        self._lock = threading.Lock()
        self._tries = 0
        self._closed = threading.Event()
        place = hashlib.sha256(cluster.url.encode()).hexdigest()[:8]
        self.path = Path(tempfile.gettempdir()) / f"outpost-kubeconfig-{cluster.name}-{place}"
        self._renew_at = self._renew()
        self._keeper = self._keep()

    def refresh(self) -> None:
        """Renew the token if it is time; a failure is logged, since the present one is still good for a while."""
        if not self._keeper.is_alive():  # a fork has no threads
            self._keeper = self._keep()
        tries = self._tries
        with self._lock:
            if tries != self._tries or self._clock() < self._renew_at:
                return  # waiting was for somebody else's try, and another one would do no better
            try:
                self._renew_at = self._renew()
            except ConfigError as error:
                log.warning("the token for the cluster %s is not renewed: %s", self._cluster.name, error)
            finally:
                self._tries += 1

    def close(self) -> None:
        """Renew it no more. The file stays: another process may use it."""
        self._closed.set()
        self._keeper.join()

    def _keep(self) -> threading.Thread:
        """A start may last longer than a token."""
        keeper = threading.Thread(target=self._refresh_forever, name="kubeconfig", daemon=True)
        keeper.start()
        return keeper

    def _refresh_forever(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            self.refresh()

    def _renew(self) -> datetime:
        token = self._sign()
        try:
            _replace(self.path, json.dumps(_content(self._cluster, token.value)))  # JSON is YAML
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}") from None
        return token.renew_at


def _replace(path: Path, text: str) -> None:
    """Readers find the old or the new file, and nobody else may read it or have put something in its place."""
    handle, name = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _content(cluster: Cluster, token: str) -> dict[str, Any]:
    there = {"server": cluster.url, "certificate-authority-data": cluster.authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster.name, "cluster": there}],
        "users": [{"name": _USER, "user": {"token": token}}],
        "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": _USER}}],
        "current-context": cluster.name,
    }
