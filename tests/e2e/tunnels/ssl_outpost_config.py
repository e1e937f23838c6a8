"""The suite's Outpost, with a certificate for its calls to a hub that asks for one."""

import os

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # the loader defines it
load_subconfig(os.environ["E2E_OUTPOST_CONFIG"])  # type: ignore[name-defined]  # noqa: F821  # as above

own = os.environ["OUTPOST_CERTIFICATE"]
c.JupyterHubOutpost.request_kwargs = {"client_cert": f"{own}.crt", "client_key": f"{own}.key"}
