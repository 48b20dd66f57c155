"""Settings of all tests."""

from hypothesis import settings

# No test asserts a time: the first example may wait for a kernel to compile, and machines are busy.
settings.register_profile("islands", deadline=None)
settings.load_profile("islands")
