"""HTTP/2 with prior knowledge in clear text (h2c): serves the same application to clients that send its preface.

`preface.py` tells it from HTTP/1.1; `frames.py` and `heads.py` do no I/O; `exchange.py` is one request and its
response; `connection.py` is the asyncio protocol, on the library h2, and is imported when first needed.
"""
