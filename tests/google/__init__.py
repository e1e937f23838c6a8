"""Outpost as Cloud Run functions, on functions-framework."""
