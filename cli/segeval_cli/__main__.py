"""``python -m segeval_cli``."""

import sys

from segeval_cli import main

sys.exit(main())
