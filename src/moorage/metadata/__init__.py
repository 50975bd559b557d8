"""FACTS: repositories, manifests, tags, blobs and who links what; one text of queries for SQLite and PostgreSQL."""
