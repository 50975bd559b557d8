"""The bench: Moorage and other registries doing the same work on the same machine in the same run."""
