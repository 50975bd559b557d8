"""Suites and fakes for tests, ours and plugin authors'. Nothing of the program imports this room; it needs pytest.

blob_store, upload_store  what every backend of bytes promises, as pytest classes to inherit from
random_images             images, indexes, artifacts and referrers, the same ones for the same seed
fakes                     a held clock, counted identifiers
streams                   bodies of requests: in pieces, breaking off, waiting
"""
