"""The environment Outpost is configured by, typed and checked once at start-up."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError

from core.cleanup import ServerList
from core.errors import ConfigError
from infra.crypto import Sealer
from infra.database_settings import DatabaseSettings

_TASKS_QUEUE = re.compile(r"projects/[^/]+/locations/[^/]+/queues/[^/]+")
_WORKER_URL = re.compile(r"https://[^/\s]+\S*|http://(localhost|127\.0\.0\.1)(:\d+)?(/\S*)?")
_QUEUE_URL = re.compile(r"https?://[^/\s]+/\S+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_GKE_CLUSTER = re.compile(r"projects/[^/]+/locations/[^/]+/clusters/[^/]+")

S = TypeVar("S", bound=DatabaseSettings)


def _on_off(value: object) -> object:
    """``true`` and ``false`` in all the spellings that the other switches take."""
    text = str(value).strip().lower()
    return "on" if text in ("true", "1", "yes", "on") else "off" if text in ("false", "0", "no", "off", "") else text


class StoreSettings(DatabaseSettings):
    """What it takes to read and write what is stored."""

    crypt_key: SecretStr = Field(SecretStr(""), validation_alias="OUTPOST_CRYPT_KEY")

    def sealer(self) -> Sealer:
        """Encrypts and decrypts. Raises ``ConfigError`` without showing a key."""
        return Sealer(self.crypt_key.get_secret_value())


class Settings(StoreSettings):
    """Every variable Outpost reads. Lists are separated by ``;`` and paired by position."""

    config_file: str = Field("", validation_alias="OUTPOST_CONFIG_FILE")
    base_path: str = Field("", validation_alias="OUTPOST_BASE_PATH")
    logger_name: str = Field("JupyterHubOutpost", validation_alias="LOGGER_NAME")

    usernames: str = Field("", validation_alias="usernames")
    passwords: SecretStr = Field(SecretStr(""), validation_alias="passwords")

    flavors_path: Path = Field(Path("/mnt/flavors/flavors.yaml"), validation_alias="OUTPOST_FLAVORS_PATH")
    credits_path: Path = Field(Path("/mnt/credits/credits.yaml"), validation_alias="OUTPOST_CREDITS_PATH")

    migrate: Literal["auto", "never"] = Field("auto", validation_alias="OUTPOST_MIGRATE")
    """``auto``: the start brings the database's schema to this version; ``never``: it insists on that."""

    check_enddates: bool = Field(True, validation_alias="CHECK_ENDDATES")
    check_enddates_seconds: float = Field(60, validation_alias="JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER", gt=0)

    check_services: Annotated[Literal["on", "off", "dry-run"], BeforeValidator(_on_off)] = Field(
        "on", validation_alias="CHECK_SERVICES"
    )
    """Stop the services their hub no longer lists; ``dry-run`` only logs them."""
    cleanup_seconds: float = Field(1800, validation_alias="JUPYTERHUB_CLEANUP_SLEEP_TIMER", gt=0)
    cleanup_names: str = Field("", validation_alias="JUPYTERHUB_CLEANUP_NAMES")
    cleanup_urls: str = Field("", validation_alias="JUPYTERHUB_CLEANUP_URLS")
    cleanup_tokens: SecretStr = Field(SecretStr(""), validation_alias="JUPYTERHUB_CLEANUP_TOKENS")

    delete_orphans: bool = Field(False, validation_alias="OUTPOST_DELETE_ORPHANS")
    """Take away servers of this Outpost that have no row; else they are only reported."""
    orphans_seconds: float = Field(1800, validation_alias="OUTPOST_ORPHANS_SLEEP_TIMER", gt=0)

    dispatcher: Literal["", "in-process", "sqs", "cloudtasks"] = Field("", validation_alias="OUTPOST_DISPATCHER")
    """Who carries on what no request waits for; empty: what fits where Outpost runs."""
    queue_url: str = Field("", validation_alias="OUTPOST_QUEUE_URL")
    """The SQS queue of the worker, where Outpost runs as functions on AWS."""
    tasks_queue: str = Field("", validation_alias="OUTPOST_TASKS_QUEUE")
    """The Cloud Tasks queue of the worker, where Outpost runs as functions on Google Cloud."""
    tasks_url: str = Field("", validation_alias="OUTPOST_TASKS_URL")
    """The worker's URL, and the audience of the tokens it is called with."""
    tasks_service_account: str = Field("", validation_alias="OUTPOST_TASKS_SERVICE_ACCOUNT")
    tasks_endpoint_url: str = Field(
        "https://cloudtasks.googleapis.com", validation_alias="OUTPOST_TASKS_ENDPOINT_URL", pattern="^https?://[^/]+/*$"
    )

    oidc_audience: str = Field("", validation_alias="OUTPOST_OIDC_AUDIENCE")
    """What Google's ID tokens must be for, where functions on Google Cloud check them themselves."""
    oidc_callers: str = Field("", validation_alias="OUTPOST_OIDC_CALLERS")
    """The e-mail addresses of the accounts that may call these functions."""

    eks_cluster: str = Field("", validation_alias="OUTPOST_EKS_CLUSTER")
    gke_cluster: str = Field("", validation_alias="OUTPOST_GKE_CLUSTER")
    gke_endpoint_url: str = Field(
        "https://container.googleapis.com", validation_alias="OUTPOST_GKE_ENDPOINT_URL", pattern="^https?://[^/]+"
    )

    ssh_generation: str = Field("", validation_alias="OUTPOST_SSH_GENERATION", max_length=255)
    """Set where this Outpost is the SSH node of its hubs; another value than before says that it restarted."""
    tunnels_seconds: float = Field(30, validation_alias="OUTPOST_TUNNELS_SLEEP_TIMER", gt=0)

    lease_seconds: float = Field(30, validation_alias="OUTPOST_LEASE_SECONDS", ge=1)
    """How long a start or stop is left to a process that gives no sign of life."""

    @property
    def config_path(self) -> Path | None:
        """The configuration file: the one named, else ``outpost_config.py`` where there is one."""
        if self.config_file:
            return Path(self.config_file)
        here = Path("outpost_config.py").absolute()
        return here if here.exists() else None

    @property
    def hub_passwords(self) -> dict[str, str]:
        """The hubs that may log in. A name without a password is not among them."""
        names, passwords = self.usernames.split(";"), self.passwords.get_secret_value().split(";")
        return {
            name.strip(): password.strip()
            for name, password in zip(names, passwords, strict=False)
            if name.strip() and password.strip()
        }

    @property
    def hubs_without_password(self) -> list[str]:
        """The names in ``usernames`` that cannot log in."""
        names = [name.strip() for name in self.usernames.split(";") if name.strip()]
        return [name for name in names if name not in self.hub_passwords]

    @property
    def server_lists(self) -> list[ServerList]:
        """Where hubs list their servers. Raises ``ConfigError`` when the three lists do not pair up."""
        lists = {
            "JUPYTERHUB_CLEANUP_NAMES": _split(self.cleanup_names),
            "JUPYTERHUB_CLEANUP_URLS": _split(self.cleanup_urls),
            "JUPYTERHUB_CLEANUP_TOKENS": _split(self.cleanup_tokens.get_secret_value()),
        }
        if len({len(values) for values in lists.values()}) > 1 or not all(map(all, lists.values())):
            counts = ", ".join(f"{name} has {sum(map(bool, values))}" for name, values in lists.items())
            raise ConfigError(f"{counts}: they must have one entry for each hub, separated by ';'")
        return [ServerList(*entry) for entry in zip(*lists.values(), strict=True)]

    @property
    def oidc(self) -> tuple[list[str], list[str]]:
        """Audiences and callers; none of both: tokens are not checked. Raises ``ConfigError`` for half of it."""
        audiences, callers = [list(filter(None, _split(text))) for text in (self.oidc_audience, self.oidc_callers)]
        if bool(audiences) != bool(callers):
            raise ConfigError("OUTPOST_OIDC_AUDIENCE, OUTPOST_OIDC_CALLERS: one is set, but they need each other")
        return audiences, callers

    def check_queue(self) -> None:
        """Raises ``ConfigError`` when what names the worker's queue has a wrong form."""
        forms = (
            ("OUTPOST_QUEUE_URL", self.queue_url, _QUEUE_URL, "be the URL of an SQS queue"),
            ("OUTPOST_TASKS_QUEUE", self.tasks_queue, _TASKS_QUEUE, "be projects/P/locations/L/queues/Q"),
            ("OUTPOST_TASKS_URL", self.tasks_url, _WORKER_URL, "be the worker's URL, with https"),
            ("OUTPOST_TASKS_SERVICE_ACCOUNT", self.tasks_service_account, _EMAIL, "be a service account's e-mail"),
        )
        for name, value, form, right in forms:
            if value and not form.fullmatch(value):
                raise ConfigError(f"{name}: must {right}")

    def check_cluster(self) -> None:
        """Raises ``ConfigError`` when no cluster, or more than one, can be meant."""
        if self.gke_cluster and not _GKE_CLUSTER.fullmatch(self.gke_cluster):
            raise ConfigError("OUTPOST_GKE_CLUSTER: must be projects/P/locations/L/clusters/C")
        if self.eks_cluster and self.gke_cluster:
            raise ConfigError("OUTPOST_EKS_CLUSTER, OUTPOST_GKE_CLUSTER: both are set, but an Outpost has one cluster")


def _split(text: str) -> list[str]:
    """The entries at their positions, which a gap must not shift."""
    text = text.strip().removesuffix(";")
    return [part.strip() for part in text.split(";")] if text else []


def read_settings() -> Settings:
    """The settings in this process's environment. Raises ``ConfigError`` that names the variable."""
    settings = from_environment(Settings)
    _ = settings.server_lists, settings.oidc
    settings.check_queue()
    settings.check_cluster()
    return settings


def from_environment(kind: type[S]) -> S:
    """The part of the environment that ``kind`` describes. Raises ``ConfigError`` that names the variable."""
    try:
        settings = kind.model_validate(dict(os.environ))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ConfigError(f"{first['loc'][0]}: {first['msg']}") from None
    settings.check_database()
    return settings
