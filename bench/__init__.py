"""What Outpost costs: a black-box HTTP benchmark, and the floor it is compared with."""
