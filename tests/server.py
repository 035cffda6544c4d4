"""A file server on 127.0.0.1 in a thread of the test process, with the faults of real ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """What it serves and how; tests change it between requests.

    Attributes:
        files: Contents by path.
        drop_after: Bytes of a body after which the connection breaks off.
        ranges: Whether it can send a part of a file.
        silent: Whether it takes a connection and never answers.
        mark: The ETag of what it sends.
        headers: What is said besides, or instead.
        seen: The requests, their path and `Range`.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    drop_after: int | None = None
    ranges: bool = True
    silent: bool = False
    mark: str | None = '"one"'
    headers: dict[str, str | None] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            server.seen.append((self.path, asked))
            if server.silent:
                server.released.wait(20)
                return
            whole = server.files.get(self.path)
            if whole is None:
                self.send_error(404)
                return
            start = self._start(asked, whole)
            if start > len(whole) or (start and start == len(whole)):
                self.send_error(416)
                return
            body = whole[start:]
            said = {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream"}
            said |= {"ETag": server.mark} if server.mark else {}
            said |= {"Content-Range": f"bytes {start}-{len(whole) - 1}/{len(whole)}"} if start else {}
            self.send_response(206 if start else 200)
            for name, value in (said | server.headers).items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked has gone
                self.wfile.write(body if server.drop_after is None else body[: server.drop_after])

        def _start(self, asked: str | None, whole: bytes) -> int:
            same = self.headers.get("If-Range") in (None, server.mark)
            return int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges and same else 0

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[Server]:
    """A server that runs while the context does."""
    server = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.url = f"http://127.0.0.1:{running.server_port}"
        try:
            yield server
        finally:
            server.released.set()
            running.shutdown()
            thread.join()
