"""Everything that Islands raises on purpose.

    IslandsError                  exit code 1
    ├── InputError                exit code 2: the user can mend it (also a ValueError)
    │   ├── ConfigError           a configuration file, key or value
    │   ├── NetworkError          a classifier that cannot be found, loaded or used
    │   │   └── BudgetSpentError  a served network was asked as often as it may be
    │   ├── DataError             a data set that cannot be found or is damaged
    │   └── StoreError            a store that cannot be used as asked
    │       ├── StoreExistsError  (also a FileExistsError)
    │       ├── StoreNotFoundError (also a FileNotFoundError)
    │       ├── StoreLockedError
    │       ├── StoreVersionError
    │       └── StoreDamagedError
    ├── IslandFailedError         an exception inside an island: a bug, never retried
    ├── NotLoadedError            a worker was asked for an epoch that does not follow its state
    └── WorkersLostError          crashes beyond the failure limit, or resources that never came

Each message says what was got, what was expected and what to do.

Example:
    >>> try:
    ...     islands.open("nowhere")
    ... except islands.errors.StoreNotFoundError as error:
    ...     print(error.exit_code)
    2
"""


class IslandsError(Exception):
    """Base of all errors of this package."""

    exit_code = 1


class InputError(IslandsError, ValueError):
    """Raised for input that the user can mend."""

    exit_code = 2


class ConfigError(InputError):
    """Raised when a configuration file, key or value is wrong."""


class NetworkError(InputError):
    """Raised when a classifier cannot be found, loaded or used."""


class BudgetSpentError(NetworkError):
    """Raised when a served network was asked as often as its budget allows."""


class DataError(InputError):
    """Raised when a data set cannot be found or is damaged."""


class StoreError(InputError):
    """Raised when a store cannot be used as asked."""


class StoreExistsError(StoreError, FileExistsError):
    """Raised when a new run would overwrite a store."""


class StoreNotFoundError(StoreError, FileNotFoundError):
    """Raised when there is no store at the given place."""


class StoreLockedError(StoreError):
    """Raised when another process writes to the store."""


class StoreVersionError(StoreError):
    """Raised when a store was written under another schema version."""


class StoreDamagedError(StoreError):
    """Raised when a store cannot be read."""


class IslandFailedError(IslandsError):
    """Raised when an exception escaped from an island; carries the traceback of its origin."""


class NotLoadedError(IslandsError):
    """Raised by a worker asked for an epoch that does not follow the state it holds."""


class WorkersLostError(IslandsError):
    """Raised when workers crashed more often than allowed, or never came up."""
