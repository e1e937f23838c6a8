"""Driving JupyterHub Spawners that live for one operation."""
