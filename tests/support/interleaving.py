"""Several Outposts in one event loop whose every step, and whose time, a seed chooses.

A call to the database, to a Spawner's world or to a hub waits at a gate. The :class:`Scheduler` picks which of the
waiting calls is done next, whose answer arrives next, when the clock goes on, and which process dies or freezes.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from core.errors import StoreUnavailable

T = TypeVar("T")

PATIENCE_SECONDS = 3.0
"""The longest a call of a process that is not frozen waits at the gate: no lease runs out while its owner works."""

_BEGIN = datetime(2030, 1, 1, tzinfo=UTC)

current: ContextVar[Process] = ContextVar("process")
"""The process in whose name the present task works."""


@dataclass(eq=False)
class Process:
    """What dies and freezes as one."""

    name: str
    died: asyncio.Event = field(default_factory=asyncio.Event)
    frozen_until: float = 0.0
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` in this process."""
        token = current.set(self)
        try:
            task = asyncio.get_running_loop().create_task(work)
        finally:
            current.reset(token)
        self.tasks.add(task)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever asked may be gone
        return task

    async def answer(self, work: Coroutine[Any, Any, T]) -> T:
        """What a client gets of ``work``. Raises ``ConnectionError`` when the process dies before it has answered."""
        task = self.run(work)
        death = asyncio.ensure_future(self.died.wait())
        await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
        if death.done():
            raise ConnectionError
        death.cancel()
        return task.result()


@dataclass(eq=False)
class Call:
    """A call at the gate; ``outcome`` is there once it was done and only its answer is still on its way."""

    process: Process
    name: str
    function: Callable[[], Any]
    future: Future[Any]
    asked_at: float
    outcome: Callable[[], None] | None = None


@dataclass(frozen=True)
class Faults:
    """How likely each trouble is at each step, and how often it may come."""

    crash: float = 0.0
    freeze: float = 0.0
    outage: float = 0.0
    most: int = 3


class Scheduler(Executor):
    """Chooses. It stands where the store's threads are."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.random = random.Random(seed)
        self.faults = faults
        self.now = 0.0
        self.calls: list[Call] = []
        self.processes: list[Process] = []
        self.trace: list[str] = []
        self.on_death: Callable[[], None] = lambda: None
        self._troubles = 0
        self._is_over = False

    def clock(self) -> datetime:
        """The time of all processes."""
        return _BEGIN + timedelta(seconds=self.now)

    @property
    def living(self) -> list[Process]:
        """The processes that have not died."""
        return [process for process in self.processes if not process.died.is_set()]

    def submit(self, function: Any, /, *_: Any, **__: Any) -> Future[Any]:
        """Take a call of the store: ``core.threads`` wraps it into two partials."""
        return self._take(f"store.{function.args[0].func.__name__}", function)

    async def gate(self, name: str, function: Callable[[], T]) -> T:
        """Let a call to anything else wait its turn; what ``function`` returns then."""
        answer: T = await asyncio.wrap_future(self._take(name, function))
        return answer

    def _take(self, name: str, function: Callable[[], Any]) -> Future[Any]:
        if self._is_over:
            raise asyncio.CancelledError
        call = Call(current.get(), name, function, Future(), self.now)
        if not call.process.died.is_set():  # the dead wait for ever
            self.calls.append(call)
        return call.future

    def calm(self) -> None:
        """No more trouble, and nobody stays frozen."""
        self.faults = Faults()
        for process in self.processes:
            process.frozen_until = 0.0

    def end(self) -> None:
        """From now on no call reaches the world any more."""
        self._is_over = True
        self.calls.clear()

    def step(self, seconds: float | None) -> None:
        """Nothing is ready in the loop, whose next timer is due in ``seconds``: choose what happens."""
        if self._is_over:
            self.now += seconds or 0
            return
        self._maybe_trouble()
        waiting = [call for call in self.calls if call.process.frozen_until <= self.now]
        frozen = [call.process.frozen_until - self.now for call in self.calls if call.process.frozen_until > self.now]
        pause = min([*frozen, *([] if seconds is None else [seconds])], default=None)
        oldest = min((call.asked_at for call in waiting), default=self.now)
        may_pause = pause is not None and self.now + pause - oldest <= PATIENCE_SECONDS
        if pause is not None and (not waiting or (may_pause and self.random.random() < 0.3)):
            self.now += pause
            return
        if not waiting:
            raise RuntimeError("everybody waits for ever")
        call = self.random.choice(waiting)
        if call.outcome is None:
            self._do(call)
        else:
            self._answer(call)

    def _do(self, call: Call) -> None:
        if not call.future.set_running_or_notify_cancel():
            self.calls.remove(call)
            return
        outage = call.name.startswith("store.") and self._happens(self.faults.outage)
        self.note(call.process, call.name, "outage" if outage else "")
        if outage and self.random.random() < 0.5:
            self._fail(call, StoreUnavailable("away, and nothing was done"))
            return
        try:
            value = call.function()
        except Exception as error:  # noqa: BLE001  # it is the caller's
            self._fail(call, error)
        else:
            call.outcome = lambda: call.future.set_result(value)
        if outage:
            self._fail(call, StoreUnavailable("away, but it was done"))
        if self.random.random() < 0.5:
            self._answer(call)

    def _fail(self, call: Call, error: Exception) -> None:
        call.outcome = lambda: call.future.set_exception(error)

    def _answer(self, call: Call) -> None:
        assert call.outcome is not None
        self.calls.remove(call)
        call.outcome()

    def _happens(self, likelihood: float) -> bool:
        if self._troubles >= self.faults.most or self.random.random() >= likelihood:
            return False
        self._troubles += 1
        return True

    def _maybe_trouble(self) -> None:
        """Trouble comes to who is at work."""
        if self.calls and self._happens(self.faults.crash):
            self._kill(self.random.choice(self.calls).process)
        if self.calls and self._happens(self.faults.freeze):
            process = self.random.choice(self.calls).process
            process.frozen_until = self.now + self.random.uniform(1, 150)
            self.note(process, "frozen", f"until {process.frozen_until:.1f}")

    def _kill(self, process: Process) -> None:
        """What was asked for may still happen; nobody learns of it."""
        self.note(process, "dies")
        process.died.set()
        for call in [call for call in self.calls if call.process is process]:
            self.calls.remove(call)
            if call.outcome is None and self.random.random() < 0.5:
                self.note(process, call.name, "posthumously")
                try:
                    call.function()
                except Exception:  # noqa: BLE001  # nobody is there to see it
                    continue
        self.on_death()

    def note(self, process: Process | None, what: str, more: str = "") -> None:
        """A line of the trace."""
        self.trace.append(f"{self.now:8.2f} {process.name if process else '-':4} {what} {more}".rstrip())


class _Selector(selectors.SelectSelector):
    """Asks the scheduler instead of the operating system."""

    scheduler: Scheduler

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing ever comes from outside."""
        if timeout is None or timeout > 0:
            self.scheduler.step(timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """An event loop in which the scheduler's time passes."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        selector = _Selector()
        selector.scheduler = scheduler
        super().__init__(selector)

    def time(self) -> float:
        """In seconds, from the beginning."""
        return self._scheduler.now

    def _write_to_self(self) -> None:
        """Nobody needs to be woken."""

    def abandon(self) -> None:
        """End all tasks without a further step of theirs reaching the world."""
        self._scheduler.end()
        while tasks := asyncio.all_tasks(self):
            for task in tasks:
                task.cancel()
            self.run_until_complete(asyncio.wait(tasks, timeout=1))
        self.close()
