"""The source of Outpost's functions on Google Cloud, as one zip that Cloud Build makes them of.

``make google-source`` comes here: ``python -m local.google_source FILE.zip [MORE PACKAGES]``. The same tree gives the
same bytes, so a deployment of what is deployed already builds nothing.
"""

from __future__ import annotations

import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "handlers", "infra")

MAIN = '''"""What Google's buildpack looks for: the functions, found with this folder on Python's path."""

from handlers.gcp import api, expire, migrate, recover, tunnels, worker

__all__ = ["api", "expire", "migrate", "recover", "tunnels", "worker"]
'''

_NOT_IN_FUNCTIONS = {"boto3", "mangum"}
"""What only functions on AWS import."""

_TIME = (1980, 1, 1, 0, 0, 0)
"""The oldest a zip can say."""


def requirements(more: list[str]) -> str:
    """A requirements.txt: what pyproject.toml says the functions need, at the versions of constraints.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["gcp"], *extras["kubernetes"], *more]
    kept = [line for line in wanted if line.split(">")[0] not in _NOT_IN_FUNCTIONS]
    return "\n".join(["-c constraints.txt", *kept, ""])


def files(more: list[str]) -> Iterator[tuple[str, bytes]]:
    """Every file by its name in the zip."""
    yield "main.py", MAIN.encode()
    yield "requirements.txt", requirements(more).encode()
    yield "constraints.txt", (ROOT / "constraints.txt").read_bytes()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in (".py", ".mako"):
                yield path.relative_to(ROOT).as_posix(), path.read_bytes()


def build(target: Path, more: list[str]) -> None:
    """Write the zip."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files(more):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content)


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2:])
