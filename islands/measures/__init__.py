"""Measures: numbers of an image or its genome, which can be axes of the archive beside the class."""
