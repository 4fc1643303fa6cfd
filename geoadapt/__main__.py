"""``python -m geoadapt`` is ``geoadapt``."""

import sys

from geoadapt.cli import main

sys.exit(main())
