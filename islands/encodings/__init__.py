"""How genomes become images, and how they vary."""
