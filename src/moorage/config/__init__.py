"""CONFIG: one file, the environment and the command line become each room's own settings.

`load` reads; `table.TABLE` is the list of all keys that are known, and what becomes of each.
"""

from __future__ import annotations

from moorage.config.findings import Finding
from moorage.config.loader import Loaded, Overrides, load
from moorage.config.settings import ServeSettings, Settings, TlsSettings

__all__ = ["Finding", "Loaded", "Overrides", "ServeSettings", "Settings", "TlsSettings", "load"]
