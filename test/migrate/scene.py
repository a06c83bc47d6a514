"""Servers, clusters, proxies and slotgate-migrate as processes on the loopback, and a small client.

What the demo, the benchmark and the tests of migrations share. Everything keeps its files in one
temporary directory, ends with the scene, and dies with this program at the latest.
"""

import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVERS = os.environ.get("SLOTGATE_SERVERS", "/var/cache/slotgate/servers")
PORTS = range(18000, 21000)  # the cluster bus is 10000 above, still below the ephemeral ports
SLOTS = 16384
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Problem(Exception):
    """Something that ends the run and is told in one line."""


class ReplyError(Exception):
    """An error that a server answered."""


class Client:
    """One connection, RESP2. Replies are bytes, integers, lists, None or a ReplyError."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 65536)

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, *calls):
        self.socket.sendall(b"".join(pack(call) for call in calls))

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            return ReplyError(rest.decode(errors="replace"))
        if rest == b"-1":
            return None
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        return self.file.read(int(rest) + 2)[:-2]

    def pipeline(self, calls):
        """All replies, errors among them."""
        replies = []
        for at in range(0, len(calls), 500):
            part = calls[at:at + 500]
            self.send(*part)
            replies += [self.read() for _ in part]
        return replies

    def ask(self, *words):
        """The reply; raises a ReplyError."""
        self.send(words)
        reply = self.read()
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def do(self, calls):
        """All of them, and none may be refused."""
        for call, reply in zip(calls, self.pipeline(calls)):
            if isinstance(reply, ReplyError):
                raise Problem(f"{call[0]} {call[1] if len(call) > 1 else ''}: {reply}")

    def info(self, name):
        found = re.search(rb"^%s:(.*?)\r?$" % name.encode(), self.ask("INFO", "everything"), re.M)
        return found.group(1).decode() if found else None


def pack(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if not isinstance(word, bytes):
            word = str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Problem(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Process:
    def __init__(self, scene, name, argv, cpus=None):
        self.name, self.log = name, scene.path(name + ".log")
        self.out = scene.path(name + ".out")
        self.told = False

        def before_exec():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if cpus is not None:
                os.sched_setaffinity(0, cpus)

        with open(self.log, "wb") as log, open(self.out, "wb") as out:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                                          preexec_fn=before_exec, env=scene.environment)

    def lives(self):
        return self.child.poll() is None

    def tell(self):
        """SIGTERM, and only one: with the second slotgate-migrate stops at once."""
        if not self.told:
            self.child.terminate()
        self.told = True

    def end(self, seconds=20):
        """SIGTERM, or SIGKILL when that is not enough; the exit code."""
        self.tell()
        if self.lives():
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait()

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def output(self):
        with open(self.out, encoding="utf-8", errors="replace") as f:
            return f.read()

    def cpu_seconds(self):
        with open(f"/proc/{self.child.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self):
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024


class Listening(Process):
    """One that answers at a port."""

    port = 0

    def client(self, timeout=30):
        return Client(self.port, timeout)


class Server(Listening):
    """A redis-server or one of its relatives."""

    def __init__(self, scene, program, port, more):
        where = scene.path(f"server-{port}")
        os.makedirs(where, exist_ok=True)
        super().__init__(scene, f"server-{port}", [
            program, "--port", str(port), "--bind", "127.0.0.1", "--dir", where, "--save", "",
            "--appendonly", "no", "--repl-diskless-sync-delay", "0", *more])
        self.port = port


class Cluster:
    """Masters only, each with its share of the slots."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.seeds = ",".join(f"127.0.0.1:{n.port}" for n in nodes)
        clients = [n.client() for n in nodes]
        for i, c in enumerate(clients):
            c.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            first, last = SLOTS * i // len(nodes), SLOTS * (i + 1) // len(nodes)
            c.ask("CLUSTER", "ADDSLOTS", *range(first, last))
            for other in nodes[:i]:
                c.ask("CLUSTER", "MEET", "127.0.0.1", other.port)
        wait_until(lambda: all(b"cluster_state:ok" in c.ask("CLUSTER", "INFO") and
                               b"cluster_known_nodes:%d" % len(nodes) in c.ask("CLUSTER", "INFO")
                               for c in clients), 20, "the cluster forms")
        for c in clients:
            c.close()

    def each(self, *words):
        """The replies of all masters."""
        replies = []
        for node in self.nodes:
            with node.client() as c:
                replies.append(c.ask(*words))
        return replies

    def empty(self):
        self.each("FLUSHALL")

    def keys(self):
        return sum(self.each("DBSIZE"))


class Migration(Process):
    """slotgate-migrate at work."""

    def says(self, text):
        return text in self.text()

    def await_copy(self, seconds=60):
        wait_until(lambda: self.says("full copy done") or not self.lives(), seconds,
                   "the full copy")
        if not self.lives():
            raise Problem(f"slotgate-migrate has left: {self.text()[-1500:]}{self.output()}")


class Scene:
    """Starts processes, remembers them and ends exactly those."""

    def __init__(self, name):
        self.dir = tempfile.mkdtemp(prefix=f"slotgate-{name}.")
        self.processes, self.count = [], 0
        self.next_port = random.choice(PORTS)
        # What a caller has set for either program is not for these.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SLOTGATE")}
        self.environment["LC_ALL"] = "C"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            if process.lives():
                process.child.kill()
            process.child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name, text=None):
        path = os.path.join(self.dir, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return path

    def port(self):
        for _ in PORTS:
            port = self.next_port
            self.next_port = port + 1 if port + 1 in PORTS else PORTS[0]
            if is_free(port) and is_free(port + 10000):
                return port
        raise Problem("there is no free port")

    def keep(self, process):
        self.processes.append(process)
        return process

    def process(self, name, argv):
        return self.keep(Process(self, name, argv))

    def await_ping(self, process, port):
        def answers():
            try:
                with Client(port, 1) as c:
                    return c.ask("PING") == b"PONG"
            except (OSError, ReplyError):
                if not process.lives():
                    raise Problem(f"{process.name} has left: {process.text()[-500:]}"
                                  f"{process.output()[-500:]}") from None
                return False

        wait_until(answers, 20, f"{process.name} answers")

    def server(self, program="redis-server", *more):
        port = self.port()
        server = self.keep(Server(self, program, port, more))
        self.await_ping(server, port)
        return server

    def cluster(self, program="redis-server", *more, masters=3):
        return Cluster([self.server(program, "--cluster-enabled", "yes", *more)
                        for _ in range(masters)])

    def slotgate(self, cluster, *more):
        port = self.port()
        proxy = self.keep(Listening(self, f"slotgate-{port}", [
            build("slotgate"), "--bind", "127.0.0.1", "-p", str(port), *more, cluster.seeds]))
        self.await_ping(proxy, port)
        proxy.port = port
        return proxy

    def migrate(self, *words):
        self.count += 1
        return self.keep(Migration(self, f"migrate-{self.count}",
                                   [build("slotgate-migrate"), *words]))

    def sync(self, source, target, *more):
        """Target: words, such as an address, or "--target-cluster" and seeds."""
        spool = self.path(f"spool-{self.count + 1}")
        os.makedirs(spool)
        return self.migrate("sync", f"127.0.0.1:{source.port}", *target, "--spool-dir", spool,
                            *more)

    def verify(self, source, target, *more, seconds=120):
        """Its exit code and what it printed."""
        m = self.migrate("verify", f"127.0.0.1:{source.port}", *target, *more)
        wait_until(lambda: not m.lives(), seconds, "verify")
        return m.child.returncode, m.output()


def build(name):
    variable = name.upper().replace("-", "_") + "_BIN"
    return os.environ.get(variable, os.path.join(ROOT, "build", name))


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def server_program(name):
    """The program of ./dev servers NAME, or redis-server for ""; None: it was not fetched."""
    if name == "":
        return shutil.which("redis-server")
    path = os.path.join(SERVERS, name, "server")
    return path if os.access(path, os.X_OK) else None


def count_in(text, name):
    """The number that stands behind the name in a summary; None: there is none."""
    found = re.search(re.escape(name) + r"\s+(\d+)", text)
    return int(found.group(1)) if found else None
