"""How to reach the Kubernetes API, read anew for each operation: from a pod's own files, or from the kubeconfig."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config
from kubernetes_asyncio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from core.errors import ConfigError

_KUBECONFIG = "KUBECONFIG"


@dataclass(frozen=True)
class Overrides:
    """KubeSpawner's own ``k8s_api_*`` settings; what is empty or None is as the configuration says."""

    host: str = ""
    ca_file: str = ""
    verify: bool | None = None


@dataclass(frozen=True)
class Access:
    """Where the API is, who we are, and how connections are made."""

    configuration: Configuration
    tls: ssl.SSLContext


async def read(overrides: Overrides) -> Access:
    """What is configured now. Raises ``ConfigError`` when it cannot be used."""
    configuration = Configuration()
    try:
        pems = await _load(configuration)
        if overrides.host:
            configuration.host = overrides.host
        if overrides.ca_file:
            pems = _Pems(_text(overrides.ca_file), pems.certificate, pems.key)
        verify = configuration.verify_ssl if overrides.verify is None else overrides.verify
        tls = _context(pems, verify, bool(configuration.disable_strict_ssl_verification))
    except (ConfigException, OSError, ValueError, KeyError, AssertionError) as error:
        raise ConfigError(f"Outpost's access to Kubernetes cannot be used: {error}") from error
    return Access(configuration, tls)


@dataclass(frozen=True)
class _Pems:
    authority: str = ""
    certificate: str = ""
    key: str = ""


async def _load(configuration: Configuration) -> _Pems:
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException as outside:
        path = os.environ.get(_KUBECONFIG) or str(Path.home() / ".kube" / "config")
        merged = KubeConfigMerger(path).config
        if merged is None:
            raise ConfigException(f"there is no kubeconfig {path}, and in a pod: {outside}") from None
        return await _load_kubeconfig(merged, configuration)
    return _pems_of(configuration, _Pems())


async def _load_kubeconfig(merged: Any, configuration: Configuration) -> _Pems:
    """PEMs inside the file are taken out: the loader would leave each as a file, with a descriptor."""
    loader = KubeConfigLoader(config_dict=merged, config_base_path=None)
    inline = _Pems(
        _taken(loader._cluster, "certificate-authority"),
        _taken(loader._user, "client-certificate"),
        _taken(loader._user, "client-key"),
    )
    await loader.load_and_set(configuration)
    return _pems_of(configuration, inline)


def _taken(node: Any, key: str) -> str:
    data = node.value.pop(f"{key}-data", None) if node is not None else None
    return base64.standard_b64decode(data).decode() if data else ""


def _pems_of(configuration: Configuration, inline: _Pems) -> _Pems:
    return _Pems(
        inline.authority or _text(configuration.ssl_ca_cert),
        inline.certificate or _text(configuration.cert_file),
        inline.key or _text(configuration.key_file),
    )


def _text(path: str | None) -> str:
    return Path(path).read_text() if path else ""


@lru_cache(maxsize=16)
def _context(pems: _Pems, verify: bool, is_lax: bool) -> ssl.SSLContext:
    """Made once for the same certificates: that takes 20 ms, and it holds no socket and no event loop."""
    context = ssl.create_default_context(cadata=pems.authority or None)
    if pems.certificate:
        _load_chain(context, pems)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if is_lax:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _load_chain(context: ssl.SSLContext, pems: _Pems) -> None:
    """Python reads certificates and keys from files only."""
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder) / "chain.pem"
        chain.touch(mode=0o600)
        chain.write_text(f"{pems.certificate}\n{pems.key}\n")
        context.load_cert_chain(chain)
