"""A real JupyterHub with OutpostSpawner, its proxy and Outpost, driven as a user's browser drives them."""
