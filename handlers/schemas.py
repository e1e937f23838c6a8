"""The bodies hubs send and get."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from core.model import Body, Identity, Inputs, NewService, ServiceSummary, Status
from handlers.paths import NO_START_ID

NO_END = "9999-12-31T23:59:59.999999+00:00"
"""What a list says of a service without an end date."""

_LONGEST = 255


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return text


def _or_empty(value: Any) -> Any:
    return {} if value is None else value


def _as_text(value: Any) -> Any:
    """Environments hold text; hubs' hooks also write numbers."""
    if not isinstance(value, dict):
        return {} if value is None else value
    return {key: str(v) if isinstance(v, int | float) else v for key, v in value.items() if v is not None}


Key = Annotated[str, Field(max_length=_LONGEST), AfterValidator(_storable)]
Env = Annotated[dict[str, str], BeforeValidator(_as_text)]
Object = Annotated[dict[str, Any], BeforeValidator(_or_empty)]
Pems = Annotated[dict[str, str], BeforeValidator(_or_empty)]


class StartBody(BaseModel):
    """What OutpostSpawner sends to start a server. Unknown fields are ignored: the rest is Outpost's own."""

    model_config = ConfigDict(extra="ignore")

    name: Key = Field(description="The server's name at the hub; empty for the default server.")
    env: Env = Field(default_factory=dict, description="The server's environment, with the hub's URLs and token.")
    user_options: Object = Field(default_factory=dict, description="`start_id` and `flavor` are read from here.")
    misc: Object = Field(default_factory=dict, description="Overrides of the Spawner's configuration.")
    certs: Pems = Field(default_factory=dict, description="PEM texts of `internal_ssl`.")
    internal_trust_bundles: Pems = Field(default_factory=dict, description="PEM texts by name of the CA.")
    authentication: dict[str, Any] | None = Field(None, description="The user, for `user_flavors`.")
    flavor: Key | None = Field(None, description="Goes before `user_options.flavor`.")

    def new_service(self, hub: str, auth_state: dict[str, str]) -> NewService:
        """The service that this body asks ``hub`` to get. Raises ``ValueError`` that names the field."""
        options = dict(self.user_options)
        start_id = _option(options.pop("start_id", None), "start_id") or NO_START_ID
        _option(self.env.get("JUPYTERHUB_USER_ID"), "env.JUPYTERHUB_USER_ID")
        return NewService(
            identity=Identity(hub, self.name, start_id),
            flavor=self.flavor or _option(options.get("flavor"), "flavor"),
            body=Body(env=self.env, user_options=options, misc=self.misc),
            inputs=Inputs(certs=self.certs, trust_bundles=self.internal_trust_bundles, auth_state=auth_state),
        )


class Restarted(BaseModel):
    """What an SSH node says after its start."""

    model_config = ConfigDict(extra="forbid")

    generation: Key = Field(min_length=1, description="Anything that differs from one start of it to the next.")


def _option(value: Any, field: str) -> str | None:
    """A user option that is text."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"user_options.{field}: must be a string")
    text = _storable(str(value))
    if len(text) > _LONGEST:
        raise ValueError(f"user_options.{field}: must have at most {_LONGEST} characters")
    return text


class Started(BaseModel):
    """Where the server runs; empty when that is not known yet."""

    service: str


class Polled(BaseModel):
    """null while the server runs, else its exit code."""

    status: int | None
    logs: list[str]


class Stopped(BaseModel):
    """The server is gone."""

    logs: list[str] = []


class Listed(BaseModel):
    """A service of this hub."""

    name: str
    start_id: str
    start_date: datetime
    end_date: datetime
    jupyterhub: str
    jupyterhub_userid: str
    last_update: datetime
    state_stored: bool
    start_pending: bool
    stop_pending: bool
    flavor: str | None
    status: str


class SpawnerError(BaseModel):
    """An error of the Spawner, the configuration or a quota; `args[0]` is one sentence for the user."""

    model_config = ConfigDict(populate_by_name=True)

    module: str
    class_: str = Field(alias="class")
    traceback: str
    args: list[str]
    kwargs: dict[str, Any]


class Detail(BaseModel):
    """What is wrong."""

    detail: str


def listed(service: ServiceSummary) -> dict[str, Any]:
    """A list's item for a service."""
    return {
        "name": service.identity.name,
        "start_id": service.identity.start_id,
        "start_date": service.start_date.isoformat(),
        "end_date": service.end_date.isoformat() if service.end_date else NO_END,
        "jupyterhub": service.identity.hub,
        "jupyterhub_userid": service.user_id,
        "last_update": service.last_update.isoformat(),
        "state_stored": service.state_stored,
        "start_pending": service.status in (Status.PENDING, Status.STARTING),
        "stop_pending": service.status is Status.STOPPING,
        "flavor": service.flavor,
        "status": service.status.value,
    }
