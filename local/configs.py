"""The configuration files that come with this package, and as whom its hub logs in."""

from __future__ import annotations

from pathlib import Path

HUB_NAME = "hub"
"""As whom a hub logs in at the Outpost here."""

HUB_CONFIG = Path(__file__).with_name("jupyterhub_config.py")
OUTPOST_CONFIG = Path(__file__).with_name("outpost_config.py")
