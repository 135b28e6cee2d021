"""``python -m pannier`` is the command ``pannier``."""

import sys

from pannier.cli import command

if __name__ == "__main__":
    sys.exit(command())
