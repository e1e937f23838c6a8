"""Public keys that may forward ports, and host keys that sshd is willing to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core.errors import ConfigError

_ONLY_FORWARDS = "restrict,port-forwarding"


def authorized(text: str, source: str) -> str:
    """The keys of an ``authorized_keys`` file, each of them for forwarding only, whatever options it came with.

    Raises ``ConfigError`` that names ``source`` and the line, and never shows it: it might be a private key.
    """
    keys = []
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if not line or line.startswith("#"):
            continue
        if not _is_public_key(line):
            raise ConfigError(f"{source}, line {number}: is no SSH public key; it would be like 'ssh-ed25519 AAAA...'")
        options, key = _split_options(line)
        # Theirs stay, such as from= and permitopen=; ours come last and win over those that allow more.
        keys.append(f"{options},{_ONLY_FORWARDS} {key}" if options else f"{_ONLY_FORWARDS} {key}")
    if not keys:
        raise ConfigError(f"{source}: holds no SSH public key, so no hub could connect")
    return "".join(f"{key}\n" for key in keys)


def _is_public_key(line: str) -> bool:
    told = subprocess.run(["ssh-keygen", "-l", "-f", "-"], input=line + "\n", text=True, capture_output=True)  # noqa: S607
    return told.returncode == 0


def _split_options(line: str) -> tuple[str, str]:
    """The options before the key, and the key with its comment. Blanks in quotes are part of an option."""
    first = _first_word(line)
    if first.startswith(("ssh-", "ecdsa-", "sk-")):
        return "", line
    return first, line[len(first) :].strip()


def _first_word(line: str) -> str:
    """Up to the first blank outside of quotes, as sshd reads it: a backslash matters before a quotation mark only."""
    quoted = escaped = False
    for position, letter in enumerate(line):
        if escaped:
            escaped = False
        elif letter in " \t" and not quoted:
            return line[:position]
        elif letter == "\\" and line[position + 1 : position + 2] == '"':
            escaped = True
        elif letter == '"':
            quoted = not quoted
    return line


def host_keys(given: Path, folder: Path) -> list[Path]:
    """Copies of the private keys in ``given`` that only this user can read, as sshd insists; an empty one: a new key.

    Raises ``ConfigError`` that names the file or the folder.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    copies = []
    for key in _found(given):
        copies.append(_private(folder / key.name, _read(key)))
        _check_host_key(copies[-1], key)
    return copies or [_new_host_key(folder, given)]


def _found(given: Path) -> list[Path]:
    """Files alone: folders are what Kubernetes has beside the files of a mounted Secret."""
    try:
        files = [path for path in sorted(given.iterdir()) if path.is_file()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"OUTPOST_SSH_HOST_KEYS: {given} cannot be read: {error.strerror}") from None
    host_keys = [path for path in files if path.match("ssh_host_*_key")]
    if files and not host_keys:
        raise ConfigError(
            f"OUTPOST_SSH_HOST_KEYS: {given}: no file there is named as a host key is, such as ssh_host_ed25519_key "
            f"or ssh_host_ecdsa_key; there is {files[0].name}"
        )
    return host_keys


def _read(key: Path) -> bytes:
    try:
        return key.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: cannot be read: {error.strerror}") from None


def _private(path: Path, content: bytes) -> Path:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def _check_host_key(copy: Path, key: Path) -> None:
    told = subprocess.run(  # noqa: S603
        ["ssh-keygen", "-y", "-P", "", "-f", str(copy)],  # noqa: S607
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    if told.returncode:
        raise ConfigError(f"{key}: is no SSH private key without a passphrase; ssh-keygen -t ed25519 -N '' makes one")


def _new_host_key(folder: Path, given: Path) -> Path:
    key = folder / "ssh_host_ed25519_key"
    if not key.exists():
        print(  # noqa: T201
            f"outpost: {given} holds no host key, so a new one is made, which is lost with {folder}: "
            "hubs that remember it will refuse the next one",
            file=sys.stderr,
        )
        subprocess.run(  # noqa: S603
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "outpost", "-f", str(key)],  # noqa: S607
            stdin=subprocess.DEVNULL,
            check=True,
            capture_output=True,
        )
    return key
