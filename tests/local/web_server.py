"""A web server of the standard library only, to run inside a devbox: `python3 web_server.py PORT`."""

import base64
import hashlib
import json
import socketserver
import struct
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
GO_ON = threading.Event()
LEFT = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        getattr(self, f"get_{self.path.strip('/').split('?')[0]}", self.get_seen)()

    def do_POST(self) -> None:
        """Sends back each piece of the body as it comes."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in self.pieces():
            self.chunk(piece)
        self.chunk(b"")

    do_PUT = do_PATCH = do_POST  # noqa: N815 -- the names that http.server asks for

    def get_seen(self) -> None:
        """What it was asked, in JSON."""
        seen = {"path": self.path, "headers": [[name.lower(), value] for name, value in self.headers.items()]}
        self.answer(json.dumps(seen).encode(), [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Keep-Alive", "max=5")])

    def get_parted(self) -> None:
        """A first line at once, the second when /go was asked for."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(b"first\n")
        GO_ON.wait(10)
        GO_ON.clear()
        self.chunk(b"second\n")
        self.chunk(b"")

    def get_go(self) -> None:
        GO_ON.set()
        self.answer(b"")

    def get_endless(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while True:
                self.chunk(bytes(65536))
        except OSError:
            LEFT.set()
        self.close_connection = True

    def get_left(self) -> None:
        """Whether the client of /endless has gone, as soon as it has."""
        self.answer(b"yes" if LEFT.wait(10) else b"no")

    def get_cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"only this")
        self.close_connection = True

    def get_garbage(self) -> None:
        self.wfile.write(b"SSH-2.0-nothing to do with HTTP\r\n\r\n")
        self.close_connection = True

    def get_ws(self) -> None:
        """Sends back each WebSocket frame as it is."""
        accept = base64.b64encode(hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + GUID).digest())
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.send_header("X-Seen", self.headers["X-Forwarded-Host"])
        self.send_header("X-Asked", json.dumps([self.path, self.headers.items()]))
        self.end_headers()
        while (frame := self.frame()) is not None:
            self.wfile.write(frame)
            if frame[0] & 15 == 8:
                break
        self.close_connection = True

    def frame(self) -> bytes | None:
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        length = head[1] & 127
        extended = self.rfile.read({126: 2, 127: 8}.get(length, 0))
        if extended:
            length = int.from_bytes(extended, "big")
        mask = self.rfile.read(4)
        data = self.rfile.read(length)
        whole = (mask * (length // 4 + 1))[:length]
        plain = (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(length, "big")
        return struct.pack("BB", head[0], head[1] & 127) + extended + plain

    def answer(self, body: bytes, headers: list[tuple[str, str]] | None = None) -> None:
        self.send_response(200)
        for name, value in headers or ():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            left = int(self.headers.get("Content-Length", 0))
            while left:
                data = self.rfile.read1(min(left, 65536))
                left -= len(data)
                yield data
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, *_arguments: object) -> None:
        pass


if __name__ == "__main__":
    socketserver.TCPServer.request_queue_size = 64
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
