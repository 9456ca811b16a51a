"""Start here: `python main.py --help`."""

import sys

if __name__ == "__main__":
    from shipper.__main__ import program

    try:
        sys.exit(program())
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("shipper"):
            raise
        sys.exit(
            f"shipper: {error.name} is not installed: `make setup`, then .venv/bin/python main.py"
        )
