"""What is measured: CPU time, system calls and idle memory of one process tree."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

from fleet import LOAD_CPU, BenchError

IDLE_CONNECTIONS = 10000
IDLE_GROUP = 50       # this many idle clients are opened and answered at a time
SETTLE_SECONDS = 2    # for what a proxy frees later; nothing tells that it is done
SYSCALLS = ("read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg",
            "epoll_wait", "epoll_pwait", "epoll_ctl")


# ---- a process and its children ----

def read(path):
    with open(path, encoding="ascii", errors="replace") as f:
        return f.read()


def stat_fields(pid):
    """The fields after the name, which may itself hold blanks and brackets."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def tree(pid):
    """The process and all below it: a proxy may have a supervisor and workers."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            children.setdefault(int(stat_fields(name)[1]), []).append(int(name))
        except OSError:
            continue
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


class Cpu:
    """CPU time so far: the total to the nanosecond, user and system in clock ticks.

    The kernel counts the total exactly and samples which half it was, so the split is only as
    good as the ticks in a run; it is therefore added up over all rounds.
    """

    def __init__(self, pids):
        self.total_ns = self.user = self.system = 0
        for pid in pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                self.total_ns += int(read(f"/proc/{pid}/task/{task}/schedstat").split()[0])
            fields = stat_fields(pid)
            self.user += int(fields[11])
            self.system += int(fields[12])

    def since(self, before):
        return {"cpu_ns": self.total_ns - before.total_ns, "user_ticks": self.user - before.user,
                "system_ticks": self.system - before.system}


def memory(pids):
    kib = {"Rss": 0, "Pss": 0}
    for pid in pids:
        for name, value in re.findall(r"^(Rss|Pss):\s+(\d+) kB", read(f"/proc/{pid}/smaps_rollup"),
                                      re.M):
            kib[name] += int(value)
    return {name.lower(): value * 1024 for name, value in kib.items()}


# ---- the load ----

class Load:
    """The load generator, stopped at its gate: connected, warmed up, not yet measured."""

    def __init__(self, fleet, binary, port, workload, requests):
        argv = [binary, "--port", str(port), "--op", workload.op, "--size", str(workload.size),
                "--depth", str(workload.depth), "--requests", str(requests),
                "--keys-per-call", str(workload.keys_per_call), "--gate"]
        self.fleet = fleet
        self.process = fleet.spawn("load", argv, LOAD_CPU, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.early = self.process.stdout.readline().strip()

    def go(self):
        """Runs to the end; raises BenchError when a reply was wrong."""
        if self.early != "READY":
            return self.result(self.early)
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.result(self.process.stdout.readline())

    def result(self, line):
        if not line:
            raise BenchError("the load generator left: " + self.fleet.log_tail("load"))
        result = json.loads(line)
        if result["errors"]:
            raise BenchError(result["message"])
        return result

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.fleet.stop(self.process)


def cpu_run(fleet, binary, pid, port, workload, requests):
    """One run; the CPU time of the tree at pid, without the connects and the closes."""
    load = Load(fleet, binary, port, workload, requests)
    try:
        pids = tree(pid)
        before = Cpu(pids)
        result = load.go()
        result.update(Cpu(pids).since(before))
        return result
    finally:
        load.close()


# ---- system calls ----

def perf_counts(fleet, pids, load):
    events = ["raw_syscalls:sys_enter"] + ["syscalls:sys_enter_" + name for name in SYSCALLS]
    out = fleet.path("perf.csv")
    perf = fleet.spawn("perf", ["perf", "stat", "-x,", "-o", out, "-e", ",".join(events),
                                "-p", ",".join(map(str, pids))], LOAD_CPU)
    time.sleep(0.5)  # it does not tell when it has begun to count
    if perf.poll() is not None:
        return None
    result = load.go()
    perf.send_signal(signal.SIGINT)
    perf.wait()
    counts = {}
    for line in read(out).splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[0].isdigit():
            counts[fields[2].rpartition("sys_enter")[2].lstrip("_") or "all"] = int(fields[0])
    return counts, result["requests"]


def strace_counts(fleet, pids, load):
    """Slower, and a proxy slowed down merges more: the result is a lower bound."""
    out = fleet.path("strace.txt")
    argv = ["strace", "-c", "-f", "-o", out]
    for pid in pids:
        argv += ["-p", str(pid)]
    strace = fleet.spawn("strace", argv, LOAD_CPU)
    time.sleep(0.5)  # nor does this
    if strace.poll() is not None:
        raise BenchError("neither perf nor strace can count: " + fleet.log_tail("strace"))
    result = load.go()
    strace.send_signal(signal.SIGINT)
    strace.wait()
    rows = [line.split() for line in read(out).splitlines()]
    rows = [row for row in rows if len(row) >= 5 and row[3].isdigit()]
    counts = {row[-1]: int(row[3]) for row in rows}
    counts["all"] = counts.pop("total", 0)
    return counts, result["requests"]


def syscall_run(fleet, binary, pid, port, workload, requests):
    """System calls per request, by name, counted in a run of its own."""
    for how, count in (("perf", perf_counts), ("strace", strace_counts)):
        load = Load(fleet, binary, port, workload, requests)
        try:
            counted = count(fleet, tree(pid), load)
        finally:
            load.close()
        if counted and counted[0].get("all"):
            counts, done = counted
            per_request = {name: n / done for name, n in counts.items() if n}
            total = per_request.pop("all")
            per_request["others"] = total - sum(per_request.values())
            return {"how": how, "total": total, "by_name": per_request}
    raise BenchError("system calls could not be counted")


# ---- idle memory ----

def bulk(*words):
    parts = b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
    return b"*%d\r\n" % len(words) + parts


def receive(s, expected):
    got = b""
    while len(got) < len(expected):
        piece = s.recv(65536)
        if not piece:
            raise BenchError("an idle client was disconnected")
        got += piece
    if got != expected:
        raise BenchError(f"wrong reply to an idle client: {got[:80]!r}")


def open_client(port, number):
    s = socket.socket()
    s.settimeout(10)
    # A reset at the end leaves no 10,000 ports in TIME_WAIT for the next measurement.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.bind((f"127.0.0.{2 + number % 8}", 0))
    s.connect(("127.0.0.1", port))
    return s


def open_idle_clients(port, count, clients):
    """Opens clients in small groups; each sends one GET and stays."""
    value = b"idle." * 12 + b"1234"
    for first in range(0, count, IDLE_GROUP):
        group = [open_client(port, first + i) for i in range(min(IDLE_GROUP, count - first))]
        clients.extend(group)
        if first == 0:
            group[0].sendall(bulk(b"SET", b"bench:idle", value))
            receive(group[0], b"+OK\r\n")
        for s in group:
            s.sendall(bulk(b"GET", b"bench:idle"))
        for s in group:
            receive(s, b"$64\r\n" + value + b"\r\n")


def idle_memory_run(pid, port, count):
    """Bytes of proxy memory per client that asked once and now says nothing."""
    pids, clients = tree(pid), []
    before = memory(pids)
    try:
        open_idle_clients(port, count, clients)
        time.sleep(SETTLE_SECONDS)
        after = memory(pids)
    except OSError as error:
        raise BenchError(f"after {len(clients)} idle clients: {error}") from None
    finally:
        for s in clients:
            s.close()
    return {"connections": count, "before": before, "after": after,
            "pss_per_connection": (after["pss"] - before["pss"]) / count,
            "rss_per_connection": (after["rss"] - before["rss"]) / count}
