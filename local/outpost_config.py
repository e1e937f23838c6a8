"""What the demo's Outpost runs, and how. Operators: every ``c.<Spawner>.x`` that JupyterHub knows works here."""

import os

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # the loader defines it

c.JupyterHubOutpost.spawner_class = "jupyterhub.spawner.SimpleLocalProcessSpawner"
c.SimpleLocalProcessSpawner.home_dir_template = os.environ["DEMO_HOMES"] + "/{username}"
c.Spawner.ip = "127.0.0.1"
if os.geteuid() == 0:
    c.Spawner.args = ["--allow-root"]

# With this token Outpost tells its hub what is free, at every start and stop.
c.JupyterHubOutpost.flavors_update_token = os.environ["DEMO_FLAVORS_TOKEN"]

# The demo finds what it has to end by this variable, should Outpost not live to end it.
c.Spawner.env_keep.append("OUTPOST_LOCAL_MARK")
