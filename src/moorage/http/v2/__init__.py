"""The distribution API, raw ASGI."""
