async def flavors(jupyterhub_name):
    if jupyterhub_name == "privileged":
        return {
            "typea": {
                "max": -1,
                "weight": 10,
                "display_name": "2GB RAM, 1VCPU, 5 days",
                "description": "JupyterLab will run for max 5 days with 2GB RAM and 1VCPU.",
                "runtime": {"days": 5},
            },
        }
    else:
        return {
            "typeb": {
                "max": 10,
                "weight": 9,
                "display_name": "4GB RAM, 1VCPUs, 2 hours",
                "description": "JupyterLab will run for max 2 hours with 4GB RAM and 1VCPUs.",
                "runtime": {"hours": 2},
            },
        }
c.JupyterHubOutpost.flavors = flavors
