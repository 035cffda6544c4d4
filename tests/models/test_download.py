from __future__ import annotations

import errno
import os
import shutil
import socket
import threading
from pathlib import Path

import pytest

from asradapt.errors import InputError
from asradapt.models.download import download

CONTENT = bytes(range(256)) * 5000  # 1.28 MB: more than one chunk


@pytest.fixture
def target(tmp_path):
    return tmp_path / "checkpoints" / "m.pth"


@pytest.fixture(autouse=True)
def contents(server):
    server.files["/m.pth"] = CONTENT


def names(target):
    return sorted(path.name for path in target.parent.iterdir())


def broken_off(server, target, after=500_000):
    server.drop_after = after
    with pytest.raises(InputError, match=r"the connection broke off after 0\.5 MB; run it again"):
        download(f"{server.url}/m.pth", target)
    server.drop_after = None
    server.seen.clear()


def test_a_file_comes_whole_and_alone(server, target):
    told = []
    assert download(f"{server.url}/m.pth", target, report=lambda *one: told.append(one)) == target
    assert target.read_bytes() == CONTENT
    assert names(target) == ["m.pth"]
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_broke_off_is_never_taken_for_the_whole(server, target):
    broken_off(server, target)
    assert not target.exists()
    assert target.with_name("m.pth.part").read_bytes() == CONTENT[:500_000]


def test_what_broke_off_is_continued(server, target):
    broken_off(server, target)
    told = []
    download(f"{server.url}/m.pth", target, report=lambda *one: told.append(one))
    assert server.seen == [("/m.pth", "bytes=500000-")]
    assert told[0] == (500_000, len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert names(target) == ["m.pth"]


def test_a_download_may_break_off_many_times(server, target):
    server.drop_after = 300_000
    for _ in range(4):
        with pytest.raises(InputError, match="broke off"):
            download(f"{server.url}/m.pth", target)
    download(f"{server.url}/m.pth", target)
    assert target.read_bytes() == CONTENT
    assert [asked for _, asked in server.seen] == [None, *(f"bytes={300_000 * n}-" for n in range(1, 5))]


def test_a_server_without_ranges_starts_over(server, target):
    broken_off(server, target)
    server.ranges = False
    download(f"{server.url}/m.pth", target)
    assert target.read_bytes() == CONTENT


def test_another_version_of_the_file_starts_over(server, target):
    broken_off(server, target)
    server.mark, server.files["/m.pth"] = '"two"', CONTENT[::-1]
    download(f"{server.url}/m.pth", target)
    assert target.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("mark", [None, 'W/"weak"'])
def test_without_a_mark_of_the_version_nothing_is_continued(server, target, mark):
    server.mark, server.drop_after = mark, 10
    with pytest.raises(InputError, match=r"broke off after 0\.0 MB; run it again$"):
        download(f"{server.url}/m.pth", target)
    server.drop_after = None
    download(f"{server.url}/m.pth", target)
    assert all(asked is None for _, asked in server.seen)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_as_long_as_the_file_starts_over(server, target):
    broken_off(server, target)
    target.with_name("m.pth.part").write_bytes(b"x" * len(CONTENT))
    download(f"{server.url}/m.pth", target)
    assert target.read_bytes() == CONTENT


def test_a_part_of_unknown_origin_starts_over(server, target):
    target.parent.mkdir()
    target.with_name("m.pth.part").write_bytes(b"x" * 1000)
    download(f"{server.url}/m.pth", target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("said", ["bytes 7-1279999/1280000", "bytes 500000-1279998/1279999", "nonsense", ""])
def test_another_part_than_asked_for_is_refused(server, target, said):
    broken_off(server, target)
    server.headers = {"Content-Range": said}
    with pytest.raises(InputError, match="another part than was asked for"):
        download(f"{server.url}/m.pth", target)
    assert not target.exists()
    server.headers = {}
    download(f"{server.url}/m.pth", target)
    assert target.read_bytes() == CONTENT


def test_a_missing_file_is_told(server, target):
    with pytest.raises(InputError, match="answers 404 Not Found; the file is not there"):
        download(f"{server.url}/other.pth", target)
    assert not target.exists()


def test_a_server_that_does_not_answer_is_given_up(server, target):
    server.silent = True
    with pytest.raises(InputError, match="does not answer in time; run it again"):
        download(f"{server.url}/m.pth", target, timeout=0.3)


def test_a_server_that_stops_amid_the_file_is_given_up(server, target):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            connection.recv(4096)
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "a"\r\n\r\nhalf')
            stop.wait(20)
            connection.close()

        stop, thread = threading.Event(), threading.Thread(target=answer)
        thread.start()
        with pytest.raises(InputError, match="does not answer in time; run it again"):
            download(f"http://127.0.0.1:{listening.getsockname()[1]}/m.pth", target, timeout=0.3)
        stop.set()
        thread.join()
    assert not target.exists()
    assert target.with_name("m.pth.part").read_bytes() == b"half"


def test_without_a_network_a_copy_by_hand_is_proposed(target):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]  # free again in a moment
    with pytest.raises(InputError, match=r"cannot be reached .* is there a network\? .* --weights FILE"):
        download(f"http://127.0.0.1:{port}/m.pth", target)
    with pytest.raises(InputError, match="cannot be reached"):
        download("http://nowhere.invalid/m.pth", target)


def test_a_page_instead_of_a_file_is_refused(server, target):
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(InputError, match="a page instead of a file"):
        download(f"{server.url}/m.pth", target)
    assert not target.exists()


def test_a_length_that_is_not_said_is_refused(server, target):
    server.headers = {"Content-Length": None}
    with pytest.raises(InputError, match="does not say how long the file is"):
        download(f"{server.url}/m.pth", target)


def test_a_disk_without_room_is_told_before(server, target, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        InputError, match=r"takes 1 MB more and .* has 1 MB free; free some space, or set TORCH_HOME"
    ):
        download(f"{server.url}/m.pth", target)
    assert not target.exists()


def test_a_disk_that_fills_up_keeps_what_came(server, target, monkeypatch):
    real = Path.open

    def opened(path, *arguments, **named):
        file = real(path, *arguments, **named)
        if path.name.endswith(".part"):
            write = file.write

            class Full:
                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    file.close()

                def write(self, chunk):
                    if file.tell() > 400_000:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    return write(chunk)

            return Full()
        return file

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opened)
        with pytest.raises(InputError, match=r"the disk is full; 0\.[4-9] MB of .* run it again"):
            download(f"{server.url}/m.pth", target)
    assert not target.exists()
    download(f"{server.url}/m.pth", target)
    assert target.read_bytes() == CONTENT


def test_a_download_that_is_interrupted_by_hand_is_continued(server, target):
    def stop(done, whole):
        if done > 300_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(f"{server.url}/m.pth", target, report=stop)
    assert not target.exists()
    server.seen.clear()
    download(f"{server.url}/m.pth", target)
    assert server.seen[0][1] is not None
    assert target.read_bytes() == CONTENT


def test_two_downloads_of_one_file_do_not_meet(server, target):
    def again(done, whole):
        with pytest.raises(InputError, match="is being downloaded by another process"):
            download(f"{server.url}/m.pth", target)

    download(f"{server.url}/m.pth", target, report=again)
    assert target.read_bytes() == CONTENT
