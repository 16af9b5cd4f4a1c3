"""`python -m naiad`: the same as the `naiad` command."""

import sys

from naiad.cli import main

if __name__ == "__main__":
    sys.exit(main())
