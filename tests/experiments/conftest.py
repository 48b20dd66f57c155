"""One thread, as for classifiers."""

from tests.classifiers.conftest import one_thread

__all__ = ["one_thread"]
