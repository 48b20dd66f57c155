"""What a package can bring to Islands: one of each kind."""
