"""The chart, with the real Helm."""
