#!/usr/bin/env python3
"""A network load balancer in a box; runs in the namespace of the balancer.

It does what AWS's does, faster: a new flow goes to a target by a hash of its source, and stays there. A target is in
service after one passed TCP check, out of it after two failed ones (then its flows are reset), and in again after two
passed ones. A deregistered target gets new flows for LAG seconds more, as people have seen AWS's do it for two minutes,
and keeps its old ones for DELAY seconds; what is left then is reset. A flow that was silent for too long is forgotten, and the next packet of it answered with RST. When no target is
healthy, all get traffic. Asked to check by HTTP it does what others do: /readyz has to say 200, and the flows of a target
that is out are let be.

Commands on stdin: add NAME ADDRESS, remove NAME, idle SECONDS, check tcp|http. Events on stdout, a line each: in NAME, out NAME,
removed NAME, cut NAME.
"""

import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request

ADDRESS, PORT = sys.argv[1], int(sys.argv[2])
DELAY = float(sys.argv[3])
INTERVAL = TIMEOUT = 1.0
LAG = 1.0
ADMIN_PORT = 9121

RULES = """
table ip balancer {{
    set cut {{ type ipv4_addr; }}
    chain arriving {{ type nat hook prerouting priority dstnat; }}
    chain passing {{
        type filter hook forward priority filter;
        ip daddr @cut ip protocol tcp reject with tcp reset
    }}
}}
"""


def say(*words):
    print(*words, flush=True)


def nft(text):
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)


def sysctl(**values):
    for name, value in values.items():
        subprocess.run(["sysctl", "-qw", f"net.{name}={value}"], check=True)


class Target:
    def __init__(self, name, address):
        self.name, self.address = name, address
        self.state = "new"  # new, in, out, leaving, removed
        self.streak = 0     # of checks whose result differs from the state

    def check(self, number):
        """Leaves with FIN or with RST, since nobody promises which."""
        try:
            with socket.create_connection((self.address, PORT), TIMEOUT) as s:
                if number % 2:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return True
        except OSError:
            return False

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}:{ADMIN_PORT}/readyz", timeout=TIMEOUT) as answer:
                return answer.status == 200
        except OSError:
            return False


class Balancer:
    def __init__(self):
        self.targets = {}
        self.by_http = False
        self.lock = threading.RLock()
        nft(RULES.format())
        # A packet in the middle of a connection that is not known is nobody's: RST. A flow that was reset is over
        # at once: conntrack would keep it for ten seconds, but the client's port is free, and who gets it for a new
        # connection would be led to the old target, however dead.
        sysctl(**{"ipv4.ip_forward": 1, "netfilter.nf_conntrack_tcp_loose": 0,
                  "netfilter.nf_conntrack_tcp_timeout_close": 0})

    def deal(self):
        """One transaction, so that no connection falls between two rules."""
        able = [t for t in self.targets.values() if t.state != "removed"]
        able = [t for t in able if t.state in ("in", "leaving")] or able
        text = "flush chain ip balancer arriving\n"
        if able:
            places = ", ".join(f"{i} : {t.address}" for i, t in enumerate(able))
            text += f"add rule ip balancer arriving ip daddr {ADDRESS} tcp dport {PORT} " \
                    f"dnat to jhash ip saddr . tcp sport mod {len(able)} seed 0x51ca map {{ {places} }}\n"
        nft(text)

    def cut(self, target, yes):
        nft(f"{'add' if yes else 'delete'} element ip balancer cut {{ {target.address} }}\n")

    def add(self, name, address):
        with self.lock:
            self.targets[name] = Target(name, address)

    def remove(self, name):
        with self.lock:
            target = self.targets[name]
            target.state = "leaving" if target.state == "in" else "removed"
        say("removed", name)
        threading.Timer(LAG, self.deal_no_more, [target]).start()
        threading.Timer(DELAY, self.forget, [target]).start()

    def deal_no_more(self, target):
        with self.lock:
            target.state = "removed"
            self.deal()

    def forget(self, target):
        with self.lock:
            self.cut(target, True)
            del self.targets[target.name]
        say("cut", target.name)

    def judge(self, target, passed):
        with self.lock:
            if target.state in ("leaving", "removed"):
                return
            good = target.state == "in"
            target.streak = target.streak + 1 if passed != good else 0
            if target.streak < (1 if target.state == "new" else 2):
                return
            target.streak = 0
            if not passed and target.state == "new":
                return
            if target.state != "new" and not self.by_http:
                self.cut(target, not passed)
            target.state = "in" if passed else "out"
            self.deal()
        say(target.state, target.name)

    def check_for_ever(self):
        number = 0
        while True:
            began = time.monotonic()
            number += 1
            with self.lock:
                targets = [t for t in self.targets.values() if t.state not in ("leaving", "removed")]
            for target in targets:
                self.judge(target, target.is_ready() if self.by_http else target.check(number))
            time.sleep(max(0, INTERVAL - (time.monotonic() - began)))


def main():
    balancer = Balancer()
    threading.Thread(target=balancer.check_for_ever, daemon=True).start()
    say("ready")
    for line in sys.stdin:
        command, *words = line.split()
        if command == "add":
            balancer.add(*words)
        elif command == "remove":
            balancer.remove(*words)
        elif command == "check":
            balancer.by_http = words[0] == "http"
        elif command == "idle":
            sysctl(**{"netfilter.nf_conntrack_tcp_timeout_established": words[0]})


if __name__ == "__main__":
    main()
