"""`python -m nathb` is `nathb`."""

from nathb.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
