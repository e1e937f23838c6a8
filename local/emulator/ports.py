"""Ports are looked at before anything is started, so that a mistake is told at once."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import asdict

from local.emulator.errors import EmulatorError
from local.emulator.options import Ports
from local.processes import HOST, is_free


def listen(ports: Ports) -> socket.socket:
    """A socket at the port for AWS's services. Raises ``EmulatorError`` when any of the ports cannot be had."""
    wanted = {name: port for name, port in asdict(ports).items() if port}
    times = Counter(wanted.values())
    for name, port in wanted.items():
        if times[port] > 1:
            raise EmulatorError(f"--{name}-port: port {port} is asked for twice")
        if not is_free(port):
            raise EmulatorError(f"port {port} is in use; choose another one with --{name}-port, 0 for any")
    return socket.create_server((HOST, ports.aws))
