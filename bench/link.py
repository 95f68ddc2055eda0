"""Simulation of a slow link to a port of this machine, with a delay and a limited rate."""

import socket
import threading
import time
from collections import deque


class Link:
    """Listens on `port`. `delay` is the one-way delay in seconds.

    The rate limits responses, for all connections together.
    """

    WINDOW = 4 << 20
    """Bytes in one direction that are on the way at a time."""

    def __init__(self, target: int, delay: float, bits_per_second: float) -> None:
        self.target, self.delay, self.rate = target, delay, bits_per_second / 8
        self.lock, self.free_at = threading.Lock(), 0.0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self) -> None:
        """Accepts no more connections."""
        self.listener.close()

    def accept(self) -> None:
        """Forwards connections until `stop` is called."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client: socket.socket) -> None:
        """Forwards one connection."""
        # The TCP handshake takes a round trip as well.
        time.sleep(2 * self.delay)
        server = socket.create_connection(("127.0.0.1", self.target))
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pump(client, server, None)
        self.pump(server, client, self.rate)

    def pump(self, source: socket.socket, sink: socket.socket, rate: float | None) -> None:
        """Starts two threads: one receives bytes and computes when they are due, the other forwards them then."""
        under_way: deque[tuple[float, bytes]] = deque()
        changed = threading.Condition()

        def receive() -> None:
            while True:
                with changed:
                    while sum(len(piece) for _, piece in under_way) > self.WINDOW:
                        changed.wait()
                try:
                    piece = source.recv(32 << 10)
                except OSError:
                    piece = b""
                due = time.monotonic()
                if rate and piece:
                    with self.lock:
                        self.free_at = max(self.free_at, due) + len(piece) / rate
                        due = self.free_at
                with changed:
                    under_way.append((due + self.delay, piece))
                    changed.notify_all()
                if not piece:
                    return

        def forward() -> None:
            while True:
                with changed:
                    while not under_way:
                        changed.wait()
                    due, piece = under_way[0]
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    if not piece:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(piece)
                except OSError:
                    source.close()
                    return
                with changed:
                    under_way.popleft()
                    changed.notify_all()

        threading.Thread(target=receive, daemon=True).start()
        threading.Thread(target=forward, daemon=True).start()
