"""Outpost on one machine: the demo."""
