"""The Kubernetes cluster that the environment names, made reachable for Spawners."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import partial

from core.ports import Clock
from infra import eks, gke
from infra.kubeconfig import Kubeconfig
from infra.settings import Settings


def reach_cluster(settings: Settings, environ: MutableMapping[str, str], clock: Clock) -> Kubeconfig | None:
    """Have ``KUBECONFIG`` point to a file for the EKS or GKE cluster of the settings; None when they name none.

    Raises ``ConfigError`` that names the variable.
    """
    if settings.eks_cluster:
        name = settings.eks_cluster
        made = Kubeconfig(eks.describe(name), partial(eks.token, name, clock), clock)
    elif settings.gke_cluster:
        access = gke.GkeAccess(settings.gke_cluster, settings.gke_endpoint_url)
        made = Kubeconfig(access.describe(), access.token, clock)
    else:
        return None
    environ["KUBECONFIG"] = str(made.path)
    return made
