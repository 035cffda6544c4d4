"""As much of the hub of Hugging Face as downloading a model needs, on 127.0.0.1, with its ways to refuse."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c" * 40


@dataclass
class Hub:
    """The models it has, and how it answers.

    Attributes:
        models: Files by path, by OWNER/MODEL.
        refusal: Status and error code of every answer, where it refuses.
        silent: Whether it takes a connection and never answers.
        drop_once: Bytes after which the first file breaks off.
        sent: The files that it sent.
    """

    models: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    silent: bool = False
    drop_once: int | None = None
    sent: list[str] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, folder: Path, **more: bytes) -> None:
        """Put the files of a folder up as a model."""
        self.models[name] = {path.name: path.read_bytes() for path in folder.iterdir()} | more


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            if hub.silent:
                hub.released.wait(20)
                return
            if hub.refusal:
                self._send(hub.refusal[0], b"", {"X-Error-Code": hub.refusal[1], "X-Error-Message": "refused"})
                return
            parts = self.path.split("?")[0].strip("/").split("/")
            api = parts[:2] == ["api", "models"]
            name = "/".join(parts[2:4] if api else parts[:2])
            if name not in hub.models:
                self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
            elif api:
                self._send(200, json.dumps(self._described(name, "tree" in parts)).encode())
            else:
                self._file(name, "/".join(parts[4:]), body=body)

        def _described(self, name: str, tree: bool) -> Any:
            files = hub.models[name]
            if tree:
                return [
                    {"type": "file", "path": path, "size": len(content), "oid": _mark(content)}
                    for path, content in files.items()
                ]
            config = json.loads(files.get("config.json", b"{}"))
            siblings = [{"rfilename": path, "size": len(content)} for path, content in files.items()]
            return {"id": name, "sha": COMMIT, "siblings": siblings, "config": config}

        def _file(self, name: str, path: str, *, body: bool) -> None:
            content = hub.models[name].get(path)
            if content is None:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
                return
            asked = self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
            said = {"ETag": f'"{_mark(content)}"', "X-Repo-Commit": COMMIT}
            said |= {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
            if body:
                hub.sent.append(path)
            self._send(206 if start else 200, content[start:], said, body=body)

        def _send(
            self, status: int, content: bytes, said: dict[str, str] | None = None, body: bool = True
        ) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), **(said or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if not body or not content:
                return
            most, file = hub.drop_once, "ETag" in (said or {})
            if most is not None and file and len(content) > most:
                hub.drop_once, self.close_connection = None, True
                content = content[:most]
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _mark(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@contextmanager
def hub_running() -> Iterator[Hub]:
    """A hub that runs while the context does."""
    hub = Hub()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        hub.url = f"http://127.0.0.1:{running.server_port}"
        try:
            yield hub
        finally:
            hub.released.set()
            running.shutdown()
            thread.join()
