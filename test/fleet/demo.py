#!/usr/bin/env python3
"""A fleet of slotgate behind a balancer, through everything that happens to a fleet; see ./dev demo-fleet.

Usage: demo.py PROGRAM FOLDER [--short], below `unshare --net --mount --pid --kill-child`. Prints a table of what clients saw
and ends with 1 if a step shows more than it may.
"""

import collections
import os
import signal
import sys
import time

import box
import fleet as fleets

CLIENTS = 7   # that write all the time, each with one connection
KILLED = 1.0  # seconds before a master's death in which Redis may have acknowledged what its replica never got

WORDS = {"in": "is in service", "out": "has failed its check twice", "removed": "gets no new connections in a second",
         "cut": "is forgotten, and what it still had is reset"}


class Step:
    """What happens, and what clients may see of it; judge() gives a line for each thing that they may not."""

    def __init__(self, name, act, graceful=True):
        self.name, self.act, self.graceful = name, act, graceful
        self.may = {}         # kind of error: (the instance that may cause it or None for all, how often)
        self.until = None     # time after which no error is forgiven
        self.may_lose = None  # from when to when acknowledged writes may be lost
        self.bursts = self.cut = 0  # of the load
        self.idle = None      # what idle clients saw
        self.back = []        # what clients saw who came back from the ports that they had

    def judge(self):
        bad = list(self.seen["wrong"]) if self.may_lose is None else []
        if self.idle is not None and not self.idle_is_fine:
            bad.append(f"idle clients saw {self.idle}")
        bad += [f"port {port}: {end}, and then {then}" for port, end, then in self.back
                if (end, then) != ("reset", "served")]
        count = collections.Counter()
        for error in self.seen["errors"]:
            kind = error["kind"].split(":")[0]
            who, most = self.may.get(kind, (None, 0))
            count[kind] += 1
            if count[kind] > most or (who is not None and error["instance"] not in (who, "nobody")) or \
                    (self.until is not None and error["time"] > self.until):
                bad.append(f"{error['kind']} at {error['instance']}, client {error['client']}")
        return bad

    def overlaps(self, began, ended):
        return began < self.span[1] and ended > self.span[0]


class Demo:
    def __init__(self, program, folder, short):
        self.program, self.folder, self.short = program, folder, short
        self.steps = []
        self.began = time.monotonic()

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def dwell(self, seconds):
        """How long one looks on before and after."""
        time.sleep(seconds / 3 if self.short else seconds)

    # --- the steps --------------------------------------------------------------------------------

    def steady(self, step):
        self.dwell(6)

    def kill_instance(self, step):
        victim = self.fleet.instances[0]
        same = self.fleet.same_ports(victim)
        self.say(f"kill -9 {victim.name}, all of its processes")
        victim.freeze()
        same.speak()
        box.wait_until(lambda: victim.has_unread_from(same.ports), "what will never be read has come")
        victim.die()
        self.fleet.instances.remove(victim)
        self.fleet.balancer.wait_for("out", victim.name)
        step.back = same.come_back()
        self.replace(victim)
        # Each client had at most one connection there; new ones may be dealt there until the check has failed twice.
        step.may = {"closed": (victim.address, CLIENTS), "reset": (victim.address, CLIENTS), "refused": (None, 1000)}
        step.until = self.fleet.balancer.heard("out", victim.name) + 0.5

    def replace(self, victim):
        self.fleet.balancer.tell("remove", victim.name)
        self.say("the group starts another one")
        self.fleet.grow(1)

    def stop_untold(self, step):
        victim = self.fleet.instances[0]
        self.say(f"SIGTERM to {victim.name}; nobody has told the balancer")
        victim.leave()
        self.fleet.instances.remove(victim)
        self.fleet.balancer.wait_for("out", victim.name)
        self.replace(victim)
        step.may = {"refused": (None, 1000)}
        step.until = self.fleet.balancer.heard("out", victim.name) + 0.5

    def stop_asked(self, step):
        victim = self.fleet.instances[0]
        victim.tell_before_leaving()
        self.fleet.balancer.tell("check", "http")
        self.say(f"SIGTERM to {victim.name}; the balancer asks for /readyz, and there is a shutdown-delay")
        victim.leave()
        self.fleet.instances.remove(victim)
        self.fleet.balancer.wait_for("out", victim.name)
        self.replace(victim)
        self.fleet.balancer.tell("check", "tcp")

    def stop_told(self, step):
        victim = self.fleet.instances[0]
        self.say(f"the balancer is told to forget {victim.name}; when it surely has, SIGTERM")
        self.fleet.retire(victim)
        self.fleet.grow(1)

    def scale_out(self, step):
        self.say("from 3 to 5")
        self.fleet.grow(2)
        self.dwell(3)

    def scale_in(self, step):
        self.say("from 5 to 2")
        self.fleet.retire(*self.fleet.instances[:3])
        self.dwell(3)

    def fail_over(self, step):
        cluster = self.fleet.cluster
        master = next(p for p in cluster.masters() if cluster.replica_of(p))
        replica = cluster.replica_of(master)
        self.say(f"CLUSTER FAILOVER: node {replica} takes over from {master}")
        cluster.ask(replica, "cluster", "failover")
        box.wait_until(lambda: cluster.role(replica) == "master", "the replica is the master")
        box.wait_until(cluster.is_whole, "the cluster is whole")
        self.dwell(3)

    def idle_short(self, step):
        """The proxy's keepalive of 60 s comes too late for this balancer."""
        self.let_idle(step)
        wanted = [["reset", True]] * len(step.idle)
        step.idle_is_fine = sorted(step.idle) == wanted

    def idle_kept(self, step):
        self.let_idle(step)
        step.idle_is_fine = all(answer == [None, True] for answer in step.idle)

    def let_idle(self, step):
        self.fleet.balancer.tell("idle", "3")
        opened = self.fleet.ledger.ask("idle-open")
        if any(answer != [None, True] for answer in opened):
            raise RuntimeError(f"idle clients cannot connect: {opened}")
        self.say(f"{len(opened)} clients say nothing for 5 s; the balancer forgets a flow after 3 s, "
                 f"the proxy's keepalive is {self.fleet.keepalive}")
        time.sleep(5)  # the silence itself
        step.idle = self.fleet.ledger.ask("idle-use")
        self.fleet.balancer.tell("idle", "350")

    def take_over(self, step):
        self.fleet.keepalive = "1s"
        for instance in self.fleet.instances:
            self.say(f"a new program in {instance.name}, and SIGUSR2")
            instance.renew()
            instance.process.send_signal(signal.SIGUSR2)
            box.wait_until(instance.taken_over, f"{instance.name} is taken over, see {instance.log}")

    def refresh(self, step):
        for old in list(self.fleet.instances):
            self.say(f"a new instance, then {old.name} goes")
            self.fleet.grow(1)
            self.fleet.retire(old)

    def master_dies(self, step):
        cluster = self.fleet.cluster
        victim = next(p for p in cluster.masters() if cluster.replica_of(p))
        replica = cluster.replica_of(victim)
        self.say(f"kill -9 of the master {victim}; its replica is {replica}")
        died = time.time()
        cluster.nodes[victim].kill()
        cluster.nodes[victim].wait()
        box.wait_until(lambda: cluster.role(replica) == "master", "the replica is the master")
        box.wait_until(cluster.is_whole, "the cluster is whole")
        self.dwell(3)
        step.may = {"reply": (None, 3 * CLIENTS)}  # of each client what was under way until the replica was elected
        step.may_lose = (died - KILLED, died + 0.1)

    # --- around them ------------------------------------------------------------------------------

    def run_step(self, step):
        self.say(f"--- {step.name}")
        began = time.time()
        step.act(step)
        self.dwell(1)
        step.span = began, time.time()
        step.seen = self.fleet.ledger.ask("step")
        step.bad = step.judge()
        self.steps.append(step)
        self.say(f"    {self.errors_of(step)}; longest gap {step.seen['gap_ms']} ms; {step.seen['done']} commands")
        for line in step.bad[:5]:
            self.say(f"    WRONG: {line}")

    def errors_of(self, step):
        kinds = collections.Counter(e["kind"] for e in step.seen["errors"])
        kinds.update(answer[0] for answer in step.idle or [] if answer[0])
        return ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "no error"

    def settle_up(self):
        self.fleet.load.stop()
        for burst in self.fleet.load.bursts:
            self.judge_burst(*burst)
        books = self.fleet.ledger.ask("finish")
        spans = [s.may_lose for s in self.steps if s.may_lose is not None]
        unforgiven = [e for e in books["lost"] if not any(a <= e[1] <= b for a, b in spans)]
        bad = [f"{s.name}: {line}" for s in self.steps for line in s.bad]
        return books, bad + [f"lost: {key}" for key, _ in unforgiven] + books["wrong"]

    def judge_burst(self, began, ended, trouble):
        """A graceful step cuts no burst, since they are short."""
        mine = [s for s in self.steps if s.overlaps(began, ended)]
        if not mine:
            return
        guilty = next((s for s in mine if not s.graceful), mine[0])
        if trouble is None:
            mine[0].bursts += 1
            return
        guilty.cut += 1
        if guilty.graceful:
            guilty.bad.append(f"load: {trouble}")

    def table(self, books):
        print(f"\n{'step':<48} {'time':>6} {'commands':>8} {'gap':>8} {'load':>10}  errors that clients saw")
        for s in self.steps:
            load = f"{s.bursts}" + (f"+{s.cut} cut" if s.cut else "")
            print(f"{s.name:<48} {s.span[1] - s.span[0]:4.1f} s {s.seen['done']:8} {s.seen['gap_ms']:5} ms {load:>10}  "
                  f"{self.errors_of(s)}{'' if not s.bad else '   WRONG'}")
        print(f"\n{books['set']} keys were acknowledged, {len(books['lost'])} of them are lost"
              f"{': acknowledged by the master that died before its replica had them' if books['lost'] else ''}.")

    def run(self):
        self.say("a cluster of 3 masters and 3 replicas, a balancer, 3 instances with 2 workers each")
        self.fleet = fleets.Fleet(self.folder, self.program, lambda word, name: self.say(f"    balancer: {name} {WORDS[word]}"))
        self.fleet.grow(3)
        self.fleet.start_work()
        for step in (
                Step("nothing happens", self.steady),
                Step("kill -9 an instance", self.kill_instance, graceful=False),
                Step("SIGTERM, the balancer does not know", self.stop_untold, graceful=False),
                Step("SIGTERM, the balancer asks /readyz", self.stop_asked),
                Step("SIGTERM, deregistered before", self.stop_told),
                Step("scale from 3 to 5", self.scale_out),
                Step("scale from 5 to 2", self.scale_in),
                Step("a master hands over", self.fail_over),
                Step("idle past the balancer's timeout", self.idle_short),
                Step("new program by SIGUSR2, keepalive 1 s", self.take_over),
                Step("idle past the timeout, kept alive", self.idle_kept),
                Step("new program, instance by instance", self.refresh),
                Step("kill -9 a master", self.master_dies, graceful=False)):
            self.run_step(step)
        books, bad = self.settle_up()
        self.table(books)
        for line in bad:
            print(f"WRONG: {line}")
        print(f"{len(self.steps)} steps, {len(bad)} things that must not be")
        return 1 if bad else 0


def main():
    program, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # process 1 hears only what it asked for
    return Demo(program, folder, "--short" in sys.argv).run()


if __name__ == "__main__":
    sys.exit(main())
