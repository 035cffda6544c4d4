"""A report in a real browser, headless Chromium: at desktop and phone width, and what it asks of the network."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from server import serving

from asradapt.comparison import Comparison, Scored
from asradapt.report import ReportOptions, write_report
from asradapt.scoring import score
from asradapt.types import Utterance

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium")

QUIET = (  # as few requests of the browser's own as can be, and none that leaves the machine
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
LONG = "w" * 70

# Measures the page that it is put into, and tells the page around.
MEASURE = """<script>
addEventListener("load", async () => {
  document.querySelectorAll("details").forEach(one => one.open = true);
  const loaded = one => new Promise(done => {
    one.onloadedmetadata = () => done(one.duration);
    one.onerror = () => done(0);
    one.preload = "metadata";
  });
  const root = document.documentElement;
  const ends = one => one.getBoundingClientRect().right;
  const inside = one => one.closest(".scroll") || ends(one) <= innerWidth + 0.5;
  parent.postMessage(JSON.stringify({
    width: innerWidth,
    scroll: root.scrollWidth,
    outside: [...document.body.querySelectorAll("*")].filter(one => !inside(one)).map(one => one.outerHTML),
    images: await Promise.all([...document.images].map(async one => {
      await one.decode().catch(() => 0);
      return [one.alt.length, one.naturalWidth, one.width];
    })),
    clips: await Promise.all([...document.querySelectorAll("audio")].map(loaded)),
    letters: parseFloat(getComputedStyle(document.body).fontSize),
  }), "*");
});
</script>"""
AROUND = """<!DOCTYPE html><iframe src="page.html" width="%d" height="900" style="border: 0"></iframe><pre></pre>
<script>
addEventListener("message", event => { document.querySelector("pre").textContent = event.data; });
</script>"""
# Everything that a page can ask of the network.
DECOYS = """<img src="URL/img" alt=""><script src="URL/script"></script><link rel="stylesheet" href="URL/style">
<audio src="URL/audio" preload="auto"></audio><iframe src="URL/frame"></iframe>
<p style="background: url(URL/background)">.</p><script>fetch("URL/fetch", {mode: "no-cors"})</script>"""
ASKED = {f"/{name}" for name in ("img", "script", "style", "audio", "frame", "background", "fetch")}


def browse(page, folder, *options):
    """The page as the browser has it in the end."""
    own = ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}")
    command = [BROWSER, *own, *QUIET, "--virtual-time-budget=20000", *options, "--dump-dom", page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def requests(log):
    """The addresses that pages asked for, not the browser itself, in a log of Chromium's network."""
    content = json.loads(log.read_text(encoding="utf-8"))
    start = content["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    started = [event["params"] for event in content["events"] if event["type"] == start and "params" in event]
    return [one["url"] for one in started if one.get("initiator", "not an origin") != "not an origin"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with all sections, and names and words too long for a phone."""
    folder = tmp_path_factory.mktemp("report")
    rows = []
    for number in range(24):
        clip = folder / f"{'clip' * 20}{number}.wav"
        soundfile.write(clip, 0.1 * np.sin(np.arange(8_000) * 0.05), 16_000)
        said = f"the cat {LONG} sat"
        heard = ("a bat x sat" if number % 3 else said, f"the cat {LONG[:-1]} on" if number % 2 else said)
        fields = {"age": str(6 + 9 * (number % 6)), "place": f"{LONG} {number % 2}"}
        utterance = Utterance(clip, said, f"{number % 6}{LONG if number % 6 == 0 else ''}", fields=fields)
        rows.append(Scored(utterance, heard, tuple(score(said, text) for text in heard)))
    (folder / "d.dict").write_text("cat  K AE1 T\nbat  B AE1 T\nthe  DH AH0\na  AH0\n")
    page = folder / "report.html"
    comparison = Comparison(("source", "adapted"), tuple(rows), "tiny", (), (f"look at {LONG}",))
    options = ReportOptions(by=("age", "place"), dictionary=folder / "d.dict", command=f"asradapt evaluate {LONG}")
    write_report(comparison, page, options)
    return page


def measured(text, folder, width):
    """What the script finds in a copy of a page, so many pixels wide and without the policy against scripts."""
    free, count = POLICY.subn("", text)
    assert count == 1
    (folder / "page.html").write_text(free.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    # A window cannot be as narrow as a phone, a frame can.
    (folder / "around.html").write_text(AROUND % width, encoding="utf-8")
    shown = browse(folder / "around.html", folder)
    return json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", shown, re.DOTALL)[1]))


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen_and_all_is_shown(report, tmp_path, width):
    found = measured(report.read_text(encoding="utf-8"), tmp_path, width)
    assert found["width"] == width
    assert [one[:200] for one in found["outside"]] == []
    assert found["scroll"] <= width
    assert len(found["images"]) == 3
    for words, own, shown in found["images"]:
        assert words > 40
        assert own > 0
        assert 300 < shown < width
    assert len(found["clips"]) == 12
    assert all(0.4 < seconds < 0.8 for seconds in found["clips"])
    assert found["letters"] >= 16


def test_a_page_that_is_too_wide_would_be_seen(report, tmp_path):
    text = report.read_text(encoding="utf-8").replace("<main>", '<main><p style="width: 500px">wide</p>')
    found = measured(text, tmp_path, 390)
    assert found["scroll"] > 390
    assert len(found["outside"]) == 1
    assert "wide" in found["outside"][0]


def test_no_request_leaves_the_file(report, tmp_path):
    log = tmp_path / "network.json"
    assert "Speech recognition measured" in browse(report, tmp_path, f"--log-net-log={log}")
    assert requests(log) == []


def test_the_policy_forbids_what_a_page_can_ask_for(report, tmp_path):
    """The same decoys with the policy and without it: without, all are asked for, so the test could fail."""
    text = report.read_text(encoding="utf-8")
    log, page = tmp_path / "network.json", tmp_path / "decoys.html"
    with serving() as server:
        with_decoys = text.replace("</main>", f"{DECOYS.replace('URL', server.url)}</main>")
        page.write_text(with_decoys, encoding="utf-8")
        browse(page, tmp_path, f"--log-net-log={log}")
        assert (server.seen, requests(log)) == ([], [])
        page.write_text(POLICY.sub("", with_decoys), encoding="utf-8")
        browse(page, tmp_path, f"--log-net-log={log}")
        assert {path for path, _ in server.seen} == ASKED
        assert {url.removeprefix(server.url) for url in requests(log)} == ASKED
