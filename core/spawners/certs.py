"""The certificates of ``internal_ssl``: on disk only while needed, readable by their owner alone."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from core.model import Inputs


def folder_of(mark: str) -> Path:
    """Where the certificates of the start with that mark are."""
    return _base() / mark


def _base() -> Path:
    return Path(tempfile.gettempdir()) / f"outpost-{os.getuid()}"


def write(mark: str, inputs: Inputs) -> tuple[dict[str, str], dict[str, str]]:
    """Write certificates and trust bundles, mode 0600; the paths of both by name.

    Raises ``PermissionError`` when another user has made Outpost's folder in the shared temporary one.
    """
    _base().mkdir(mode=0o700, exist_ok=True)
    if _base().is_symlink() or _base().stat().st_uid != os.getuid():
        raise PermissionError(f"{_base()} belongs to another user; certificates are not written there")
    folder = folder_of(mark)
    folder.mkdir(mode=0o700, exist_ok=True)
    return _write_all(folder, inputs.certs), _write_all(folder, inputs.trust_bundles)


def _write_all(folder: Path, pems: Mapping[str, str]) -> dict[str, str]:
    paths = {}
    for number, (name, pem) in enumerate(sorted(pems.items())):
        stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
        path = folder / f"{stem}-{number}.pem"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(pem)
        paths[name] = str(path)
    return paths


def remove_unused(mark: str, used: Mapping[str, str]) -> None:
    """After a start: keep only the files that the server itself was pointed to."""
    folder = folder_of(mark)
    keep = {Path(path) for path in used.values()}
    for path in folder.glob("*") if folder.exists() else ():
        if path not in keep:
            path.unlink()
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def remove(mark: str) -> None:
    """After a stop: nothing is kept."""
    shutil.rmtree(folder_of(mark), ignore_errors=True)
