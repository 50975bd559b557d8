"""What a process started once for all of its tests: it ends with them, or else with the process."""

from __future__ import annotations

import atexit
from contextlib import ExitStack

AT_END = ExitStack()
atexit.register(AT_END.close)
