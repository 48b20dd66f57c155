"""Real data that installs from package registries, verified by checksum."""
