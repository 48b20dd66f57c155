"""Recipes for the networks that we train."""
