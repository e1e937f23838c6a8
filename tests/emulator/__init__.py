"""``python -m local``: its command line, its state, its output."""
