"""`python -m prequal` is the same as `prequal`."""

from prequal.cli.main import main

if __name__ == "__main__":
    main()
