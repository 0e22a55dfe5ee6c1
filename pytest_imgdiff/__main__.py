"""``python -m pytest_imgdiff`` is the command ``pytest-imgdiff``."""

from __future__ import annotations

import sys

from pytest_imgdiff.cli.quick import main

if __name__ == "__main__":
    sys.exit(main())
