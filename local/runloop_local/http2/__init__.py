"""HTTP/2 with prior knowledge on clear text: the same application, for clients that begin with its preface.

`preface.py` tells it from HTTP/1.1; `frames.py` and `heads.py` decide without I/O; `exchange.py` is one request and its
reply; `connection.py` is the protocol on asyncio, over the library h2, and is imported when it is first needed.
"""
