"""What ends the emulator, or a reload, with one line."""

from __future__ import annotations


class EmulatorError(Exception):
    """Something that was asked for cannot be done; the message is one line that names it."""
