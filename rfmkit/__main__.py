"""``python -m rfmkit``: the same commands."""

import sys

from rfmkit.cli import main

sys.exit(main())
