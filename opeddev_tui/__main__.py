"""``python -m opeddev_tui`` is ``opeddev-tui``."""

import sys

from opeddev_tui.cli import main

sys.exit(main())
