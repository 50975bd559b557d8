"""BYTES: where blobs and uploads are kept. Ports, backends, and one wrapper that checks any of them."""
