"""What is measured: a case for each kind of request, and the goals that fcgikit has there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks import servers
from benchmarks.apps import BODY, FILE_SIZE
from benchmarks.builds import COMPILED, INTERPRETED, Build, builds
from benchmarks.contestants import BehindNginx, Burning, Calls, Contestant, Direct, Throughput
from benchmarks.figures import Kind
from benchmarks.http_load import BROWSER, Asking
from benchmarks.scaling import IDLE, MANY_CONNECTIONS, AmongIdle, Download, IdleMemory, Upload
from benchmarks.servers import Server, fcgikit, uwsgi

CPU = "us of CPU per request"


@dataclass(frozen=True)
class Goal:
    """*subject* against *reference*, which a FIGURE does without; the other kinds need it."""

    title: str
    subject: Contestant
    reference: Contestant | None
    kind: Kind
    limit: float


@dataclass
class Case:
    """Contestants that take turns, and what is to be found in their figures."""

    name: str
    title: str
    contestants: list[Contestant]
    goals: list[Goal] = field(default_factory=list)
    unit: str = CPU


Limits = dict[Build, float]
"""A goal for each build that has one."""


def cases() -> Iterator[Case]:
    """All of them, in the order in which they are measured and shown."""
    yield hello(kept=True)
    yield hello(kept=False)
    yield threads()
    yield request("browser", "a browser's headers: 24 variables, cookies",
                  {INTERPRETED: 1.1, COMPILED: 0.7}, asking=Asking(BROWSER))  # fmt: skip
    yield protocol("scgi", "SCGI")
    yield protocol("uwsgi", "uwsgi")
    yield request("upload", "1 MiB upload, read by the application",
                  {INTERPRETED: 1.0, COMPILED: 1.0}, "upload", 7,
                  Asking(body=1 << 20))  # fmt: skip
    yield request("file", "10 MiB file through wsgi.file_wrapper",
                  {INTERPRETED: 0.8, COMPILED: 0.8}, "file", FILE_SIZE,
                  Asking(clients=4))  # fmt: skip
    yield request("stream", "64 blocks of 1 KiB, each sent before the next is asked for",
                  {INTERPRETED: 1.2, COMPILED: 0.9}, "stream", 64 * 1024)  # fmt: skip
    yield framework("flask", "Flask", "flask")
    yield framework("django", "Django", "django")
    yield direct()
    yield from map(idle, builds())
    yield idle_memory()
    yield bulk()
    yield workers()


def behind_nginx(
    server: Server, *, kept: bool = True, size: int = len(BODY), asking: Asking | None = None
) -> Contestant:
    return BehindNginx(server, kept=kept, asking=asking or Asking(), size=size)


def hello(*, kept: bool) -> Case:
    """Hello world: everybody meets here."""
    way = "kept" if kept else "one-shot"
    limits = {INTERPRETED: 1.0, COMPILED: 0.65} if kept else {INTERPRETED: 1.4, COMPILED: 0.9}
    reference = behind_nginx(uwsgi(), kept=kept)
    bjoern = behind_nginx(servers.script("bjoern", "bjoern", "http", "1"), kept=kept)
    case = Case(
        f"hello-{way}",
        f"hello world, connections {way}",
        [behind_nginx(servers.floor(), kept=kept), bjoern, reference],
    )
    for build in builds():
        own = behind_nginx(fcgikit(build), kept=kept)
        supervised = behind_nginx(fcgikit(build, workers=1), kept=kept)
        case.contestants += [own, supervised]
        title = f"hello, 1 thread, {way}, against uWSGI fastcgi-socket"
        case.goals.append(Goal(title, own, reference, Kind.RATIO, limits[build]))
        if kept and build is COMPILED:
            title = "hello, kept, against bjoern (HTTP)"
            case.goals.append(Goal(title, own, bjoern, Kind.RATIO, 1.0))
    case.contestants += [behind_nginx(server, kept=kept) for server in servers.others()]
    return case


def threads() -> Case:
    reference = behind_nginx(uwsgi(threads=4))
    return against(
        Case("hello-threads", "hello world, 4 threads, connections kept", [reference]),
        reference,
        lambda build: behind_nginx(fcgikit(build, threads=4)),
        "hello, 4 threads, kept, against uWSGI fastcgi-socket 4 threads",
        {INTERPRETED: 0.8, COMPILED: 0.5},
    )


def request(
    name: str,
    title: str,
    limits: Limits,
    app: str = "hello",
    size: int = len(BODY),
    asking: Asking | None = None,
) -> Case:
    """A kind of request that uWSGI answers, too, with *size* bytes."""
    path = f"benchmarks.apps:{app}"
    reference = behind_nginx(uwsgi(app=path), size=size, asking=asking)
    return against(
        Case(name, title, [reference]),
        reference,
        lambda build: behind_nginx(fcgikit(build, app=path), size=size, asking=asking),
        f"{title}, against uWSGI fastcgi-socket",
        limits,
    )


def protocol(name: str, title: str) -> Case:
    """Protocols whose connections carry one request."""
    reference = behind_nginx(uwsgi(name), kept=False)
    return against(
        Case(f"hello-{name}", f"hello world over {title}", [reference]),
        reference,
        lambda build: behind_nginx(fcgikit(build, name), kept=False),
        f"{title} hello, against uWSGI's own",
        {INTERPRETED: 1.6, COMPILED: 1.0},
    )


def framework(name: str, title: str, distribution: str) -> Case:
    """What serving adds to what the framework itself takes; in uWSGI, too, for comparison."""
    app = f"benchmarks.frameworks:{name}()"
    reference = Calls(app, servers.version(distribution))
    return against(
        Case(name, f"hello world in {title}", [reference, behind_nginx(uwsgi(app=app))]),
        reference,
        lambda build: behind_nginx(fcgikit(build, app=app)),
        f"{title} hello, kept, more than in a bare loop",
        {INTERPRETED: 15, COMPILED: 9},
        Kind.EXCESS,
    )


def direct() -> Case:
    """No nginx in front: neither it nor the load generator is the limit."""
    contestants: list[Contestant] = [Direct(servers.floor())]
    for build in builds():
        contestants.append(Direct(fcgikit(build)))
        multiplexing = Direct(fcgikit(build), "multiplexed", connections=4, in_flight=16)
        contestants.append(multiplexing)
    return Case("direct", "hello world without nginx, from a FastCGI load generator", contestants)


def idle(build: Build) -> Case:
    """A case for each build: one is all the descriptors that a process may have."""
    few, many = (AmongIdle(fcgikit(build, "fastcgi", *MANY_CONNECTIONS), n) for n in (10, IDLE))
    title = f"CPU per request, {IDLE:,} idle connections against 10"
    return Case(
        f"idle-{build.name}",
        f"hello world without nginx, among idle connections, {build.name}",
        [few, many],
        [Goal(title, many, few, Kind.RATIO, 1.1)],
    )


def idle_memory() -> Case:
    return figures(
        Case("idle-memory", "memory of an idle kept connection", [], unit="KiB"),
        lambda build: IdleMemory(fcgikit(build, "fastcgi", *MANY_CONNECTIONS)),
        "memory of an idle kept connection",
        3,
    )


def bulk() -> Case:
    case = Case("bulk", "growth of the process while 1 GiB passes through", [], unit="MiB")
    figures(case, lambda build: Upload(fcgikit(build, app="benchmarks.apps:upload")),
            "growth during a 1 GiB upload", 8)  # fmt: skip
    return figures(case, lambda build: Download(fcgikit(build, app="benchmarks.apps:download")),
                   "growth during a 1 GiB download", 8)  # fmt: skip


def workers() -> Case:
    """The application outweighs load generator and server, so that cores are the limit.

    What two cores give depends on the machine, so processes without a server take their turns.
    """
    alone, together = Burning(1), Burning(2)
    unit = "requests per second"
    case = Case("workers", "5 ms of work without nginx", [alone, together], unit=unit)
    title = "what the cores give: 2 processes against 1, no server"
    case.goals.append(Goal(title, together, alone, Kind.GAIN, 1.8))
    for build in builds():
        one, two = (
            Throughput(fcgikit(build, app="benchmarks.apps:burn", workers=count))
            for count in (1, 2)
        )
        case.contestants += [one, two]
        title = "throughput of 2 workers against 1"
        case.goals.append(Goal(title, two, one, Kind.GAIN, 1.8))
    return case


def against(
    case: Case,
    reference: Contestant,
    own: Callable[[Build], Contestant],
    title: str,
    limits: Limits,
    kind: Kind = Kind.RATIO,
) -> Case:
    """*case* with each build's own contestant and its goal against the *reference*."""
    for build in builds():
        contestant = own(build)
        case.contestants.append(contestant)
        case.goals.append(Goal(title, contestant, reference, kind, limits[build]))
    return case


def figures(case: Case, own: Callable[[Build], Contestant], title: str, limit: float) -> Case:
    """*case* with each build's own contestant, whose figure is the goal."""
    for build in builds():
        contestant = own(build)
        case.contestants.append(contestant)
        case.goals.append(Goal(title, contestant, None, Kind.FIGURE, limit))
    return case
