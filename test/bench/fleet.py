"""The processes of the benchmark: Redis servers, the proxies and the load generator.

Everything listens on loopback, keeps its files in one temporary directory and dies with the
runner. The proxy under test has one core for itself; servers and load share the other.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PROXY_CPU = 0
LOAD_CPU = 1

CLUSTER_PORTS = (23001, 23002, 23003)
SHARD_PORTS = (23011, 23012, 23013)  # the standalone servers behind nutcracker
SINGLE_PORT = 23014                  # behind haproxy, and reached directly
PING = b"*1\r\n$4\r\nPING\r\n"
FLOOR_PORTS = {("get", 64): 23104, ("set", 64): 23105, ("get", 1024): 23106, ("set", 1024): 23107}
PROXY_PORTS = {"slotgate": 23101, "haproxy": 23102, "nutcracker": 23103}
FRESH_PORTS = {"slotgate": 23201, "haproxy": 23202, "nutcracker": 23203}
NUTCRACKER_STATS_OFFSET = 300        # its statistics port, next to the one it serves

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

HAPROXY_CONFIG = """\
global
    nbthread 1
    maxconn 9950
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port}
    server redis 127.0.0.1:{server}
"""

NUTCRACKER_CONFIG = """\
bench:
  listen: 127.0.0.1:{port}
  hash: fnv1a_64
  distribution: ketama
  redis: true
  preconnect: true
  auto_eject_hosts: false
  backlog: 4096
  servers:
{servers}
"""


def bulk_size(length):
    return len(f"${length}\r\n") + length + len("\r\n")


def floor_sizes(op, size):
    """Bytes of one request and one reply of bench_load: the relay counts them instead of parsing."""
    call, key = bulk_size(len("GET")), bulk_size(len("key:00064:000000"))
    if op == "get":
        return len("*2\r\n") + call + key, bulk_size(size)
    return len("*3\r\n") + call + key + bulk_size(size), len("+OK\r\n")


class BenchError(Exception):
    """Something that ends the run and is told in one line."""


def free_port(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            raise BenchError(f"port {port} is taken; does another benchmark run?") from None


def ask(port, request, timeout=1.0):
    """One short request and reply; b'' when nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as s:
            s.sendall(request)
            return s.recv(65536)
    except OSError:
        return b""


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Fleet:
    """Starts processes, remembers them and ends exactly those."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="slotgate-bench.")
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            self.stop(process)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name, text=None):
        path = os.path.join(self.dir, name)
        if text is not None:
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
        return path

    def spawn(self, name, argv, cpu, **pipes):
        def before_exec():
            os.sched_setaffinity(0, {cpu})
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(self.path(name + ".log"), "ab") as log:
            pipes.setdefault("stdin", subprocess.DEVNULL)
            pipes.setdefault("stdout", log)
            process = subprocess.Popen(argv, stderr=log, preexec_fn=before_exec, **pipes)
        process.name = name
        self.processes.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.processes:
            self.processes.remove(process)

    def log_tail(self, name):
        with open(self.path(name + ".log"), "rb") as f:
            return f.read().decode(errors="replace").strip()[-500:]

    def wait_for(self, process, port, question=None, seconds=10):
        """Returns once PING on the port is answered; for a relay that must not be asked anything, once
        the port accepts."""
        question = PING if question is None else question
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            if question == b"" and accepts(port):
                return
            if question and ask(port, question) == b"+PONG\r\n":
                return
            time.sleep(0.05)
        raise BenchError(f"{process.name} does not answer PING on port {port}: "
                         f"{self.log_tail(process.name) or 'nothing in its log'}")

    # ---- servers ----

    def redis(self, port, *more):
        free_port(port)
        where = self.path(f"redis-{port}")
        os.mkdir(where)
        argv = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", where,
                "--save", "", "--appendonly", "no", "--maxclients", "15000", *more]
        process = self.spawn(f"redis-{port}", argv, LOAD_CPU)
        self.wait_for(process, port)
        return process

    def cluster(self):
        for port in CLUSTER_PORTS:
            free_port(port + 10000)
            self.redis(port, "--cluster-enabled", "yes", "--cluster-node-timeout", "15000")
        nodes = [f"127.0.0.1:{port}" for port in CLUSTER_PORTS]
        subprocess.run(["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"],
                       check=True, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while not all(b"cluster_state:ok" in ask(port, b"CLUSTER INFO\r\n")
                      for port in CLUSTER_PORTS):
            if time.monotonic() > end:
                raise BenchError("the cluster did not come up within 30 s")
            time.sleep(0.1)

    # ---- proxies ----

    def proxy(self, target, binary=None, port=None):
        port = port or PROXY_PORTS[target]
        free_port(port)
        process = self.spawn(f"{target}-{port}", self.proxy_argv(target, binary, port), PROXY_CPU)
        self.wait_for(process, port)
        return process

    def floor(self, binary, op, size):
        port = FLOOR_PORTS[op, size]
        free_port(port)
        process = self.spawn(f"floor-{port}", [binary, str(port),
                                               *(str(n) for n in floor_sizes(op, size)),
                                               *(str(p) for p in SHARD_PORTS)], PROXY_CPU)
        self.wait_for(process, port, b"")
        return process

    def proxy_argv(self, target, binary, port):
        if target == "haproxy":
            config = HAPROXY_CONFIG.format(port=port, server=SINGLE_PORT)
            return ["haproxy", "-db", "-q", "-f", self.path(f"haproxy-{port}.cfg", config)]
        if target == "nutcracker":
            servers = "\n".join(f"   - 127.0.0.1:{p}:1" for p in SHARD_PORTS)
            config = NUTCRACKER_CONFIG.format(port=port, servers=servers)
            return ["nutcracker", "-c", self.path(f"nutcracker-{port}.yml", config),
                    "-a", "127.0.0.1", "-s", str(port + NUTCRACKER_STATS_OFFSET), "-v", "3"]
        nodes = ",".join(f"127.0.0.1:{p}" for p in CLUSTER_PORTS)
        return [binary, "-p", str(port), "--bind", "127.0.0.1", nodes]
