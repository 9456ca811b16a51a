"""What `shipper`, `python -m shipper` and `python main.py` run.

Workers import this module when they start, so nothing is imported here that they have no use for.
"""

import sys
from pathlib import Path


def program() -> int:
    """Run the command that was typed and return its exit code."""
    from shipper.ahead import start_ahead

    start_ahead(sys.argv[1:], Path(sys.argv[0]))
    from shipper.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(program())
