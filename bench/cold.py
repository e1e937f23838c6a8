"""A function's cold start, from process start to its first ``/flavors``: ``python -m bench.cold [--repeats 10]``.

What AWS adds (its runtime, the network) is not in it. Modules come from ``.pyc``, as in a function's zip that has them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.candidates import HUB, PASSWORD, environment
from bench.preload import preload

_SHOWN = 12
_SCRIPT = """
import json, sys, time
from handlers import aws
answer = aws.api(json.loads(sys.argv[1]), None)
assert answer["statusCode"] == 200 and "small" in answer["body"], answer
print(json.dumps({"cpu_s": time.process_time(), "modules": list(sys.modules)}), flush=True)
"""


def event(path: str) -> dict[str, Any]:
    """A GET as a Function URL hands it over."""
    login = b64encode(f"{HUB}:{PASSWORD}".encode()).decode()
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench"}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "bench", "authorization": f"Basic {login}"},
        "requestContext": {"http": http, "domainName": "bench.lambda-url.local"},
        "isBase64Encoded": False,
    }


def main() -> None:
    """Print the shortest and the median of both times, and which packages the modules belong to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    walls, cpus, modules = [], [], list[str]()
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder), {})
        env |= {"OUTPOST_QUEUE_URL": "http://127.0.0.1:1/queue", "AWS_LAMBDA_FUNCTION_NAME": "api"}
        env |= {"_HANDLER": "handlers.aws.api", "AWS_DEFAULT_REGION": "eu-central-1"}
        preload(env, 1, "there", timedelta(days=1))
        for _ in range(parser.parse_args().repeats):
            began = time.perf_counter()
            command = [sys.executable, "-c", _SCRIPT, json.dumps(event("/flavors"))]
            with subprocess.Popen(command, env=os.environ | env, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                told = json.loads(next(line for line in process.stdout if line.startswith(b'{"cpu_s"')))
                walls.append(time.perf_counter() - began)
                process.stdout.read()
            cpus.append(told["cpu_s"])
            modules = told["modules"]
    for name, seconds in (("wall", sorted(walls)), ("cpu", sorted(cpus))):
        print(f"{name}: {1000 * seconds[0]:.0f} ms at least, {1000 * seconds[len(seconds) // 2]:.0f} ms median")
    packages = Counter(name.partition(".")[0] for name in modules).most_common(_SHOWN)
    print(f"{len(modules)} modules: " + ", ".join(f"{package} {number}" for package, number in packages))


if __name__ == "__main__":
    main()
