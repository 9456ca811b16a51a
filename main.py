"""Start here: `python main.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    from shipper.ahead import start_ahead

    start_ahead(sys.argv[1:], Path(__file__).resolve().parent)
    from shipper.cli import main

    sys.exit(main())
