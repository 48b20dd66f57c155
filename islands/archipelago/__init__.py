"""Islands, the processes that host them, and the driver that lets them evolve together."""
