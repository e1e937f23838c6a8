"""A hub that reaches its servers through a real SSH node only."""
