"""Places at which a test may kill the process, to see that nothing is lost there."""

from __future__ import annotations

import os
import signal

_AT = os.environ.get("OUTPOST_FAULT", "")


def fault_point(name: str) -> None:
    """Nothing, unless ``OUTPOST_FAULT`` names this place: then the process is killed, as if the power went."""
    if name == _AT:
        os.kill(os.getpid(), signal.SIGKILL)
