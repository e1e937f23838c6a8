"""How the world calls Outpost: HTTP and functions. Thin, no decisions."""
