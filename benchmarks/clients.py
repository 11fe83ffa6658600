"""Many HTTP clients in one thread, so that what they measure is the server and not themselves.

Threads that share an interpreter wait for one another, up to 5 ms a time: with 32 of them the tail
is theirs. Here one loop over `selectors` serves all connections, in a process of its own:

    python benchmarks/clients.py PORT PATH CLIENTS PACE SECONDS

prints the milliseconds of each answer as JSON. Each client asks PACE times a second, whether or not
the last answer has come: what is late counts from the time at which it was to be asked. PACE 0 asks
again at once (a closed loop, for the throughput).
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time


class Client:
    """A connection kept alive, and the request in flight."""

    def __init__(self, port: int, path: str, start: float, pace: float) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self.due = start
        self.step = 1 / pace if pace else 0.0
        self.asked = 0.0
        self.missing = -1
        self.buffer = bytearray(1 << 18)
        self.head = b""

    def ask(self, now: float) -> None:
        """Send the request that is due."""
        self.asked = self.due if self.step else now
        self.due = self.due + self.step if self.step else now
        self.head, self.missing = b"", -1
        self.socket.sendall(self.request)

    def answered(self) -> bool:
        """Take what has come; whether the answer is whole."""
        got = self.socket.recv_into(self.buffer)
        if not got:
            raise SystemExit("the server hung up")
        if self.missing >= 0:
            self.missing -= got
            return self.missing == 0
        self.head += bytes(self.buffer[:got])
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self.head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(self.head[:end].decode())
        fields = dict(line.lower().split(b": ", 1) for line in self.head[:end].split(b"\r\n")[1:])
        self.missing = int(fields[b"content-length"]) - (len(self.head) - end - 4)
        return self.missing == 0


def measure(port: int, path: str, clients: int, pace: float, seconds: float) -> list[float]:
    """Milliseconds of each answer."""
    start = time.perf_counter() + 0.1
    idle = [Client(port, path, start + n / clients / (pace or 1e9), pace) for n in range(clients)]
    selector = selectors.DefaultSelector()
    for client in idle:
        selector.register(client.socket, selectors.EVENT_READ, client)
    times: list[float] = []
    end = start + seconds
    flying = 0
    while (now := time.perf_counter()) < end or flying:
        later = []
        for client in idle:
            if client.due <= now and now < end:
                client.ask(now)
                flying += 1
            else:
                later.append(client)
        idle = later
        wait = max(0.0, min((c.due for c in idle), default=end) - time.perf_counter())
        for key, _ in selector.select(wait if idle and now < end else 0.05):
            client = key.data
            if client.answered():
                times.append((time.perf_counter() - client.asked) * 1e3)
                idle.append(client)
                flying -= 1
    return times


if __name__ == "__main__":
    port, path, clients, pace, seconds = sys.argv[1:]
    print(json.dumps(measure(int(port), path, int(clients), float(pace), float(seconds))))
