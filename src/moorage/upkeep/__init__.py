"""CARE: what is done while nobody asks."""
