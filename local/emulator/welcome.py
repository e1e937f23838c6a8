"""What a running emulator says of itself."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from local.configs import HUB_NAME
from local.state import State

_TEXT = """
{urls}

  user          {user}
  password      {password}
  state         {state}
  logs          {logs}

For jupyterhub_config.py of a hub on this machine:

  c.JupyterHub.spawner_class = "outpostspawner.OutpostSpawner"
  c.OutpostSpawner.request_url = "{request_url}/services"
  c.OutpostSpawner.request_headers = {{"Authorization": "Basic {login}"}}
  c.OutpostSpawner.svc_create = False
  c.OutpostSpawner.custom_misc_disable_default = True

Ready in {seconds:.1f} s. Ctrl-C ends it; servers go on, and are there the next time.
"""


@dataclass(frozen=True)
class Urls:
    """Where everything is; Function URLs and HTTP APIs by logical id."""

    function_urls: dict[str, str]
    http_apis: dict[str, str]
    invoke: str
    aws: str

    @property
    def outpost(self) -> str:
        """Where a hub finds Outpost: a Function URL by preference, which passes every server name on."""
        return next(iter([*self.function_urls.values(), *self.http_apis.values()]), "")

    def lines(self) -> list[tuple[str, str, str]]:
        """Name, URL and remark."""
        return [
            *((name, url, "Function URL") for name, url in self.function_urls.items()),
            *((name, url, "HTTP API") for name, url in self.http_apis.items()),
            ("Invoke API", self.invoke, "aws lambda invoke --endpoint-url"),
            ("AWS", self.aws, "SQS, Secrets Manager, SSM, S3"),
        ]


def facts(urls: Urls, state: State, seconds: float, functions: list[str]) -> dict[str, Any]:
    """For machines. No password: these lines are kept in logs."""
    return {
        "seconds": round(seconds, 2),
        "functions": functions,
        "function_urls": urls.function_urls,
        "http_apis": urls.http_apis,
        "invoke": urls.invoke,
        "aws": urls.aws,
        "user": HUB_NAME,
        "passwords": str(state.folder / "secrets.json"),
        "state": str(state.folder),
        "logs": str(state.logs),
    }


def text(urls: Urls, state: State, seconds: float) -> str:
    """For people, with the password that is good for this folder alone."""
    password = state.secrets.outpost_password
    return _TEXT.format(
        urls="\n".join(f"  {name:<13} {url:<27} {remark}" for name, url, remark in urls.lines()),
        user=HUB_NAME,
        password=password,
        state=state.folder,
        logs=state.logs,
        request_url=urls.outpost,
        login=b64encode(f"{HUB_NAME}:{password}".encode()).decode(),
        seconds=seconds,
    )
