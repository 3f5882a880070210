"""`python -m recount`: the recount alone, where no node is installed."""

import sys

from recount.command import main

sys.exit(main())
