"""THE WAY: the use cases, one file each. They see ports, never backends, and know nothing of HTTP."""
