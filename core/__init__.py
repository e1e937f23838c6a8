"""What Outpost is. No web framework, cloud SDK or database driver is imported here."""
