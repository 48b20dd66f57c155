"""`python -m islands`."""

from islands.cli.main import main

if __name__ == "__main__":
    main()
