"""A few lines of Outpost's API for the demo's own use."""

from __future__ import annotations

import http.client
import json
from base64 import b64encode
from urllib.parse import quote, urlsplit

from local.configs import HUB_NAME

_STOP_SECONDS = 30


def stop_services(outpost_url: str, password: str) -> None:
    """Stop all servers of the demo's hub. One that cannot be stopped is left for the caller to end."""
    try:
        for service in _call("GET", outpost_url, "/services", password):
            path = f"/services/{quote(service['name'], safe='')}/{quote(service['start_id'], safe='')}"
            _call("DELETE", outpost_url, path, password)
    except (OSError, ValueError, http.client.HTTPException):
        return


def _call(method: str, outpost_url: str, path: str, password: str) -> list[dict[str, str]]:
    login = b64encode(f"{HUB_NAME}:{password}".encode()).decode()
    connection = http.client.HTTPConnection(urlsplit(outpost_url).netloc, timeout=_STOP_SECONDS)
    try:
        connection.request(method, path, headers={"Authorization": f"Basic {login}"})
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer if isinstance(answer, list) else []
