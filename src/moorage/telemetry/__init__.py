"""SENSES: log context, counters, named points."""
