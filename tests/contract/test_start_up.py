"""Mistakes are found at start-up: one clear line, exit code 2, nothing served."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.support.outpost import ROOT

POSTGRESQL = {"SQL_TYPE": "postgresql", "SQL_USER": "u", "SQL_HOST": "h", "SQL_DATABASE": "d"}
KEY = Fernet.generate_key().decode()


def run(folder: Path, config: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Start Outpost with that environment, and wait for its end."""
    (folder / "outpost_config.py").write_text(config)
    good = {
        "PATH": os.environ["PATH"],
        "OUTPOST_CONFIG_FILE": str(folder / "outpost_config.py"),
        "OUTPOST_CRYPT_KEY": KEY,
        "OUTPOST_FLAVORS_PATH": str(folder / "flavors.yaml"),
        "OUTPOST_CREDITS_PATH": str(folder / "credits.yaml"),
        "usernames": "hub1",
        "passwords": "pw",
        "SQL_DATABASE_URL": str(folder / "outpost.sqlite"),
    }
    return subprocess.run(
        [sys.executable, "-m", "handlers.server", "--host", "127.0.0.1", "--port", "0"],
        env={key: value for key, value in (good | env).items() if value},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"OUTPOST_CRYPT_KEY": ""}, "OUTPOST_CRYPT_KEY: not set"),
        ({"OUTPOST_CRYPT_KEY": "short"}, "key 1 of 1 is no Fernet key"),
        ({"OUTPOST_CRYPT_KEY": f"{KEY};short"}, "key 2 of 2 is no Fernet key"),
        ({"usernames": "", "passwords": ""}, "usernames, passwords: no hub can log in"),
        ({"passwords": ""}, "usernames, passwords: no hub can log in"),
        ({"SQL_DATABASE_URL": "/no/such/folder/db"}, "SQL_DATABASE_URL: the folder /no/such/folder does not exist"),
        ({"SQL_DATABASE_URL": ":memory:"}, "SQL_DATABASE_URL: must name a file"),
        ({"SQL_TYPE": "oracle"}, "SQL_TYPE"),
        ({"SQL_TYPE": "postgresql"}, "SQL_USER, SQL_HOST, SQL_DATABASE: not set"),
        ({"SQL_TYPE": "postgresql", "SQL_HOST": "h", "SQL_DATABASE": "d", "SQL_PORT": "x"}, "SQL_PORT"),
        ({"OUTPOST_CONFIG_FILE": "/no/such/file.py"}, "/no/such/file.py: there is no such file"),
        ({"JUPYTERHUB_CLEANUP_NAMES": "hub1"}, "JUPYTERHUB_CLEANUP_NAMES has 1, JUPYTERHUB_CLEANUP_URLS has 0"),
        ({"CHECK_SERVICES": "perhaps"}, "CHECK_SERVICES: Input should be 'on', 'off' or 'dry-run'"),
        ({"SQL_POOL_SIZE": "-1"}, "SQL_POOL_SIZE: Input should be greater than or equal to 0"),
        (POSTGRESQL | {"SQL_IAM_AUTH": "true"}, "SQL_IAM_AUTH: RDS takes tokens over TLS only"),
        (POSTGRESQL | {"SQL_SSLROOTCERT": "/ca"}, "SQL_SSLROOTCERT: set, but not used"),
        (POSTGRESQL | {"SQL_SSLMODE": "verify-ca", "SQL_SSLROOTCERT": "/no/ca"}, "SQL_SSLROOTCERT: there is no file"),
        (
            POSTGRESQL | {"SQL_SSLMODE": "verify-full", "SQL_IAM_AUTH": "true", "AWS_CONFIG_FILE": "/dev/null"},
            "SQL_IAM_AUTH: tokens cannot be signed: You must specify a region",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_named(tmp_path: Path, env: dict[str, str], said: str) -> None:
    ended = run(tmp_path, **env)
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("outpost: ")]
    assert said in line
    assert "Traceback" not in ended.stderr
    assert "short" not in ended.stderr


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("x = 1\nc.JupyterHubOutpost.flavors = (\n", "outpost_config.py, line 2: "),
        ("\n\nimport no_such_module\n", "outpost_config.py, line 3: ModuleNotFoundError"),
        ("def f():\n    return 1 / 0\nf()\n", "outpost_config.py, line 2: ZeroDivisionError"),
        ("c.JupyterHubOutpost.flavors = 3", "'flavors' trait"),
        ('c.JupyterHubOutpost.override_denied = "maybe"', "'override_denied' trait"),
        ('c.JupyterHubOutpost.spawner_class = "nothing"', "neither a registered Spawner"),
        ('c.JupyterHubOutpost.spawner_class = "no.such.Spawner"', "'no.such.Spawner' cannot be imported"),
        ('c.JupyterHubOutpost.spawner_class = "pathlib.Path"', "Path is no jupyterhub Spawner"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(tmp_path: Path, config: str, said: str) -> None:
    ended = run(tmp_path, config)
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("outpost: ")]
    assert said in line


def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    away = {"SQL_TYPE": "postgresql", "SQL_HOST": "127.0.0.1", "SQL_PORT": "1", "SQL_USER": "u", "SQL_DATABASE": "d"}
    ended = run(tmp_path, SQL_PASSWORD="the-password", **away)
    assert ended.returncode == 1
    assert "outpost: the database does not answer" in ended.stderr
    assert "the-password" not in ended.stderr
