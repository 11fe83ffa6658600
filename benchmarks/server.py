"""The preview's decode server: answers from the cache, cold stampedes, a full queue, a save.

A server in a process of its own, as `sitecodec serve` runs it; clients over loopback.
Cache hits are asked for at a steady pace by 32 clients (20 requests a second each, as by a
reloaded page of images): what a closed loop would measure is the throughput, which is beside it.
These clients are `clients.py`, one thread in a process of its own: 32 threads here would wait for
one another, and add more to the tail than the server. The peer is an app that does nothing but
return as many bytes from memory, in the same process and turn about: what is left of the tail
there is waitress's and the machine's.
"""

from __future__ import annotations

import http.client
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from sitecodec import codecs
from sitecodec.disk.store import Store
from sitecodec.preview.decoded_cache import Pictures

CLIENTS = 32
PACE = 20.0  # requests a second, of each client
SECONDS, TURNS = 3.0, 3
LIMITS = {"p50": 3.0, "p99": 15.0, "refusal": 100.0, "save": 2.5, "memory": 600.0}

SERVER = """
import sys, threading
from pathlib import Path
from sitecodec.preview import serving
from sitecodec.preview import site_files
from sitecodec.preview.preview import Preview
from sitecodec.settings import Settings
root = Path(sys.argv[1])
preview = Preview(Settings(store=root / "store"))
preview.pictures._most_waiting = int(sys.argv[2])
def app(environ, start):
    if environ["PATH_INFO"] == "/decoded":
        start("200 OK", [])
        return [str(preview.pictures.decoded).encode()]
    if environ["PATH_INFO"].startswith("/peer/"):
        size = environ["PATH_INFO"][6:]
        start("200 OK", [("Content-Length", size)])
        return [zeros[:int(size)]]
    return inner(environ, start)
zeros = bytes(1 << 20)
inner = site_files.around(site_files.site_app(root), preview)
running = serving.create_server(app, "127.0.0.1", 0)
print(running.effective_port, flush=True)
running.run()
"""


class Running:
    """A decode server over the store in a folder."""

    def __init__(self, root: Path, waiting: int = 128) -> None:
        command = [sys.executable, "-c", SERVER, str(root), str(waiting)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def connect(self) -> http.client.HTTPConnection:
        """A connection of a client's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Ask once."""
        connection = self.connect()
        try:
            return ask(connection, path)
        finally:
            connection.close()

    @property
    def decoded(self) -> int:
        """How many payloads it has decoded."""
        return int(self.get("/decoded")[2])

    def peak_megabytes(self) -> float:
        """The most memory that it has held, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match
        return int(match[1]) / 1024

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, dict[str, str], bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


def photo(side: int, seed: int) -> np.ndarray:
    """Noise of all scales: as hard to code as a photograph."""
    rng = np.random.default_rng(seed)
    picture = np.full((side, side, 3), 128.0)
    cells = 4
    while cells < side:
        octave = Image.fromarray(rng.normal(128, 30, (cells, cells, 3)).clip(0, 255).astype("u1"))
        picture += (np.asarray(octave.resize((side, side))) - 128.0) * (8 / cells) ** 0.8
        cells *= 2
    return picture.clip(0, 255).astype(np.uint8)


def load(server: Running, path: str, pace: float, seconds: float) -> list[float]:
    """Milliseconds of each answer to many clients."""
    values = [server.port, path, CLIENTS, pace, seconds]
    command = [sys.executable, str(Path(__file__).with_name("clients.py")), *map(str, values)]
    return list(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def hits(server: Running, path: str) -> dict[str, tuple[float, float]]:
    """Milliseconds of paced answers, p50 and p99, of the cache and of the peer: medians of turns.

    'closed' has answers a second in a closed loop.
    """
    paths = {"hit": path, "peer": f"/peer/{len(server.get(path)[2])}"}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
    for _ in range(TURNS):
        for name, asked in paths.items():
            quantiles = statistics.quantiles(load(server, asked, PACE, SECONDS), n=100)
            found[name].append((quantiles[49], quantiles[98]))
    middle = {
        name: (
            statistics.median(p50 for p50, _ in turns),
            statistics.median(p99 for _, p99 in turns),
        )
        for name, turns in found.items()
    }
    return middle | {"closed": (len(load(server, path, 0, 2)) / 2, 0.0)}


def together(clients: int, work: Callable[[int], object]) -> list[object]:
    barrier = threading.Barrier(clients)

    def run(number: int) -> object:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(clients) as executor:
        return list(executor.map(run, range(clients)))


def save_to_picture(root: Path) -> list[float]:
    """Seconds from a save of one 1-megapixel image until `mkdocs serve` has its new picture.

    Asks as a browser does: for the page after the host's reload, then for the picture.
    """
    (root / "docs").mkdir()
    place = root / "docs/a.png"
    (root / "docs/index.md").write_text("![A](a.png)\n")
    (root / "mkdocs.yml").write_text("site_name: x\ntheme: {name: mkdocs}\nplugins: [sitecodec]\n")
    Image.fromarray(photo(1000, 0)).save(place)
    versions = []
    for seed in range(1, 4):
        buffer = io.BytesIO()
        Image.fromarray(photo(1000, seed)).save(buffer, "PNG")
        versions.append(buffer.getvalue())
    command = [sys.executable, "-m", "mkdocs", "serve", "-a", "127.0.0.1:8799"]
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL)
    url = "http://127.0.0.1:8799"

    def fetch(path: str) -> bytes:
        with urllib.request.urlopen(url + path, timeout=60) as response:
            return bytes(response.read())

    def decoded(other_than: str) -> str:
        end = time.perf_counter() + 60
        while time.perf_counter() < end:
            try:
                page = fetch("/").decode()
            except OSError:
                page = ""
            match = re.search(r'srcset="(/_sitecodec/[0-9a-f]{64}\.png)"', page)
            if match and match[1] != other_than:
                fetch(match[1])
                return match[1]
            # As the page's script does: ask for news, be told, load again.
            epoch = re.search(r"livereload\((\d+), (\d+)\)", page)
            if epoch:
                fetch(f"/livereload/{epoch[1]}/{epoch[2]}")
            else:
                time.sleep(0.05)
        raise SystemExit("no decoded picture within a minute")

    def judged() -> bool:
        listed = json.loads(fetch("/_sitecodec/images.json"))["images"]
        return bool(listed) and all(row["state"] not in ("waiting", "quick") for row in listed)

    try:
        shown, times = decoded(""), []
        for data in versions:
            while not judged():  # an author looks before the next save
                time.sleep(0.2)
            start = time.perf_counter()
            place.write_bytes(data)
            shown = decoded(shown)
            times.append(time.perf_counter() - start)
        return times
    finally:
        process.kill()
        process.wait()


def main() -> int:
    over = []

    def row(name: str, value: float, unit: str, limit: str = "", note: str = "") -> None:
        verdict = ""
        if limit:
            verdict = f"limit {LIMITS[limit]:g}  " + ("ok" if value <= LIMITS[limit] else "over")
            if value > LIMITS[limit]:
                over.append(name)
        print(f"{name:<44}{value:10.2f} {unit:<4} {verdict}{note}", flush=True)

    codec = codecs.get("web")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pictures = Pictures(Store(root / "store"), root / "unused")
        many = [pictures.keep(codec.encode(photo(96, seed), 50)) for seed in range(1000)]
        large = [pictures.keep(codec.encode(photo(512, seed), 50)) for seed in range(2)]
        slow = [pictures.keep(codec.encode(photo(1400, seed), 50)) for seed in range(2)]
        server = Running(root)
        found = hits(server, f"/_sitecodec/{large[0]}.webp")
        row("cache hit, 512x512 WebP, 32 clients, p50", found["hit"][0], "ms", "p50")
        row("the same, p99", found["hit"][1], "ms", "p99")
        row("constant bytes, p50", found["peer"][0], "ms")
        row("the same, p99", found["peer"][1], "ms")
        row("cache hits in a closed loop", found["closed"][0], "/s")
        before = server.decoded
        answers = together(64, lambda _: server.get(f"/_sitecodec/{large[1]}.png")[::2])
        row("decodes for 64 requests at once", server.decoded - before, "")
        if server.decoded - before != 1 or len(set(answers)) != 1:  # type: ignore[arg-type]
            over.append("decodes")
        before = server.decoded
        share = [many[n::64] for n in range(64)]
        start = time.perf_counter()
        states = together(64, lambda n: [server.get(f"/_sitecodec/{d}.png")[0] for d in share[n]])
        wrong = sum(state != 200 for group in states for state in group)  # type: ignore[attr-defined]
        row(
            "1,000 payloads by 64 clients", time.perf_counter() - start, "s", note=f"{wrong} errors"
        )
        if wrong or server.decoded - before != 1000:
            over.append("1,000 payloads")
        row("peak memory of the server after that", server.peak_megabytes(), "MiB", "memory")
        server.stop()
        server = Running(root, waiting=1)
        waiting = threading.Thread(target=server.get, args=(f"/_sitecodec/{slow[0]}.png",))
        waiting.start()
        while server.decoded < 1:
            time.sleep(0.01)
        refusals = []
        while waiting.is_alive():
            start = time.perf_counter()
            status, headers, _ = server.get(f"/_sitecodec/{slow[1]}.png")
            if status == 503 and "Retry-After" in headers:
                refusals.append((time.perf_counter() - start) * 1e3)
            time.sleep(0.02)
        row("queue full: 503, slowest", max(refusals, default=1e9), "ms", "refusal")
        server.stop()
    with tempfile.TemporaryDirectory() as folder:
        times = save_to_picture(Path(folder))
        print("saves, in order:", ", ".join(f"{seconds:.2f} s" for seconds in times))
        row("save to picture, 1 megapixel, median of 3", statistics.median(times), "s", "save")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
