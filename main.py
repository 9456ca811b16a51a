"""Start here: `python main.py --help`."""

import sys

if __name__ == "__main__":
    from shipper.cli import main

    sys.exit(main())
