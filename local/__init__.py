"""Outpost on one machine: the demo, and the parts of AWS that its functions meet."""
