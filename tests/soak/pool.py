"""A pool that is operated on under constant load, behind each front end: nothing may fail.

    python -m tests.soak.pool                     reloads, recycles, new images, more and less
    python -m tests.soak.pool --kill              a worker is killed every second

Every answer is compared with its request, and one request in five is a POST, which no front
end repeats. The exit status is 1 if anything failed that should not have.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.e2e.apache import Apache
from tests.e2e.front import FrontEnd
from tests.e2e.haproxy import HAProxy
from tests.e2e.lighttpd import Lighttpd
from tests.e2e.nginx import Front, Nginx
from tests.e2e.process import Process
from tests.e2e.worker import Worker
from tests.soak.echo_load import EchoLoad

APPLICATION = "tests.soak.echo:app"
CONNECTIONS = 16
WORKERS = 3
THREADS = 2
ROUNDS = 20
"""Reloads, and recycles, that every front end must not notice."""

FRONTS: dict[str, Callable[[str], Nginx | FrontEnd]] = {
    "nginx": lambda path: Nginx(Front("fastcgi-keepalive.conf", "unix"), f"unix:{path}"),
    "apache": lambda path: Apache("proxy_fcgi.conf", path),
    "lighttpd": lambda path: Lighttpd("fastcgi.conf", path),
    "haproxy": HAProxy,
}


class Operator:
    """Does to a pool what operators do, and waits each time until it is done."""

    def __init__(self, pool: Worker) -> None:
        self._pool = pool
        self.done: Counter[str] = Counter()

    def signal(self, number: signal.Signals, answer: str) -> None:
        since = self._pool.mark
        self._pool.signal(number)
        self._pool.wait_for_log(answer, since)
        self.done[number.name] += 1

    def count(self, pattern: str) -> int:
        return len(re.findall(pattern, self._pool.log()))

    def operate(self) -> None:
        for turn in range(ROUNDS):
            self.signal(signal.SIGHUP, "reload complete")
            if turn % 5 == 0:
                self.signal(signal.SIGTTIN, r"worker \d+ ready")
                self.signal(signal.SIGUSR2, "reload complete")
            if turn % 5 == 1:
                self.signal(signal.SIGTTIN, r"worker \d+ ready")
                self.signal(signal.SIGTTOU, "from now on")
        since = 0
        while self.count("replacing worker") < ROUNDS:
            self._pool.wait_for_log("replacing worker", since)
            since = self._pool.mark
        self.done["recycles"] = self.count("replacing worker")


def operated(name: str, requests: int) -> bool:
    """Whether no request failed before a front end while its pool was operated on."""
    options = ["--max-requests", "2000", "--max-requests-jitter", "1000"]
    with (
        Worker(*options, workers=WORKERS, threads=THREADS, application=APPLICATION) as pool,
        FRONTS[name](pool.path) as front,
    ):
        pool.wait_for_log("ready: ")
        operator = Operator(pool)
        load = EchoLoad(front.address, CONNECTIONS)
        try:
            operator.operate()
            while load.answered + len(load.failures) < requests:
                time.sleep(0.1)
        finally:
            load.stop()
        status = pool.stop()
        wrong = _told(pool)
    deeds = ", ".join(f"{count} {deed}" for deed, count in operator.done.items())
    print(
        f"{name:9} {load.answered:7} answers, {len(load.failures)} failed, slowest "
        f"{load.slowest * 1000:.0f} ms; {deeds}; exit status {status}",
        *load.failures[:10], *wrong[:10], sep="\n    ", flush=True,
    )  # fmt: skip
    return not (load.failures or status or wrong)


def killed(name: str, seconds: int) -> bool:
    """Whether only what a killed worker was running failed, and the pool was whole at once."""
    with (
        Worker(workers=WORKERS, threads=THREADS, application=APPLICATION) as pool,
        FRONTS[name](pool.path) as front,
    ):
        pool.wait_for_log("ready: ")
        load = EchoLoad(front.address, CONNECTIONS)
        recoveries = []
        try:
            for _ in range(seconds):
                since, began = pool.mark, time.monotonic()
                os.kill(random.choice(workers(pool)), signal.SIGKILL)
                pool.wait_for_log(r"worker \d+ ready", since)
                recoveries.append(time.monotonic() - began)
                threading.Event().wait(max(0.0, 1 - recoveries[-1]))
        finally:
            load.stop()
        status = pool.stop()
    # Besides what its threads run, requests wait for them on the connections to that worker.
    most = seconds * CONNECTIONS
    print(
        f"{name:9} {load.answered:7} answers, {len(load.failures)} failed with {seconds} workers "
        f"killed ({CONNECTIONS} requests under way in {WORKERS}), whole again after at most "
        f"{max(recoveries):.2f} s; exit status {status}",
        *load.failures[:10], sep="\n    ", flush=True,
    )  # fmt: skip
    return len(load.failures) <= most and max(recoveries) < 1 and not status


def workers(pool: Worker) -> list[int]:
    """The processes the supervisor has forked."""
    with open(f"/proc/{pool.pid}/task/{pool.pid}/children") as children:
        return [int(pid) for pid in children.read().split()]


def _told(pool: Process) -> list[str]:
    return [line for line in pool.log().splitlines() if re.search("ERROR|CRITICAL|WARNING", line)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.pool", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="at least, of each front end")
    parser.add_argument("--fronts", nargs="+", choices=FRONTS, default=list(FRONTS))
    parser.add_argument("--kill", type=int, nargs="?", const=10, metavar="SECONDS")
    arguments = parser.parse_args()
    if arguments.kill:
        results = [killed(name, arguments.kill) for name in arguments.fronts]
    else:
        results = [operated(name, arguments.requests) for name in arguments.fronts]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
