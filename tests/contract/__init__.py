"""The promises of the HTTP contract, asked of a running Outpost."""
