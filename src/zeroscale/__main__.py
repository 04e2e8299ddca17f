"""`python -m zeroscale`."""

import sys

from zeroscale.cli import main

if __name__ == "__main__":
    sys.exit(main())
