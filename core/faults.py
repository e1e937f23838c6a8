"""Places at which a test may kill the process, to see that nothing is lost there."""

from __future__ import annotations

import os
import signal

_AT, _, _TIME = os.environ.get("OUTPOST_FAULT", "").partition("@")
_passed = 0


def fault_point(name: str) -> None:
    """Nothing, unless ``OUTPOST_FAULT`` names this place: then the process is killed, as if the power went.

    ``OUTPOST_FAULT=name@2`` kills it the second time it comes there.
    """
    global _passed
    if name == _AT:
        _passed += 1
        if _passed == int(_TIME or 1):
            os.kill(os.getpid(), signal.SIGKILL)
