"""The token endpoint (Docker token specification)."""
