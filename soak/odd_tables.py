"""Unusual parts of HTTP requests, to find missing checks."""

PATHS = ("*", "/" + "a/" * 3000)
IDS = (
    "x", "0", "-1", "dbx_nothing", "nul%00l", "%", "%zz", "%ff", "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "a%2fb",
    "%20", "%0d%0aX-Evil:%201", "é", "%F0%9F%9C%81", "*", "{id}", "' OR 1=1", "a;b", "a?b", "a#b", "", "list",
    "watch", "x" * 300, "x" * 5000, "%41" * 2000,
)  # fmt: skip
QUERIES = (
    "limit=-1", "limit=0", "limit=5001", "limit=x", "limit=1e3", "limit=99999999999999999999", "limit=",
    "limit=1&limit=x", "limit[]=1", "starting_after=x", "starting_after=%00", "starting_after=" + "x" * 5000,
    "status=x", "status=%ff", "search=%25_", "search=" + "%F0%9F%9C%81" * 500, "metadata[k]=v",
    "metadata[k][in]=a,b", "metadata[=x", "metadata[]=", "metadata[a][b][c]=d", "include_total_count=perhaps",
    "offset=-1", "offset=18446744073709551616", "offset=x", "after_sequence=9223372036854775808",
    "after_sequence=-1", "after_sequence=9223372036854775807", "last_n=-5", "last_n=x",
    "last_n=99999999999999999999", "duration_seconds=-1", "duration_seconds=1e400",
    "duration_seconds=99999999999999999999", "cols=0&rows=0", "cols=99999&rows=x", "%", "&&&===", "%00=%00",
    "a" * 20_000,
)  # fmt: skip
HEADERS = (
    "content-type: text/plain", "content-type: application/json; charset=utf-16", "content-type: \xff",
    "content-type:", "content-encoding: gzip", "accept-encoding: gzip, br, *;q=0", "expect: 100-continue",
    "expect: x", "x-request-id:", "x-request-id: " + "r" * 5000, "x-request-id: \xff\xfe", "x-request-id: a\tb",
    "range: bytes=5-1", "range: bytes=-99999999999999999999", "range: bytes=0-0,2-3,x", "if-none-match: *",
    "authorization: Bearer", "authorization: Basic \xff", "authorization: Bearer \u00e9",
    "origin: http://evil.example", "cookie: a=b; a", "transfer-encoding: gzip, chunked", "upgrade: h2c",
    "connection: upgrade", "connection: close", "te: trailers", "x-forwarded-for: 1.2.3.4",
    "x-http-method-override: DELETE", "x: " + "y" * 40_000, "last-event-id: \x01",
    *("\r\n".join(f"x{n}: {n}" for n in range(count)) for count in (50, 500)),
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "FOO", "G" * 300)
HOSTS = ("host: evil.example", "host:", "host: \xff", "authorization: x")
_JSON, _CHUNKED = b"2\r\n{}\r\n0\r\n\r\n", "transfer-encoding: chunked"
BODIES: tuple[tuple[str, bytes], ...] = (
    ("content-length: 100", b"{}"), ("content-length: -1", b"{}"), ("content-length: 1", b'{"a": 1}'),
    ("content-length: 99999999999999999999999", b"{}"), ("content-length: 2\r\ncontent-length: 3", b"{}"),
    ("content-length: 0x2", b"{}"), ("content-length: 2\r\ntransfer-encoding: chunked", _JSON),
    (_CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"), (_CHUNKED, b"ffffffffffffffffff\r\n"), (_CHUNKED, b"-2\r\n{}"),
    (_CHUNKED, b"2\r\n{}0\r\n\r\n"), (_CHUNKED, b"2;ext=" + b"x" * 50_000 + b"\r\n{}\r\n0\r\n\r\n"),
    (_CHUNKED, b"2\r\n{}\r\n0\r\ntrailer: x\r\n\r\n"), (_CHUNKED, b"2\r\n{"), (_CHUNKED, _JSON),
    (_CHUNKED, b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), ("transfer-encoding: x", b"{}"),
)  # fmt: skip
"""Headers with the length of a body, and the body."""
STORED = ("/storage/", "/storage/../v1", "/storage/" + "x" * 4000)
_PATH = b'content-disposition: form-data; name="path"\r\n\r\n'
_FILE = b'content-disposition: form-data; name="file"; filename="x"\r\n\r\ndata\r\n'
FORMS = (
    b"", b"--b--\r\n", b"--b\r\n--b--\r\n", b"--b\r\n%bfile\r\n--b\r\n%b--b--\r\n" % (_PATH, _FILE),
    b"--b\r\n%b--b--\r\n" % _FILE, b"--b\r\n%bfile\r\n--b--\r\n" % _PATH, b"--b\r\n%bfile\r\n--b\r\n%b" % (_PATH,
    _FILE),
    b"--b\r\n%b--b\r\n%bfile\r\n--b--\r\n" % (_FILE, _PATH), b"--b\r\nx: " + b"y" * 50_000 + b"\r\n\r\n--b--\r\n",
    b"--b\r\nx\r\n\r\n--b--\r\n", b"--b\r\n\xff\xfe: \0\r\n\r\n--b--\r\n",
    b"--b\r\n" + _PATH + b"p" * 100_000 + b"\r\n--b--\r\n",
    b"--b\r\n%ba\0b\r\n--b\r\n%b--b--\r\n" % (_PATH, _FILE), b"--b\r\n%b\xff\r\n--b\r\n%b--b--\r\n" % (_PATH, _FILE),
    b"--b\r\n%b/etc/x\r\n--b\r\n%b--b--\r\n" % (_PATH, _FILE), b"\0" * 100,
)  # fmt: skip
FORM_TYPES = (
    *("multipart/form-data; boundary=b",) * 6, "multipart/form-data", "multipart/form-data; boundary=", "x",
    "multipart/form-data; boundary=" + "b" * 300, 'multipart/form-data; boundary="b',
    "multipart/form-data; boundary=\xff",
)  # fmt: skip
TERMINALS = (
    "/pty/fuzz/ws", "/pty/fuzz/ws?offset=-1", "/pty/fuzz/ws?offset=x", "/pty/fuzz/ws?offset=99999999999999999999",
    "/pty/fuzz", "/pty/fuzz?cols=80&rows=24", "/pty/x%00/ws", "/pty/", "/v1/devboxes", "/",
)  # fmt: skip
HANDSHAKE = {
    "upgrade: websocket": ("upgrade: x", "x: y"),
    "connection: upgrade": ("connection: close",),
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==": ("sec-websocket-key: x", "sec-websocket-key:", "x: y"),
    "sec-websocket-version: 13": ("sec-websocket-version: 99", "sec-websocket-version: x", "x: y"),
}
"""The headers of a handshake, and replacements of each."""
FRAMES = (
    b"", b"\x82\x81\0\0\0\0x", b"\x82\x01\0\0\0\0x", b"\x82\x85\0\0\0\0hello", b"\x81\x82\0\0\0\0\xff\xfe",
    b"\xff" * 50,
    b"\x82\xff\x7f" + b"\xff" * 7 + b"\0\0\0\0", b"\x88\x80\0\0\0\0", b"\x89\xfe\xff\xff", b"\x88\x81\0\0\0\0x",
    b"\x02\x81\0\0\0\0x\x82\x81\0\0\0\0x", b"\xc1\x81\0\0\0\0x",
)  # fmt: skip
JUNK = (
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 80, b"x" * 200_000,
    b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
)  # fmt: skip
NEARLY = (
    (b"\r\n", b"\n"), (b"\r\n", b"\r"), (b": ", b" : "), (b"host", b"ho\0st"), (b"GET ", b"GET  "),
    (b"\r\nauth", b"\r\n folded\r\nauth"),
)  # fmt: skip
"""Replacements in a valid request."""
