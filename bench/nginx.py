"""The web server of the benchmarks of hosts."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path


class Nginx:
    """nginx, which serves a directory and counts the bytes it sends. Its own files are in another one."""

    def __init__(self, work: Path, folder: Path) -> None:
        self.log, self.port = work / "access.log", free_port()
        config, ready = work / "nginx.conf", work / "socket"
        user = "user root;" if os.geteuid() == 0 else ""
        temp = " ".join(f"{kind}_temp_path {work}/{kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(
            f"daemon off; {user} pid {work}/nginx.pid; error_log {work}/error.log; worker_processes 1; events {{}}\n"
            f"http {{ {temp} log_format sent '$body_bytes_sent'; access_log {self.log} sent; sendfile on; tcp_nopush on;\n"
            f"keepalive_timeout 60; keepalive_requests 100000;\n"
            f"server {{ listen 127.0.0.1:{self.port}; listen unix:{ready}; root {folder}; }} }}\n")
        # An ordinary user's PATH lacks the directory in which Debian installs nginx.
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", config],
                                        stderr=subprocess.DEVNULL)
        while not ready.exists():
            if self.process.poll() is not None:
                sys.exit(f"error: nginx ended\n{(work / 'error.log').read_text()}")
            time.sleep(0.01)

    def sent(self) -> int:
        """Returns the bytes of content that were sent since the last call."""
        time.sleep(0.05)
        lines = self.log.read_text().split()
        self.log.write_text("")
        subprocess.run(["kill", "-USR1", str(self.process.pid)], check=True)
        time.sleep(0.05)
        return sum(map(int, lines))

    def stop(self) -> None:
        """Ends the server."""
        self.process.terminate()
        self.process.wait()


def free_port() -> int:
    """Returns a TCP port that no other process uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
