"""What the operator decides about logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the program logs.

    level: least severe level written: "error", "warn", "info" or "debug".
    formatter: "text" (for people), "json" (one object a line) or "logstash" (JSON with logstash's names).
    fields: constant members added to every record, such as `service` or `environment`.
    accesslog: write one record for every HTTP request.
    """

    level: str = "info"
    formatter: str = "text"
    fields: Mapping[str, str] = field(default_factory=dict)
    accesslog: bool = True
