c.JupyterHubOutpost.flavors_undefined_max = 0
