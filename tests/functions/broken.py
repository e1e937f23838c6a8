"""A module whose initialisation fails as its environment says."""

from __future__ import annotations

import os
import time

match os.environ["HOW"]:
    case "import":
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
    case "exit":
        os._exit(5)
    case "hang":
        time.sleep(60)


def handler(event: object, context: object) -> None:
    """Never called."""
