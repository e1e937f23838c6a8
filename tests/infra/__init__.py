"""How Outpost calls the world: clouds, databases, the environment."""
