"""What a container does on the stand-in's node, for a test to choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Step = Literal["", "scheduling", "pulling", "starting"]


@dataclass(frozen=True)
class Scenario:
    """By default a container starts at once, runs until it is told to end, and then ends at once."""

    hold: Step = ""
    """Stay before this step until ``Kubelet.release``: on no node yet, without image, or without container."""

    unschedulable: str = ""
    """Why no node takes the pod, as the scheduler says it."""

    image_error: str = ""
    """Why the image cannot be pulled, as the container runtime says it."""

    exit_code: int | None = None
    """The container ends by itself at once, before anybody sees it run; ``restartPolicy`` says what comes then."""

    reason: str = ""
    """``OOMKilled`` for example; else the exit code decides between ``Completed`` and ``Error``."""

    message: str = ""
    """What the container leaves as its termination message."""

    output: str = ""
    """What the container logs."""

    ready: bool = True
    """Does the container's readiness probe succeed?"""

    run: bool = False
    """Really run the container's command on this machine; its output is the log."""

    stop_seconds: float = 0.0
    """How long the container takes to end when it is told to; its grace period ends that."""
