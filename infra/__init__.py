"""How Outpost calls the world: database, hubs, environment."""
