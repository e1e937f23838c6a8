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
from local.aws.runtime_api import Answer, Invocation, RuntimeApi, failure

REGION = "eu-central-1"
ACCOUNT = "123456789012"

_ROOT = Path(__file__).parents[2]
_RUNTIME = "awslambdaric"
_SETTLE_SECONDS = 10.0


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
    init_seconds: float = 10.0
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
        self._definition = definition
        self._invocation: Invocation | None = None
        self._init_error: Answer | None = None
        self._ready = threading.Event()
        """It waits for an event, and is frozen; or it has ended."""
        self._ended = threading.Event()
        self.idle_since = time.monotonic()
        self._api = RuntimeApi(definition.arn, self._freeze, self._init_failed)
        self._starting = threading.Lock()
        with self._starting:
            self._process = _process(definition, _environment(definition, self._api.address))
        self._started = time.monotonic()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Is the process over?"""
        return self._ended.is_set()

    def invoke(self, payload: bytes) -> Answer:
        """Have one event handled. When this returns, the process is frozen, or has ended."""
        if failed := self._init():
            return failed
        seconds = self._definition.timeout
        self._invocation = invocation = Invocation(str(uuid.uuid4()), payload, seconds)
        self._ready.clear()
        self._signal(signal.SIGCONT)
        self._api.hand_out(invocation)
        if self.has_ended:  # meanwhile, so that nobody will answer
            invocation.resolve(self._exit_error(invocation.request_id))
        if not invocation.answered.wait(seconds):
            message = f"RequestId: {invocation.request_id} Error: Task timed out after {seconds:.2f} seconds"
            invocation.resolve(failure("Sandbox.Timedout", message, timed_out=True))
            self.kill()
        elif not self._ready.wait(_SETTLE_SECONDS):
            self.kill()  # it neither ends nor asks for the next event
        self._invocation = None
        assert invocation.answer is not None
        return invocation.answer

    def kill(self) -> None:
        """End it, frozen or not."""
        self._process.kill()
        self._ended.wait()

    def _init(self) -> Answer | None:
        """Wait until it takes events; what to answer when it does not."""
        left = self._definition.init_seconds - (time.monotonic() - self._started)
        if not self._ready.wait(max(left, 0)):
            self.kill()
            message = f"Init phase timed out after {self._definition.init_seconds:.2f} seconds"
            return failure("Sandbox.Timedout", message, timed_out=True)
        if self._init_error is not None:
            self.kill()
            return self._init_error
        return self._exit_error("init") if self.has_ended else None

    def _init_failed(self, answer: Answer) -> None:
        self._init_error = answer
        self._ready.set()

    def _freeze(self) -> None:
        """It asks for the next event: nothing runs until there is one."""
        self._signal(signal.SIGSTOP)
        self.idle_since = time.monotonic()
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
        code = self._process.returncode
        how = f"signal: {signal.Signals(-code).name}" if code and code < 0 else f"exit status {code}"
        return failure("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with error: {how}")


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
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": str(definition.root),
        **definition.environment,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{python}",
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
