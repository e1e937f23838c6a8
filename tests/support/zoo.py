"""A Spawner of real processes that misbehaves as ``user_options`` say."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner, Spawner
from traitlets import Dict, Unicode


class ZooSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]  # JupyterHub has no types
    """Runs ``sleep`` as its server. ``user_options`` choose what goes wrong."""

    motto = Unicode("", help="Goes into the server's environment.").tag(config=True)
    badges = Dict(help="Goes into the server's environment too.").tag(config=True)

    @property
    def folder(self) -> Path:
        """Where this zoo keeps notes that outlive the object."""
        return Path(os.environ["TMPDIR"])

    @property
    def is_closing(self) -> bool:
        """Has the test ended? Then everything works again."""
        return (self.folder / "closing").exists()

    def option(self, name: str) -> Any:
        """What the start's user_options say."""
        return self.user_options.get(name)

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Marks the process for the tests."""
        badges = ",".join(f"{key}={value}" for key, value in sorted(self.badges.items()))
        return env | {
            "ZOO_FOLDER": str(self.folder),
            "ZOO_MOTTO": self.motto,
            "ZOO_BADGES": badges,
            "ZOO_NAME": self.name,
        }

    def make_preexec_fn(self, name: str) -> Any:
        """No home folder is needed."""
        return lambda: None

    async def start(self) -> Any:
        """Start ``sleep``; ``fail`` before, during or after it, ``exit`` with a code.

        ``slow`` by so many seconds, or ``until`` there is a file of that name.
        """
        self.cmd = ["sh", "-c", f"exit {self.option('exit')}"] if self.option("exit") is not None else ["sleep", "600"]
        if self.option("fail") == "before":
            raise RuntimeError("the zoo is closed")
        if self.option("slow"):
            await asyncio.sleep(float(self.option("slow")))
        while self.option("until") and not (self.folder / self.option("until")).exists():
            await asyncio.sleep(0.05)
        address = await super().start()
        if self.option("fail") == "after":
            raise RuntimeError(f"the gate is locked, said {self.api_token}")
        if self.option("fail") == "during":
            self.pid, self.proc = 0, None
            raise RuntimeError("the keeper has lost the key")
        while self.option("hang"):
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if self.option("hang") != "deaf":
                    raise
        return self.option("returns") if self.option("returns") is not None else address

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Three events, or an error among them."""
        yield {"progress": 10, "message": "the keeper wakes up"}
        if self.option("progress") == "raises":
            raise RuntimeError("the keeper fell asleep")
        yield {"progress": 40, "message": f"the keeper has the key {self.api_token}"}
        yield {"progress": 90, "message": "the gate opens", "ready": True}

    async def poll(self) -> int | None:
        """The process's exit code, unless ``poll`` raises or hangs."""
        if self.option("poll") == "raises" and not self.is_closing:
            raise ConnectionError("the zoo does not answer the phone")
        if self.option("poll") == "hangs" and not self.is_closing:
            await asyncio.sleep(3600)
        status: int | None = await super().poll()
        return status

    async def stop(self, now: bool = False) -> None:
        """Stop the process, unless ``stop`` raises, raises once or hangs."""
        how, note = self.option("stop"), self.folder / f"stopped-{self.mark}"
        if how is not None:
            with (self.folder / f"stops-of-{self.name}").open("a") as notes:
                notes.write("asked\n")
        if how == "raises" and not self.is_closing:
            raise RuntimeError("the tiger does not want to go")
        if how == "hangs" and not self.is_closing:
            await asyncio.sleep(3600)
        if how == "raises once" and not note.exists():
            note.touch()
            raise RuntimeError("the tiger does not want to go yet")
        await super().stop(now)

    def get_state(self) -> dict[str, Any]:
        """The process's state; ``state`` makes it no JSON, or large."""
        state: dict[str, Any] = super().get_state()
        if self.option("state") == "no JSON" and self.pid:
            state["oddity"] = object()
        if self.option("state") == "large":
            state["ballast"] = "x" * 5_000_000
        return state

    async def get_jupyter_server_logs(self) -> list[str]:
        """The last lines of the server."""
        return ["the lion roars", "the lion sleeps"]


class IdleSpawner(Spawner):  # type: ignore[misc]  # JupyterHub has no types
    """Starts nothing: what is left is Outpost's own work."""

    async def start(self) -> str:
        """There is a server, they say."""
        return str(self.user_options.get("returns", "http://127.0.0.1:1"))

    async def poll(self) -> int | None:
        """It runs as long as nobody stops it."""
        return 0 if self.api_token == "stopped" else None

    async def stop(self, now: bool = False) -> None:
        """Now it does not."""
        self.api_token = "stopped"
