"""A small world of network namespaces: clients, a balancer, instances, and a Redis Cluster.

    clients 10.77.0.2 --- 10.77.0.1 balancer 10.78.0.254 --- 10.78.0.N instance N 10.79.0.N --- 10.79.0.254 nodes

To be used below `unshare --net --mount --pid --kill-child`: then the names are nobody else's, and when the first
process ends, in whatever way, everything is gone.
"""

import os
import subprocess
import time

ADDRESS = "10.77.0.1"  # of the balancer, where clients connect
PORT = 6379
NODES = "10.79.0.254"
FIRST_NODE = 7001
# As deploy/sysctl.d has it for a machine.
SYSCTLS = ["net.ipv4.tcp_migrate_req=1", "net.core.somaxconn=4096"]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def wait_until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s in vain until {what}")
        time.sleep(0.02)


def inside(space, *command):
    return ["ip", "netns", "exec", space, *command]


def start(space, *command, log, **more):
    """The process is the command itself, since `ip` becomes it."""
    with open(log, "ab") as output:
        return subprocess.Popen(inside(space, *command), stdin=more.pop("stdin", subprocess.DEVNULL),
                                stdout=more.pop("stdout", output), stderr=output, **more)


def picture(path, pid):
    """Where the bytes of a process are that hangs: its state, every socket, and what the balancer knows."""
    looks = [["cat", f"/proc/{pid}/stat", f"/proc/{pid}/syscall", f"/proc/{pid}/stat"],
             inside("balancer", "nft", "list", "ruleset"), inside("balancer", "cat", "/proc/net/nf_conntrack")]
    looks += [inside(space, "ss", "-tnio", "state", "all", "exclude", "time-wait")
              for space in sorted(os.listdir("/run/netns"))]
    with open(path, "a", encoding="utf-8") as f:
        for look in looks:
            print("---", *look, file=f, flush=True)
            subprocess.run(look, stdout=f, stderr=f, check=False)


def instance_address(number):
    return f"10.78.0.{number}"


def add_space(name):
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")


def add_bridge(space, address):
    # With an address of its own: else it takes the lowest of its cables, and who has asked for that one is cut
    # off for seconds when that cable goes.
    run("ip", "-n", space, "link", "add", "name", "bridge", "address", "02:00:00:00:00:01", "type", "bridge")
    run("ip", "-n", space, "link", "set", "bridge", "up")
    run("ip", "-n", space, "address", "add", f"{address}/24", "dev", "bridge")


def add_cable(space, name, address, other, port):
    """An interface in space, plugged into the bridge of the other one."""
    run("ip", "link", "add", name, "netns", space, "type", "veth", "peer", "name", port, "netns", other)
    run("ip", "-n", other, "link", "set", port, "master", "bridge", "up")
    run("ip", "-n", space, "address", "add", f"{address}/24", "dev", name)
    run("ip", "-n", space, "link", "set", name, "up")


def open_world():
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "none", "/run/netns")
    for name in ("clients", "balancer", "nodes"):
        add_space(name)
    add_bridge("nodes", NODES)
    add_bridge("balancer", "10.78.0.254")
    run("ip", "link", "add", "front", "netns", "clients", "type", "veth", "peer", "name", "front", "netns", "balancer")
    for space, address in (("clients", "10.77.0.2"), ("balancer", ADDRESS)):
        run("ip", "-n", space, "address", "add", f"{address}/24", "dev", "front")
        run("ip", "-n", space, "link", "set", "front", "up")
    run("ip", "-n", "clients", "route", "add", "default", "via", ADDRESS)


def add_instance_space(number):
    name = f"instance{number}"
    add_space(name)
    add_cable(name, "front", instance_address(number), "balancer", f"i{number}")
    add_cable(name, "back", f"10.79.0.{number}", "nodes", f"i{number}")
    run("ip", "-n", name, "route", "add", "default", "via", "10.78.0.254")
    run(*inside(name, "sysctl", "-qw", *SYSCTLS))
    return name


class Cluster:
    """Three masters and three replicas."""

    def __init__(self, folder):
        self.ports = range(FIRST_NODE, FIRST_NODE + 6)
        self.nodes = {}
        for port in self.ports:
            path = os.path.join(folder, str(port))
            os.mkdir(path)
            self.nodes[port] = start(
                "nodes", "redis-server", "--port", str(port), "--bind", NODES, "--protected-mode", "no", "--dir", path,
                "--save", "", "--appendonly", "no", "--cluster-enabled", "yes", "--cluster-node-timeout", "1500",
                "--repl-diskless-sync-delay", "0", log=os.path.join(path, "log"))
        for port in self.ports:
            wait_until(lambda p=port: self.ask(p, "ping") == "PONG", f"node {port} answers")
        run(*inside("nodes", "redis-cli", "--cluster", "create", *(f"{NODES}:{p}" for p in self.ports),
                    "--cluster-replicas", "1", "--cluster-yes"))
        wait_until(self.is_whole, "the cluster is whole", 30)

    def ask(self, port, *command):
        done = subprocess.run(inside("nodes", "redis-cli", "-h", NODES, "-p", str(port), *command),
                              capture_output=True, text=True, timeout=10)
        return done.stdout.strip()

    def is_whole(self):
        living = [p for p in self.ports if self.nodes[p].poll() is None]
        return all("cluster_state:ok" in self.ask(p, "cluster", "info") for p in living) and \
            all("master_link_status:down" not in self.ask(p, "info", "replication") for p in living)

    def role(self, port):
        return self.ask(port, "role").split("\n", 1)[0]

    def replica_of(self, port):
        """The port of a replica that follows the master at this one."""
        return next((p for p in self.ports if p != port and self.nodes[p].poll() is None and
                     f"master_port:{port}" in self.ask(p, "info", "replication")), None)

    def masters(self):
        return [p for p in self.ports if self.nodes[p].poll() is None and self.role(p) == "master"]
