"""Moorage, a registry for OCI artifacts."""

__version__ = "0.1.0"
