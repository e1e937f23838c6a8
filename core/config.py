"""``outpost_config.py``: the traits operators set on ``c.JupyterHubOutpost``, and the file they stand in."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

from tornado.log import LogFormatter
from traitlets import Any as AnyTrait
from traitlets import (
    Bool,
    Dict,
    Enum,
    Instance,
    Integer,
    List,
    TraitError,
    Unicode,
    Union,
    default,
    observe,
    observe_compat,
)
from traitlets import Callable as CallableTrait
from traitlets.config import Application, Config
from traitlets.config.loader import PyFileConfigLoader

from core.errors import ConfigError

SpawnerSpec = type | str


class JupyterHubOutpost(Application):
    """Runs the single-user servers of JupyterHubs that live elsewhere.

    Every trait that may be a callable may be a coroutine function too.
    """

    name = "jupyterhub-outpost"
    description = "Runs the single-user servers of JupyterHubs that live elsewhere."

    _log_formatter_cls: type[logging.Formatter] = LogFormatter  # type: ignore[assignment]  # as JupyterHub does

    spawner_class = Union(
        [Unicode(), Instance(type)],
        default_value="jupyterhub.spawner.LocalProcessSpawner",
        help="""The Spawner that starts the servers: a class, the name of an entry point
        (``"kubespawner"``) or an import string (``"kubespawner.KubeSpawner"``).
        A string is imported only when a server is started, polled or stopped.""",
    ).tag(config=True)

    flavors = Union(
        [Dict(), CallableTrait()],
        default_value={},
        help="""What hubs may use: ``{name: {max, weight, display_name, description, runtime, maxPerUser}}``,
        or a callable(jupyterhub_name) that returns that. A bare number stands for ``{"max": number}``.""",
    ).tag(config=True)

    flavors_undefined_max = Union(
        [Integer(), CallableTrait()],
        default_value=-1,
        help="""How many services a hub may have without a flavor, or with one that is not defined; -1 is no limit.
        A number, or a callable(jupyterhub_name).""",
    ).tag(config=True)

    flavors_update_token = Union(
        [Unicode(), CallableTrait()],
        default_value="",
        help="""The token for telling a hub its flavors (scope ``custom:outpostflavors:set``):
        a string, or a callable(jupyterhub_name). One that raises only logs.""",
    ).tag(config=True)

    user_flavors = CallableTrait(
        default_value=None,
        allow_none=True,
        help="""callable(outpost, jupyterhub_name, authentication): True for the hub's flavors, False for none,
        or a dict of flavors. ``await outpost.get_flavors(jupyterhub_name)`` works inside.""",
    ).tag(config=True)

    update_user_authentication = CallableTrait(
        default_value=None,
        allow_none=True,
        help="callable(authentication) -> dict: completes a user's authentication before it is matched.",
    ).tag(config=True)

    global_max_per_user = Integer(
        -1, help="How many services one user of one hub may have, all flavors together; -1 is no limit."
    ).tag(config=True)

    allow_override = Union(
        [Bool(), CallableTrait()],
        default_value=True,
        help="""May the hub override the Spawner's configuration with ``misc``?
        A bool, or a callable(jupyterhub_name, misc). Not asked when ``misc`` is empty.""",
    ).tag(config=True)

    override_denied = Enum(
        ["error", "ignore"],
        default_value="error",
        help="""What happens when ``allow_override`` says no: ``error`` fails the start,
        ``ignore`` starts without the overrides.""",
    ).tag(config=True)

    sanitize_start_response = CallableTrait(
        default_value=None,
        allow_none=True,
        help="""callable(spawner, response) -> str: where the hub finds the server, from what ``start()`` returned.
        ``""`` says that the place is not known yet, and that the server sets its tunnel up itself.""",
    ).tag(config=True)

    ssh_recreate_at_start = Union(
        [Bool(), CallableTrait()],
        default_value=True,
        help="Have hubs rebuild tunnels after a restart? A bool, or a callable(outpost, jupyterhub_name).",
    ).tag(config=True)

    ssh_recreate_at_start_global = Union(
        [Bool(), CallableTrait()],
        default_value=False,
        help="""A bool, or a callable(outpost, jupyterhub_names). Truthy: tunnels are not rebuilt one by one.""",
    ).tag(config=True)

    send_events = Union(
        [Bool(), CallableTrait()],
        default_value=True,
        help="Tell hubs the progress of a start? A bool, or a callable(jupyterhub_name).",
    ).tag(config=True)

    request_kwargs = Union(
        [Dict(), CallableTrait()],
        default_value={"request_timeout": 10},
        help="""Options for the calls to hubs, as ``tornado.httpclient.HTTPRequest`` takes them
        (``request_timeout``, ``connect_timeout``, ``validate_cert``, ``ca_certs``, ...): a dict,
        or a callable(outpost).""",
    ).tag(config=True)

    poll_requires_state = Bool(
        False, help="Poll a service only when its start has finished; until then it counts as running."
    ).tag(config=True)

    extra_log_handlers = List(Instance(logging.Handler), help="Further handlers for the log, as in JupyterHub.").tag(
        config=True
    )

    log_datafmt = Unicode(help="The older spelling of ``log_datefmt``.").tag(config=True)

    get_flavors = AnyTrait(help="``await outpost.get_flavors(jupyterhub_name)``, for hooks.")

    @default("log_level")
    def _log_level_default(self) -> int:
        return logging.INFO

    @default("log_format")
    def _log_format_default(self) -> str:
        return (
            "%(color)s[%(levelname)1.1s %(asctime)s.%(msecs).03d %(name)s %(module)s:%(lineno)d]"
            "%(end_color)s %(message)s"
        )

    @observe("config")
    @observe_compat
    def _config_changed(self, change: Any) -> None:
        """Without the debug line of ``Application``, which shows the whole configuration, tokens included."""
        super(Application, self)._config_changed(change)

    @observe("log_datafmt")
    def _log_datafmt_changed(self, change: Any) -> None:
        self.log_datefmt = change["new"]

    @property
    def uses_flavors(self) -> bool:
        """Has the operator limited anything by flavor?"""
        return bool(self.flavors) or self.user_flavors is not None or self.flavors_undefined_max != -1


class _Loader(PyFileConfigLoader):
    """Runs the file with ``logging`` at hand, which the documented examples use without an import."""

    def _read_file_as_dict(self) -> None:
        def get_config() -> Config:
            return self.config

        def load_subconfig(fname: str, path: str | None = None) -> None:
            self.config.merge(type(self)(fname, path or self.path).load_config())

        namespace = {
            "c": self.config,
            "get_config": get_config,
            "load_subconfig": load_subconfig,
            "logging": logging,
            "__file__": self.full_filename,
        }
        source = Path(self.full_filename).read_bytes()
        exec(compile(source, self.full_filename, "exec"), namespace)  # noqa: S102  # a config file is code


def load_config(path: Path | None) -> JupyterHubOutpost:
    """Run the configuration file, if there is one.

    Raises ``ConfigError`` that names the file and line, or the trait, that is wrong.
    """
    config = Config()
    if path is not None:
        config = _run(path)
    handlers = config.JupyterHubOutpost.pop("extra_log_handlers", [])
    try:
        outpost = JupyterHubOutpost(config=config)
        outpost.extra_log_handlers = handlers  # traitlets copies what is in the config, and handlers hold locks
    except TraitError as error:
        raise ConfigError(f"{path or 'configuration'}: {error}") from None
    return outpost


def _run(path: Path) -> Config:
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    try:
        return _Loader(path.name, str(path.parent)).load_config()
    except SyntaxError as error:
        raise ConfigError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
    except Exception as error:  # whatever the operator's code raises
        raise ConfigError(f"{_where(error, path)}: {type(error).__name__}: {error}") from error


def _where(error: BaseException, path: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)
