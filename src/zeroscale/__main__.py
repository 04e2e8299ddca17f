"""`python -m zeroscale`."""

import sys

from zeroscale.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
