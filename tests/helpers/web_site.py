"""A real web server on the loopback that does what bad hosts, proxies and networks do."""

import http.server
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.datasets import transfer


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers in the ways listed by the site, one after the other, and then correctly."""

    site: "Site"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.site.asked.append((path, self.headers.get("Range", "")))
        content = self.site.files.get(path)
        if content is None:
            self.refuse(404)
            return
        ways = self.site.ways.get(path, [])
        (ways.pop(0) if len(ways) > 1 else ways[0] if ways else well)(self, content)

    @property
    def first(self) -> int:
        """The first byte that is asked for."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])

    def head(self, code: int, length: int, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def refuse(self, code: int) -> None:
        self.head(code, 0)

    def log_message(self, *args: object) -> None:
        pass


Way = Callable[[Handler, bytes], None]
"""How a request is answered."""


def well(handler: Handler, content: bytes) -> None:
    first = handler.first
    if first >= len(content) > 0 and first:
        handler.head(416, 0, Content_Range=f"bytes */{len(content)}")
        return
    if first:
        handler.head(206, len(content) - first, Content_Range=f"bytes {first}-{len(content) - 1}/{len(content)}")
    else:
        handler.head(200, len(content))
    handler.wfile.write(content[first:])


def truncates(handler: Handler, content: bytes) -> None:
    """Announces all, sends the half of what is left, closes."""
    first = handler.first
    handler.head(206 if first else 200, len(content) - first, Content_Range=f"bytes {first}-{len(content) - 1}/*")
    handler.wfile.write(content[first : first + (len(content) - first) // 2])
    handler.close_connection = True


def goes_away(handler: Handler, content: bytes) -> None:
    """Sends a half and resets the connection."""
    truncates(handler, content)
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def stalls(handler: Handler, content: bytes) -> None:
    """Sends a half and then nothing, with the connection open."""
    truncates(handler, content)
    handler.wfile.flush()
    handler.site.over.wait(20)


def says_too_little(handler: Handler, content: bytes) -> None:
    """Announces a half and sends it: to the client that is a whole answer."""
    first = handler.first
    part = content[first : first + (len(content) - first) // 2 + 1]
    handler.head(206 if first else 200, len(part), Content_Range=f"bytes {first}-{first + len(part) - 1}/*")
    handler.wfile.write(part)


def says_too_much(handler: Handler, content: bytes) -> None:
    """Announces more than there is, and closes after what there is."""
    first = handler.first
    handler.head(206 if first else 200, len(content) - first + 1000, Content_Range=f"bytes {first}-*/*")
    handler.wfile.write(content[first:])
    handler.close_connection = True


def sends_other_bytes(handler: Handler, content: bytes) -> None:
    well(handler, content[:-1] + bytes([content[-1] ^ 1]))


def sends_a_page(handler: Handler, content: bytes) -> None:
    """The sign-in page of a hotel."""
    page = b"<html>sign in</html>"
    handler.head(200, len(page), Content_Type="text/html")
    handler.wfile.write(page)


def ignores_ranges(handler: Handler, content: bytes) -> None:
    handler.head(200, len(content))
    handler.wfile.write(content)


def answers_another_range(handler: Handler, content: bytes) -> None:
    handler.head(206, len(content), Content_Range=f"bytes 0-{len(content) - 1}/{len(content)}")
    handler.wfile.write(content)


def knows_no_range(handler: Handler, content: bytes) -> None:
    handler.refuse(416) if handler.first else well(handler, content)


def is_overloaded(handler: Handler, content: bytes) -> None:
    handler.head(503, 0, Retry_After="3600")


def has_nothing(handler: Handler, content: bytes) -> None:
    handler.refuse(404)


def trickles(handler: Handler, content: bytes) -> None:
    """A chunk now and then."""
    first = handler.first
    handler.head(206 if first else 200, len(content) - first, Content_Range=f"bytes {first}-{len(content) - 1}/*")
    for place in range(first, len(content), transfer.CHUNK):
        handler.wfile.write(content[place : place + transfer.CHUNK])
        if handler.site.over.wait(0.15):
            return


@dataclass
class Site:
    """A web site of a few files, and how it answers."""

    files: dict[str, bytes] = field(default_factory=dict)
    ways: dict[str, list[Way]] = field(default_factory=dict)
    """How a path is answered, one request after the other; the last way stays."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Paths and Range headers."""
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def serve() -> Iterator[Site]:
    """A site on the loopback, until the block ends."""
    site = Site()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"site": site}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that go away are the point here
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield site
    site.over.set()
    server.shutdown()
    thread.join()
    server.server_close()
