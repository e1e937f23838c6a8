"""``--tick FUNCTION``: fire a schedule in the emulator that runs already."""

from __future__ import annotations

import http.client
from urllib.parse import quote, urlsplit

from local.emulator.errors import EmulatorError
from local.emulator.options import Options
from local.emulator.running import find

_SECONDS = 900.0


def tick(options: Options) -> int:
    """Print what the function answers; 1 when it failed. Raises ``EmulatorError``."""
    running = find(options.state)
    event = running.event(options.tick)
    path = f"/2015-03-31/functions/{quote(running.names[options.tick])}/invocations"
    connection = http.client.HTTPConnection(urlsplit(running.invoke).netloc, timeout=_SECONDS)
    try:
        connection.request("POST", path, event)
        response = connection.getresponse()
        print(response.read().decode())
    except (OSError, http.client.HTTPException) as error:
        raise EmulatorError(f"--tick: the emulator does not answer: {error}") from None
    finally:
        connection.close()
    failed = response.status != http.HTTPStatus.OK or response.getheader("X-Amz-Function-Error")
    return 1 if failed else 0
