"""A module whose initialisation fails as its environment says."""

from __future__ import annotations

import os
import time
from pathlib import Path

match os.environ["HOW"]:
    case "import":
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
    case "exit":
        os._exit(5)
    case "hang":
        time.sleep(60)
    case "once" | "slow once":
        tried = Path(os.environ["NOTES"])
        if not tried.exists():
            tried.touch()
            if os.environ["HOW"] == "slow once":
                time.sleep(60)
            os._exit(5)


def handler(event: object, context: object) -> int:
    """Called only where a second initialisation helps."""
    return os.getpid()
