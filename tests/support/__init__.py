"""What several suites stand on."""
