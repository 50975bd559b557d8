"""WHO, MAY: how people prove who they are."""
