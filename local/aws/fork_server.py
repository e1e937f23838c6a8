"""New processes at a fraction of their price: a server imports libraries once, and every instance is a fork of it.

What the function's own code imports, opens and remembers is still new in each of them. The server is a process of
its own (``python -m local.aws.fork_server LIBRARY...``), because one that has threads cannot fork.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


class Forked:
    """A process that a fork server has forked; like ``subprocess.Popen``, as far as instances need it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def wait(self) -> int | None:
        """Wait for its end; the exit code, negative for a signal."""
        self._ended.wait()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing, when it has ended."""
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def ended(self, code: int | None) -> None:
        """It has."""
        self.returncode = code
        self._ended.set()


class ForkServer:
    """Forks processes that have imported ``libraries``. Thread-safe."""

    def __init__(self, libraries: Sequence[str]) -> None:
        """The first fork waits for the imports."""
        ours, its = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.aws.fork_server", *libraries], stdin=its.fileno(), cwd=_ROOT, process_group=0
        )
        its.close()
        self._socket = ours
        self._lines = ours.makefile("r")
        self._lock = threading.Lock()
        self._forked = threading.Condition()
        self._next: Forked | None = None
        self._has_ended = False
        self._running: dict[int, Forked] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def fork(self, module: str, argument: str, env: Mapping[str, str], folder: Path, log: Path) -> Forked:
        """Run ``python -m MODULE ARGUMENT`` there, with nothing but that environment; output is appended to ``log``."""
        order = {"module": module, "argument": argument, "env": dict(env), "folder": str(folder), "log": str(log)}
        with self._lock, self._forked:
            self._next = None
            with contextlib.suppress(OSError):  # it has ended, as is told below
                self._socket.sendall(json.dumps(order).encode() + b"\n")
            self._forked.wait_for(lambda: self._next is not None or self._has_ended, timeout=60)
            if self._next is None:
                raise RuntimeError("the fork server does not fork; what it wrote on stderr says why")
            return self._next

    def close(self) -> None:
        """It ends, and forks no more."""
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        for line in self._lines:
            told = json.loads(line)
            if "forked" in told:
                process = self._running[told["forked"]] = Forked(told["forked"])
                with self._forked:
                    self._next = process
                    self._forked.notify()
            else:
                self._running.pop(told["ended"]).ended(told["code"])
        with self._forked:
            self._has_ended = True
            self._forked.notify()
        for process in self._running.values():
            process.kill()
            process.ended(None)
        self._lines.close()
        self._socket.close()


def main(libraries: list[str]) -> None:
    """Import, then fork whatever is ordered on stdin, and tell there how it ended."""
    for library in libraries:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()
    orders = socket.socket(fileno=os.dup(0))
    woken, wake = socket.socketpair()
    for each in (woken, wake):
        each.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    received = b""
    while True:
        ready, _, _ = select.select([orders, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _reap(orders)
        if orders in ready:
            more = orders.recv(65536)
            if not more:
                return
            *lines, received = (received + more).split(b"\n")
            for line in lines:
                _fork(json.loads(line), orders, [woken, wake])


def _tell(orders: socket.socket, told: dict[str, int]) -> None:
    orders.sendall(json.dumps(told).encode() + b"\n")


def _reap(orders: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            _tell(orders, {"ended": ended[0], "code": os.waitstatus_to_exitcode(ended[1])})


def _fork(order: dict[str, Any], orders: socket.socket, others: list[socket.socket]) -> None:
    pid = os.fork()
    if pid:
        _tell(orders, {"forked": pid})
        return
    code: object = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (orders, *others):
            each.close()
        _become(order)
        code = 0
    except SystemExit as error:
        code = error.code
    except BaseException as error:  # noqa: BLE001  # nothing may come back into the server's own code
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _become(order: dict[str, Any]) -> None:
    """Turn this fork into what was ordered, until it ends."""
    os.setpgid(0, 0)
    for target, flags, path in ((0, os.O_RDONLY, os.devnull), (1, os.O_WRONLY | os.O_APPEND, order["log"])):
        opened = os.open(path, flags)
        os.dup2(opened, target)
        os.close(opened)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    os.chdir(order["folder"])
    sys.path[0] = order["folder"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "local"]:
        del sys.modules[name]
    sys.argv = [order["module"], order["argument"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
