"""The environment: every mistake is one line that names the variable."""

from __future__ import annotations

import ssl
from collections.abc import MutableMapping
from pathlib import Path

import pytest

from core.cleanup import ServerList
from core.errors import ConfigError
from infra.settings import read_settings
from tests.support.secure_postgresql import Certificates

POSTGRESQL = {"SQL_TYPE": "postgresql", "SQL_USER": "u", "SQL_HOST": "h", "SQL_DATABASE": "d"}
CLEANUP = {
    "JUPYTERHUB_CLEANUP_NAMES": "hub1;hub2",
    "JUPYTERHUB_CLEANUP_URLS": "https://1;https://2",
    "JUPYTERHUB_CLEANUP_TOKENS": "secret-token-1;secret-token-2",
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of this run."""
    return Certificates(tmp_path_factory.mktemp("certificates") / "store")


def mistake(environ: MutableMapping[str, str], **env: str) -> str:
    """What is said about an environment."""
    environ.update(env)
    with pytest.raises(ConfigError) as caught:
        read_settings()
    message = str(caught.value)
    assert "\n" not in message
    return message


PAIRED = "they must have one entry for each hub, separated by ';'"


@pytest.mark.parametrize(
    ("name", "value", "counts"),
    [
        ("JUPYTERHUB_CLEANUP_NAMES", "hub1", (1, 2, 2)),
        ("JUPYTERHUB_CLEANUP_NAMES", "", (0, 2, 2)),
        ("JUPYTERHUB_CLEANUP_URLS", "https://1;https://2;https://3", (2, 3, 2)),
        ("JUPYTERHUB_CLEANUP_URLS", ";https://2", (2, 1, 2)),
        ("JUPYTERHUB_CLEANUP_TOKENS", "secret-token-1", (2, 2, 1)),
        ("JUPYTERHUB_CLEANUP_TOKENS", "secret-token-1; ", (2, 2, 1)),
    ],
)
def test_cleanup_lists_that_do_not_pair_up_are_counted(
    environ: MutableMapping[str, str], name: str, value: str, counts: tuple[int, int, int]
) -> None:
    said = mistake(environ, **CLEANUP | {name: value})
    expected = ", ".join(f"{name} has {count}" for name, count in zip(CLEANUP, counts, strict=True))
    assert said == f"{expected}: {PAIRED}"


def test_a_gap_never_pairs_a_hub_with_anothers_token(environ: MutableMapping[str, str]) -> None:
    said = mistake(
        environ,
        JUPYTERHUB_CLEANUP_NAMES="hub1;;hub3",
        JUPYTERHUB_CLEANUP_URLS="https://1;https://2;",
        JUPYTERHUB_CLEANUP_TOKENS=";token-2;token-3",
    )
    assert said.endswith(PAIRED)


@pytest.mark.parametrize("end", ["", ";", " ; "])
def test_cleanup_lists_are_paired_by_position(environ: MutableMapping[str, str], end: str) -> None:
    environ.update({name: value + end for name, value in CLEANUP.items()})
    assert read_settings().server_lists == [
        ServerList("hub1", "https://1", "secret-token-1"),
        ServerList("hub2", "https://2", "secret-token-2"),
    ]


def test_without_cleanup_lists_there_is_nothing_to_ask(environ: MutableMapping[str, str]) -> None:
    assert read_settings().server_lists == []


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("true", "on"),
        ("1", "on"),
        ("On", "on"),
        ("yes", "on"),
        ("false", "off"),
        ("0", "off"),
        ("", "off"),
        ("no", "off"),
        ("dry-run", "dry-run"),
    ],
)
def test_check_services_takes_the_usual_spellings(environ: MutableMapping[str, str], value: str, meaning: str) -> None:
    environ["CHECK_SERVICES"] = value
    assert read_settings().check_services == meaning


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"CHECK_SERVICES": "perhaps"}, "CHECK_SERVICES: Input should be 'on', 'off' or 'dry-run'"),
        ({"CHECK_ENDDATES": "perhaps"}, "CHECK_ENDDATES: Input should be a valid boolean"),
        ({"JUPYTERHUB_CLEANUP_SLEEP_TIMER": "0"}, "JUPYTERHUB_CLEANUP_SLEEP_TIMER: Input should be greater than 0"),
        ({"OUTPOST_TUNNELS_SLEEP_TIMER": "-1"}, "OUTPOST_TUNNELS_SLEEP_TIMER: Input should be greater than 0"),
        ({"OUTPOST_SSH_GENERATION": "x" * 256}, "OUTPOST_SSH_GENERATION: String should have at most 255 characters"),
        ({"SQL_POOL_SIZE": "-1"}, "SQL_POOL_SIZE: Input should be greater than or equal to 0"),
        ({"SQL_POOL_SIZE": "many"}, "SQL_POOL_SIZE: Input should be a valid integer"),
        ({"SQL_PORT": "0"}, "SQL_PORT: Input should be greater than or equal to 1"),
        (
            {"SQL_SSLMODE": "allow"},
            "SQL_SSLMODE: Input should be 'disable', 'prefer', 'require', 'verify-ca' or 'verify-full'",
        ),
        ({"SQL_IAM_AUTH": "perhaps"}, "SQL_IAM_AUTH: Input should be a valid boolean"),
        ({"SQL_USER": "", "SQL_HOST": ""}, "SQL_USER, SQL_HOST: not set, but SQL_TYPE=postgresql needs it"),
        ({"SQL_IAM_AUTH": "true"}, "SQL_IAM_AUTH: RDS takes tokens over TLS only; set SQL_SSLMODE to 'verify-full'"),
        ({"SQL_IAM_AUTH": "true", "SQL_SSLMODE": "disable"}, "SQL_IAM_AUTH: RDS takes tokens over TLS only"),
        ({"SQL_SSLCERT": "/c"}, "SQL_SSLCERT, SQL_SSLKEY: a client certificate needs both"),
        ({"SQL_SSLKEY": "/k"}, "SQL_SSLCERT, SQL_SSLKEY: a client certificate needs both"),
        (
            {"SQL_HOST": "/cloudsql/p:r:i", "SQL_SSLMODE": "require"},
            "SQL_SSLMODE: 'require', but SQL_HOST is a socket, which has no TLS; leave it out",
        ),
        ({"SQL_SSLROOTCERT": "/ca"}, "SQL_SSLROOTCERT: set, but not used; set SQL_SSLMODE to 'verify-full'"),
        ({"SQL_SSLROOTCERT": "/ca", "SQL_SSLMODE": "require"}, "SQL_SSLROOTCERT: set, but not used; set SQL_SSLMODE"),
        (
            {"SQL_SSLROOTCERT": "/ca", "SQL_SSLCERT": "/c", "SQL_SSLKEY": "/k", "SQL_SSLMODE": "disable"},
            "SQL_SSLROOTCERT, SQL_SSLCERT: set, but not used; set SQL_SSLMODE to 'verify-full'",
        ),
        ({"SQL_SSLROOTCERT": "/no/ca", "SQL_SSLMODE": "verify-ca"}, "SQL_SSLROOTCERT: there is no file /no/ca"),
        (
            {"SQL_SSLCERT": "/no/cert", "SQL_SSLKEY": "/no/key", "SQL_SSLMODE": "require"},
            "SQL_SSLCERT, SQL_SSLKEY: there is no file /no/cert",
        ),
    ],
)
def test_a_mistake_names_the_variable_and_what_would_be_right(
    environ: MutableMapping[str, str], env: dict[str, str], said: str
) -> None:
    assert mistake(environ, **POSTGRESQL | env).startswith(said)


def test_files_that_are_no_certificates_are_named(
    environ: MutableMapping[str, str], certificates: Certificates, tmp_path: Path
) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    environ.update(POSTGRESQL, SQL_SSLMODE="verify-full")
    said = mistake(environ, SQL_SSLROOTCERT=str(nonsense))
    assert said.startswith(f"SQL_SSLROOTCERT: {nonsense} cannot be used: ")
    environ["SQL_SSLROOTCERT"] = certificates.ca
    said = mistake(environ, SQL_SSLCERT=certificates.client.cert, SQL_SSLKEY=certificates.stranger.key)
    files = f"{certificates.client.cert}, {certificates.stranger.key}"
    assert said.startswith(f"SQL_SSLCERT, SQL_SSLKEY: {files} cannot be used: ")


def test_no_mistake_shows_a_secret(environ: MutableMapping[str, str]) -> None:
    environ.update(POSTGRESQL, **CLEANUP, SQL_PASSWORD="the-sql-password")
    for wrong in ({"JUPYTERHUB_CLEANUP_NAMES": "one"}, {"SQL_PORT": "the-sql-password"}, {"SQL_SSLMODE": "x"}):
        said = mistake(environ, **wrong)
        assert "the-sql-password" not in said
        assert "secret-token" not in said
        for name in wrong:
            del environ[name]
    assert "the-sql-password" not in repr(read_settings_again(environ))


def read_settings_again(environ: MutableMapping[str, str]) -> object:
    """The settings, once nothing is wrong."""
    environ.update(CLEANUP)
    return read_settings()


@pytest.mark.parametrize(
    ("mode", "verify", "check_hostname"),
    [
        ("require", ssl.CERT_NONE, False),
        ("verify-ca", ssl.CERT_REQUIRED, False),
        ("verify-full", ssl.CERT_REQUIRED, True),
    ],
)
def test_the_mode_says_what_is_verified(
    environ: MutableMapping[str, str], mode: str, verify: ssl.VerifyMode, check_hostname: bool
) -> None:
    environ.update(POSTGRESQL, SQL_SSLMODE=mode)
    context = read_settings().tls()
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (verify, check_hostname)


@pytest.mark.parametrize(("name", "value"), [("OUTPOST_DELETE_ORPHANS", "maybe"), ("OUTPOST_ORPHANS_SLEEP_TIMER", "0")])
def test_a_value_for_orphans_that_means_nothing_is_named(
    environ: MutableMapping[str, str], name: str, value: str
) -> None:
    environ[name] = value
    with pytest.raises(ConfigError, match=f"^{name}: Input should be "):
        read_settings()


def test_orphans_are_only_reported_unless_it_is_asked_for(environ: MutableMapping[str, str]) -> None:
    assert read_settings().delete_orphans is False
    environ["OUTPOST_DELETE_ORPHANS"] = "1"
    assert read_settings().delete_orphans is True
