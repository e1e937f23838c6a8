"""One instance of a function: a process that handles one event at a time, and is frozen in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.aws.fork_server import Forked, ForkServer
from local.aws.memory import MB, Memory
from local.aws.runtime_api import Answer, Invocation, RuntimeApi, failure

REGION = "eu-central-1"
ACCOUNT = "123456789012"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""Instances run in this process's own Python."""

_ROOT = Path(__file__).parents[2]
_RUNTIME = "awslambdaric"
_SETTLE_SECONDS = 10.0
_LOOK_SECONDS = 0.05
"""So often the memory of a busy instance is looked at."""


@dataclass(frozen=True)
class Definition:
    """A function as it is deployed. Times are in seconds."""

    name: str
    handler: str
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 30.0
    memory_mb: int = 512
    concurrency: int = 10
    """How many instances there may be at once."""
    retry_attempts: int = 2
    """How often an asynchronous event that failed is tried again."""
    max_event_age_seconds: float = 21600.0
    """How old an asynchronous event may be when it is tried again."""
    init_seconds: float = 10.0
    freeze: bool = True
    """Does nothing run between two events?"""
    log: Path = Path(os.devnull)
    """Where output is appended."""
    root: Path = _ROOT
    """The folder of the code."""
    fork_server: ForkServer | None = None
    """Forks its processes, instead of starting each from nothing."""

    @property
    def arn(self) -> str:
        """Its Amazon Resource Name."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"


class Instance:
    """A process ``python -m awslambdaric``. Whoever invokes it does so from one thread at a time."""

    def __init__(self, definition: Definition) -> None:
        """Start it; its initialisation goes on beside the caller."""
        self.definition = definition
        self._invocation: Invocation | None = None
        self._init_error: Answer | None = None
        self._ready = threading.Event()
        """It waits for an event, and is frozen; or it has ended."""
        self._ended = threading.Event()
        self._out_of_memory = False
        self.was_used = False
        """Has it been handed an event?"""
        self.init_ms: float | None = None
        """How long it initialised, until its first event is handed out."""
        self.idle_since = self._started = time.monotonic()
        self._api = RuntimeApi(definition.arn, self._asks, self._init_failed)
        self._starting = threading.Lock()
        with self._starting:
            self._process = _process(definition, _environment(definition, self._api.address))
        self.memory = Memory(self._process.pid)
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Is the process over?"""
        return self._ended.is_set()

    def initialise(self, seconds: float, request_id: str) -> Answer | None:
        """Wait until it takes events, so long after its start; what to answer when it does not. Then it has ended."""
        failed = None
        if not self._wait(self._ready, self._started + seconds):
            failed = _timed_out(request_id, seconds)
        elif self._init_error is not None:
            failed = self._init_error
        elif self.has_ended:
            failed = self._exit_error(request_id)
        if failed is not None:
            self.kill()
        return failed

    def invoke(self, payload: bytes, request_id: str, seconds: float) -> Answer:
        """Have one event handled, once it is initialised. When this returns, it is frozen, or has ended."""
        self._invocation = invocation = Invocation(request_id, payload, seconds)
        self.was_used = True
        self._ready.clear()
        self._signal(signal.SIGCONT)
        self._api.hand_out(invocation)
        if self.has_ended:  # meanwhile, so that nobody will answer
            invocation.resolve(self._exit_error(request_id))
        if not self._wait(invocation.answered, time.monotonic() + seconds):
            invocation.resolve(_timed_out(request_id, self.definition.timeout))
            self.kill()
        elif not self._ready.wait(_SETTLE_SECONDS):
            self.kill()  # it neither ends nor asks for the next event
        self._invocation = None
        assert invocation.answer is not None
        if self._takes_too_much():  # for so short a time that nobody has seen it
            return self._exit_error(request_id)
        return invocation.answer

    def kill(self) -> None:
        """End it, frozen or not."""
        self._process.kill()
        self._ended.wait()

    def _wait(self, event: threading.Event, deadline: float) -> bool:
        """Wait for the event, and see to it meanwhile that it does not take more memory than it may."""
        while (left := deadline - time.monotonic()) > 0 and not event.is_set():
            if not event.wait(min(left, _LOOK_SECONDS)):
                self._takes_too_much()
        return event.is_set()

    def _takes_too_much(self) -> bool:
        """Then it is killed."""
        if not self._out_of_memory and self.memory.look() > self.definition.memory_mb * MB:
            self._out_of_memory = True
            self.kill()
        return self._out_of_memory

    def _init_failed(self, answer: Answer) -> None:
        self._init_error = answer
        self._ready.set()

    def _asks(self) -> None:
        """It asks for the next event: nothing runs until there is one."""
        if self.definition.freeze:
            self._signal(signal.SIGSTOP)
        self.idle_since = time.monotonic()
        if self.init_ms is None:
            self.init_ms = 1000 * (self.idle_since - self._started)
        self._ready.set()

    def _signal(self, number: int) -> None:
        with self._starting:  # it may ask for an event before we know its id
            self._process.send_signal(number)  # and not its group: servers that it has started go on

    def _watch(self) -> None:
        self._process.wait()
        self._ended.set()
        if self._invocation is not None:
            self._invocation.resolve(self._exit_error(self._invocation.request_id))
        self._ready.set()
        self._api.close()

    def _exit_error(self, request_id: str) -> Answer:
        if self._out_of_memory:
            kind, how = "Runtime.OutOfMemory", "signal: killed"
        else:
            code = self._process.returncode
            kind, how = "Runtime.ExitError", _signal_name(-code) if code and code < 0 else f"exit status {code}"
        return failure(kind, f"RequestId: {request_id} Error: Runtime exited with error: {how}")


def _signal_name(number: int) -> str:
    return f"signal: {(signal.strsignal(number) or str(number)).lower()}"


def _timed_out(request_id: str, seconds: float) -> Answer:
    message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
    return failure("Sandbox.Timedout", message, timed_out=True)


def _process(definition: Definition, env: Mapping[str, str]) -> subprocess.Popen[bytes] | Forked:
    definition.log.touch()
    if definition.fork_server is not None:
        return definition.fork_server.fork(_RUNTIME, definition.handler, env, definition.root, definition.log)
    with definition.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", _RUNTIME, definition.handler],
            env=env,
            cwd=definition.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the emulator, which ends its instances. When it is killed itself, the kernel ends frozen
            # ones, because their group is orphaned.
            process_group=0,
        )


def _environment(definition: Definition, runtime_api: str) -> dict[str, str]:
    """What Lambda sets, with the definition's own variables."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": str(definition.root),
        **definition.environment,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(definition.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": definition.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{definition.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[$LATEST]{uuid.uuid4().hex}",
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "LAMBDA_TASK_ROOT": str(definition.root),
        "_HANDLER": definition.handler,
    }
