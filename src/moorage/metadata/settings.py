"""Where the facts are kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetadataSettings:
    """The database of repositories, manifests, tags, links and uploads.

    url: `sqlite:////absolute/path/moorage.db` or `postgresql://user:password@host:port/name`.
        The bare `sqlite://` stands for a database in a temporary directory that is removed when the program
        ends; it goes together with in-memory storage. It is a file and not `:memory:`, because several
        workers must see the same facts.
    """

    url: str
