"""What pipelines are made of, and how they run."""
