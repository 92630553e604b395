"""Many customers at once over the HTTP API, as they come on a busy day; see `__main__.py`."""
