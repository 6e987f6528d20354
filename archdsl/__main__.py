"""`python -m archdsl`, where the script is not on the path."""

import sys

from archdsl.cli import main

sys.exit(main())
