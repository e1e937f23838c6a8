"""Reads a SAM template into what it deploys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from local.template.deployment import Deployment, Site


def read_deployment(path: Path, parameters: Mapping[str, str], site: Site) -> Deployment:
    """What the template at ``path`` deploys with these parameters, as SAM and CloudFormation would have it.

    Only what is needed is resolved, so a parameter without a default may be missing if nothing here needs it.
    Raises ``TemplateError``, with the line, for everything that is wrong, and for whatever is not supported.
    """
    raise NotImplementedError
