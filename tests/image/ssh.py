"""A hub's SSH client: the real one."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.postgresql import free_port
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Forwarded:
    """The API, as it is seen through a tunnel."""

    port: int

    def ping(self) -> Any:
        """What it answers, once it does."""

        def answer() -> Any:
            try:
                return httpx.get(f"http://127.0.0.1:{self.port}/ping", timeout=5).json()
            except httpx.TransportError:
                return None

        return eventually(answer)


class Ssh:
    """Calls one SSH node with one key."""

    def __init__(self, key: Path, port: int) -> None:
        self._port = port
        options = {
            "BatchMode": "yes",
            "ControlPath": "none",
            "ExitOnForwardFailure": "yes",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
        }
        self.options = ["-F", "none", "-i", str(key)]
        for name, value in options.items():
            self.options += ["-o", f"{name}={value}"]

    def command(self, *arguments: str, then: tuple[str, ...] = ()) -> list[str]:
        """``ssh ARGUMENTS jhuboutpost@node THEN``."""
        return ["ssh", *self.options, "-p", str(self._port), *arguments, "jhuboutpost@127.0.0.1", *then]

    def run(self, *arguments: str, then: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """What became of it; nothing is typed in."""
        command = self.command(*arguments, then=then)
        return subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)

    def copy(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``sftp`` and ``scp``."""
        command = [program, *self.options, "-P", str(self._port), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)

    @contextmanager
    def forward(self, target: str) -> Iterator[Forwarded]:
        """A tunnel to there."""
        port = free_port()
        process = subprocess.Popen(self.command("-N", "-L", f"127.0.0.1:{port}:{target}"))
        try:
            yield Forwarded(port)
        finally:
            process.terminate()
            process.wait(10)

    def is_up(self) -> bool:
        """Does an SSH server answer?"""
        try:
            with socket.create_connection(("127.0.0.1", self._port), 5) as connection:
                connection.settimeout(5)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def host_keys(self) -> set[str]:
        """The node's public keys."""
        command = ["ssh-keyscan", "-p", str(self._port), "127.0.0.1"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        return {line.split()[2] for line in told.splitlines() if not line.startswith("#")}
