"""Promises of single modules."""
