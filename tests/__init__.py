"""Outpost, tested."""
