"""Start here: `python main.py --help`."""

import sys

if __name__ == "__main__":
    from shipper.__main__ import program

    sys.exit(program())
