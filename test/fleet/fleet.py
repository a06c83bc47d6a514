"""The fleet: a balancer in a box, instances of slotgate as an Auto Scaling group would start and end them, load."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import box

HERE = os.path.dirname(os.path.abspath(__file__))
WORKERS = 2
DRAIN = 4         # seconds of shutdown-timeout
FORGOTTEN = 1.5   # after deregistration the balancer surely sends new flows elsewhere; 150 s on AWS
SPARE = 4         # seconds of shutdown-delay where it is asked for: more than two checks take
DELAY = 6         # of deregistration: what is left then is reset


class Balancer:
    def __init__(self, log, on_event):
        self.on_event = on_event
        self.process = subprocess.Popen(
            box.inside("balancer", sys.executable, "-u", os.path.join(HERE, "balancer.py"), box.ADDRESS, str(box.PORT),
                       str(DELAY)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(log, "ab"), text=True)
        self.events = []  # (time, word, name)
        threading.Thread(target=self.listen, daemon=True).start()
        box.wait_until(lambda: self.events, "the balancer is ready")

    def listen(self):
        for line in self.process.stdout:
            word, *name = line.split()
            self.events.append((time.time(), word, *name))
            if name:
                self.on_event(word, name[0])

    def tell(self, *words):
        print(*words, file=self.process.stdin, flush=True)

    def heard(self, word, name):
        return next((e[0] for e in self.events if e[1:] == (word, name)), None)

    def wait_for(self, word, name):
        box.wait_until(lambda: self.heard(word, name), f"the balancer says {word} {name}")


class Instance:
    """A namespace with a slotgate of its own program file and configuration."""

    def __init__(self, fleet, number):
        self.name = box.add_instance_space(number)
        self.address = box.instance_address(number)
        self.fleet = fleet
        self.folder = os.path.join(fleet.folder, self.name)
        os.mkdir(self.folder)
        self.program = os.path.join(self.folder, "slotgate")
        self.log = os.path.join(self.folder, "log")
        self.renew()
        self.process = box.start(self.name, self.program, "-c", os.path.join(self.folder, "slotgate.conf"), log=self.log)

    def renew(self, delay=0):
        """A new program and a new configuration, put into the old one's place as a package does."""
        with open(os.path.join(self.folder, "slotgate.conf"), "w", encoding="utf-8") as f:
            f.write(f"cluster-nodes {box.NODES}:{box.FIRST_NODE} {box.NODES}:{box.FIRST_NODE + 1}\n"
                    f"port {box.PORT}\nworkers {WORKERS}\nshutdown-timeout {DRAIN}s\nshutdown-delay {delay}s\n"
                    "admin-port 9121\nadmin-bind *\n"
                    f"tcp-keepalive {self.fleet.keepalive}\n")
        shutil.copy(self.fleet.program, self.program + ".new")
        os.rename(self.program + ".new", self.program)

    def tell_before_leaving(self):
        self.renew(SPARE)
        self.process.send_signal(signal.SIGHUP)
        box.wait_until(lambda: self.log_has("configuration reloaded"), f"{self.name} has the new configuration")

    def log_has(self, event):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f'event="{event}"' in f.read()

    def workers(self):
        return [int(p) for p in box.run("pgrep", "-P", str(self.process.pid)).split()]

    def program_is_new(self, pid):
        return os.stat(f"/proc/{pid}/exe").st_ino == os.stat(self.program).st_ino

    def taken_over(self):
        """Both workers are new, the old ones have left, and the process is still the same."""
        if self.process.poll() is not None or not self.log_has("taken over"):
            return False
        pids = self.workers()
        return len(pids) == WORKERS and all(self.program_is_new(p) for p in [self.process.pid, *pids])

    def freeze(self):
        """Its workers read no more."""
        for pid in self.workers():
            os.kill(pid, signal.SIGSTOP)

    def has_unread_from(self, ports):
        """Of each of these ports of clients."""
        sockets = box.run(*box.inside(self.name, "ss", "-tnH", "state", "established")).splitlines()
        return set(ports) <= {int(peer.rsplit(":", 1)[1]) for unread, _, _, peer, *_ in map(str.split, sockets)
                              if unread != "0"}

    def die(self):
        """As if its machine had died: all processes at once."""
        for pid in [self.process.pid, *self.workers()]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def leave(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(SPARE + DRAIN + 10)
        if code != 0:
            raise RuntimeError(f"{self.name} left with {code}, see {self.log}")


class Load:
    """redis-benchmark in bursts of some hundred milliseconds, each with connections of its own. It never connects
    anew: a burst that loses a connection is over. One that was refused a connection says nothing and spins for ever,
    up to redis 7.0: what fails on writing is EAGAIN to it, and it tries again without looking."""

    PATIENCE = 6

    def __init__(self, pictures):
        self.pictures = pictures  # how it looked when a burst hung
        self.over = False
        self.bursts = []  # (when it began, when it ended, what went wrong or None)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        command = box.inside("clients", "redis-benchmark", "-h", box.ADDRESS, "-c", "8", "-P", "4", "-n", "600", "-q",
                             "-r", "10000", "-d", "64", "-t", "set,get,mset")
        while not self.over:
            began = time.time()
            trouble = self.burst(command)
            self.bursts.append((began, time.time(), trouble))
            time.sleep(0.2)  # the pace

    def burst(self, command):
        """What went wrong, or None."""
        trouble = None
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            patience = threading.Timer(self.PATIENCE, self.give_up, [process])
            patience.start()
            for line in process.stdout:
                if "rror" in line or "Could not" in line:
                    trouble = trouble or line.strip()
                    process.kill()
            patience.cancel()
        return trouble if trouble or process.returncode == 0 else f"ended with {process.returncode}"

    def give_up(self, process):
        box.picture(f"{self.pictures}-{process.pid}", process.pid)
        process.kill()

    def stop(self):
        self.over = True
        self.thread.join(20)


class Ledger:
    def __init__(self, log, pause):
        self.process = box.start("clients", sys.executable, os.path.join(HERE, "ledger.py"), box.ADDRESS, str(box.PORT),
                                 str(pause), log=log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        print(command, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the ledger has ended")
        return json.loads(line)


class SamePorts:
    """Clients of one instance that come back from the ports that they had, see ports.py."""

    def __init__(self, log, instance):
        self.process = box.start("clients", sys.executable, os.path.join(HERE, "ports.py"), box.ADDRESS, str(box.PORT),
                                 instance.address, log=log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = self.hear()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the clients with ports of their own have ended")
        return json.loads(line)

    def speak(self):
        print("speak", file=self.process.stdin, flush=True)
        self.hear()

    def come_back(self):
        """[port, how its connection ended, what became of the new one], of each."""
        print("back", file=self.process.stdin, flush=True)
        return self.hear()


class Fleet:
    def __init__(self, folder, program, on_event):
        self.folder, self.program = folder, program
        self.keepalive = "60s"  # the default
        self.instances = []     # in service, oldest first
        self.count = 0
        box.open_world()
        self.cluster = box.Cluster(folder)
        self.balancer = Balancer(os.path.join(folder, "balancer.log"), on_event)

    def start_work(self, pause=0.004):
        """pause: seconds between two commands of a busy client."""
        self.ledger = Ledger(os.path.join(self.folder, "ledger.log"), pause)
        self.load = Load(os.path.join(self.folder, "hanging"))

    def same_ports(self, instance):
        return SamePorts(os.path.join(self.folder, "ports.log"), instance)

    def grow(self, how_many):
        """New instances, until the balancer has them in service."""
        fresh = []
        for _ in range(how_many):
            self.count += 1
            fresh.append(Instance(self, self.count))
            self.balancer.tell("add", fresh[-1].name, fresh[-1].address)
        for instance in fresh:
            self.balancer.wait_for("in", instance.name)
        self.instances += fresh
        return fresh

    def retire(self, *leaving):
        """As a group takes instances away: the balancer first, then, once it has forgotten them, SIGTERM."""
        for instance in leaving:
            self.balancer.tell("remove", instance.name)
        for instance in leaving:
            self.balancer.wait_for("removed", instance.name)
        time.sleep(FORGOTTEN)
        for instance in leaving:
            instance.leave()
            self.instances.remove(instance)
