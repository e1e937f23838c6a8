"""Where the programs of a Kubernetes control plane are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

REQUIRED = os.environ.get("OUTPOST_REQUIRE_KUBERNETES") == "1"
"""Set where missing programs are a failure: in the project's own checks."""

_ROOT = Path(__file__).parents[2]


def folder() -> Path:
    """Where ``.ci/kube-apiserver`` leaves what it has built."""
    return Path(os.environ.get("OUTPOST_KUBE_CACHE") or _ROOT / ".cache" / "kubernetes")


def missing() -> list[str]:
    """The names of the programs that are not there."""
    built = [name for name in ("kube-apiserver", "kube-controller-manager") if not (folder() / name).exists()]
    return built if shutil.which("etcd") else [*built, "etcd"]


def require() -> None:
    """Skip the test where programs are missing, unless the checks require them."""
    absent = missing()
    if absent and not REQUIRED:
        pytest.skip(f"no {', '.join(absent)} here; .ci/kube builds what is missing and runs this")
    assert not absent, f"no {', '.join(absent)}; .ci/kube-apiserver builds them into {folder()}"
