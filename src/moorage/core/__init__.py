"""WORDS: the field's own values and rules. No I/O, no framework."""
