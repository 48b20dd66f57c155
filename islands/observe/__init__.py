"""Watching a run from outside: a journal, Ray's metrics, and the loggers that researchers use."""
