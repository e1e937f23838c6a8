"""What polling many pods costs, beside KubeSpawner with its reflectors: ``python -m bench.kubernetes``.

It needs what ``.ci/kube-apiserver`` builds. The pods are reported as running by the tests' stand-in for a node.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.pods import LINE_BEFORE_IDLING
from bench.report import machine
from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane, control_plane
from tests.kube.kubelet import Kubelet
from tests.support.waiting import eventually

_NAMESPACE = "bench"
_SECONDS = 300
"""That nothing here may take longer than."""


@dataclass(frozen=True)
class Bench:
    """Where the pods are."""

    plane: ControlPlane
    folder: Path
    services: int

    def run(self, who: str, *more: str) -> dict[str, Any]:
        """What one process tells, with the requests it made, and those of them that it made while it was idle."""
        kubeconfig = self.plane.kubeconfig(self.folder / "kubeconfig", "outpost", namespace=_NAMESPACE)
        command = [sys.executable, "-m", "bench.pods", who, _NAMESPACE, str(self.services), *more]
        began = self.plane.audit.mark()
        env = os.environ | {"KUBECONFIG": str(kubeconfig)}
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            idle, line = began, process.stdout.readline()
            if line.strip() == LINE_BEFORE_IDLING:
                idle, line = self.plane.audit.mark(), process.stdout.readline()
        assert process.returncode == 0, f"{who} failed"
        requests = self.plane.audit.requests(began, user="outpost")
        idly = self.plane.audit.requests(idle, user="outpost") if idle != began else []
        told: dict[str, Any] = json.loads(line)
        return told | {"requests": len(requests) - len(idly), "requests_while_idle": len(idly)}

    def prepare(self) -> None:
        """Make the pods, and wait until all run."""
        self.plane.admin.create("/api/v1/namespaces", metadata={"name": _NAMESPACE})
        self.run("create")
        pods = Namespace(self.plane.admin, _NAMESPACE)
        eventually(lambda: _running(pods) == self.services, _SECONDS, "all pods run")


def _running(pods: Namespace) -> int:
    return sum(pod["status"]["phase"] == "Running" for pod in pods.all("pods"))


def main() -> None:
    """Make a cluster with so many pods, and poll them in both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=500)
    parser.add_argument("--idle", type=float, default=30, help="seconds for which KubeSpawner does nothing")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        control_plane(_made(folder, "plane")) as plane,
        Kubelet(plane, _made(folder, "node")),
    ):
        bench = Bench(plane, Path(folder), arguments.services)
        bench.prepare()
        rows = {
            "Outpost, one after the other": bench.run("outpost"),
            "Outpost, 20 at once": bench.run("outpost", "--at-once", "20"),
            "KubeSpawner with reflectors": bench.run("kubespawner", "--idle", str(arguments.idle)),
        }
    print(table(rows))
    if arguments.json:
        figures = {"machine": machine(), "services": arguments.services, "idle": arguments.idle, "rows": rows}
        arguments.json.write_text(json.dumps(figures, indent=1))


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The figures; what the objects of KubeSpawner need for their first poll is in brackets."""
    lines = ["| | requests | seconds | cpu seconds | RSS MB | requests while idle |", "|" + " --- |" * 6]
    for name, row in rows.items():
        first = f" (first: {row['first_seconds']})" if "first_seconds" in row else ""
        first_cpu = f" (first: {row['first_cpu_seconds']})" if first else ""
        values = [name, row["requests"], f"{row['seconds']}{first}", f"{row['cpu_seconds']}{first_cpu}", row["rss_mb"]]
        lines.append("| " + " | ".join(map(str, [*values, row["requests_while_idle"]])) + " |")
    return "\n".join(lines)


def _made(base: str, name: str) -> Path:
    folder = Path(base) / name
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
