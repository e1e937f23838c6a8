"""A single-user server that tells its hub where it runs, as a job of a batch system does."""

import json
import os
import socket
import sys
import time
import urllib.request
from urllib.parse import urlsplit


def tell() -> None:
    """Wait until the server listens, and have the hub set the tunnel up."""
    here = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    address = (here.hostname or "", here.port or 0)
    while True:
        try:
            socket.create_connection(address).close()
            break
        except OSError:
            time.sleep(0.1)
    request = urllib.request.Request(
        os.environ["JUPYTERHUB_SETUPTUNNEL_URL"],
        json.dumps({"service": f"{here.hostname}:{here.port}"}).encode(),
        {"Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}"},
    )
    urllib.request.urlopen(request).close()


if __name__ == "__main__":
    if os.fork() == 0:
        tell()
        os._exit(0)
    os.execvp("jupyterhub-singleuser", ["jupyterhub-singleuser", *sys.argv[1:]])
