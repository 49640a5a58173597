"""The routes of the REST API, one module per resource; `table.py` has all of them.

The start of the service imports none of those, but only what the application needs around them: `paths.py`, `wire.py`
and `event_stream.py`.
"""
