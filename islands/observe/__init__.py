"""Watching a run from outside: a journal, Ray's metrics, and the loggers that researchers use."""

PROGRESS = "epoch "
"""How each line of plain progress starts: a run whose log has one has begun."""
