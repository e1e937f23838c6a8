"""``python -m local``: see :mod:`local.emulator`."""

from __future__ import annotations

import os
import sys

from local.emulator.errors import EmulatorError
from local.emulator.options import Options, read_options
from local.state import EMULATOR, State, StateError

_MISTAKE = 2


def main(argv: list[str] | None = None) -> int:
    """0 after a signal or a tick, 1 when a tick failed, 2 for whatever cannot be run."""
    os.umask(0o077)
    try:
        options = read_options(argv)
        return _tick(options) if options.tick else _run(options)
    except (EmulatorError, StateError, OSError) as error:
        print(f"outpost: {error}", file=sys.stderr, flush=True)
        return _MISTAKE
    except KeyboardInterrupt:
        return 0


def _tick(options: Options) -> int:
    from local.emulator.tick import tick

    return tick(options)


def _run(options: Options) -> int:
    from local.emulator.account import NO_FILES
    from local.emulator.emulator import Emulator
    from local.emulator.report import Report

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # nobody's real account is meant
    os.environ.update(NO_FILES)
    state = State(options.state)
    with state.locked(EMULATOR):
        return Emulator(options, state, Report(options.as_json)).run()


if __name__ == "__main__":
    sys.exit(main())
