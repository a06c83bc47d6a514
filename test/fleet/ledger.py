#!/usr/bin/env python3
"""Clients that keep a ledger: redis-py as any application uses it, with its pool and without retries.

Each client sets keys that it never uses again, counts, and reads what it has set before; it knows what was acknowledged.
After an error it goes on, and its pool connects anew. One client is in no hurry, like a page that is seldom looked at.

Commands on stdin, each answered with a line of JSON: step, idle-open, idle-use, finish. The answer to step tells what
happened since the one before.
"""

import json
import random
import re
import sys
import threading
import time

import redis

HOST, PORT, PAUSE = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
BUSY = 6
IDLE = 4


def kind_of(error):
    text = str(error)
    if isinstance(error, redis.exceptions.ResponseError):
        return "reply: " + re.sub(r"node \S+[:;,]?", "a node,", text.removeprefix("slotgate: "))
    for part, kind in (("refused", "refused"), ("Error 104", "reset"), ("(104,", "reset"), ("Error 32", "reset"),
                       ("Connection closed by server", "closed"), ("imeout", "timeout"), ("imed out", "timeout")):
        if part in text:
            return kind
    return type(error).__name__ + ": " + text[:60]


class Client:
    def __init__(self, name, pause):
        self.name, self.pause = name, pause
        self.instance = "nobody"  # the address that the last connection led to
        self.redis = redis.Redis(connection_pool=redis.ConnectionPool(
            host=HOST, port=PORT, socket_timeout=8, socket_connect_timeout=2, redis_connect_func=self.on_connect))
        self.lock = threading.Lock()
        self.set = {}  # number of the key: when it was acknowledged
        self.counted = self.uncertain = self.asked = 0
        self.last = time.monotonic()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.forget()

    def forget(self):
        self.done, self.errors, self.wrong, self.gap = 0, [], [], 0.0

    def on_connect(self, connection):
        self.instance = "nobody"
        connection.on_connect()
        connection.send_command("CLIENT", "INFO")
        fields = dict(f.split("=", 1) for f in connection.read_response().decode().split() if "=" in f)
        self.instance = fields["laddr"].split(":")[0]

    def key(self, number):
        return f"ledger:{self.name}:{number}"

    def do_set(self):
        self.asked += 1
        number = self.asked
        self.redis.set(self.key(number), number)
        self.set[number] = time.time()

    def do_count(self):
        """Never less than what was acknowledged, never more than what was tried."""
        try:
            value = self.redis.incr(f"ledger:{self.name}:count")
        except redis.exceptions.RedisError as e:
            self.uncertain += kind_of(e) != "refused"
            raise
        self.counted += 1
        if not self.counted <= value <= self.counted + self.uncertain:
            self.wrong.append(f"{self.name}: count {value}, {self.counted} acknowledged, {self.uncertain} uncertain")
            self.counted = value  # said once

    def do_get(self):
        number = random.choice(range(max(1, self.asked - 50), self.asked + 1))
        if number in self.set and self.redis.get(self.key(number)) != str(number).encode():
            self.wrong.append(f"{self.name}: {self.key(number)} is not there")

    def work(self):
        tasks = [self.do_set, self.do_get, self.do_count]
        while not self.over.is_set():
            for task in tasks:
                self.try_once(task)
                self.over.wait(random.uniform(0.5, 1.5) * self.pause)  # the pace

    def try_once(self, task):
        try:
            task()
        except redis.exceptions.RedisError as e:
            with self.lock:
                self.errors.append({"kind": kind_of(e), "instance": self.instance, "client": self.name,
                                    "time": time.time()})
            self.over.wait(0.02)  # the pace of one that is refused
            return
        now = time.monotonic()
        with self.lock:
            self.done += 1
            self.gap = max(self.gap, now - self.last - self.pause)
            self.last = now

    def report(self):
        with self.lock:
            result = self.done, self.errors, self.wrong, self.gap
            self.forget()
        return result


def step(clients):
    total = {"done": 0, "errors": [], "wrong": [], "gap_ms": 0}
    for done, errors, wrong, gap in (c.report() for c in clients):
        total["done"] += done
        total["errors"] += errors
        total["wrong"] += wrong
        total["gap_ms"] = max(total["gap_ms"], round(gap * 1000))
    return total


def lost_of(client, reader):
    """What was acknowledged and is not there: [key, when]."""
    numbers = sorted(client.set)
    for at in range(0, len(numbers), 200):
        part = numbers[at:at + 200]
        for number, value in zip(part, reader.mget([client.key(n) for n in part])):
            if value != str(number).encode():
                yield [client.key(number), client.set[number]]


def finish(clients):
    reader = redis.Redis(host=HOST, port=PORT, socket_timeout=30)
    lost = [entry for c in clients for entry in lost_of(c, reader)]
    counts = []
    for c in clients:
        value = int(reader.get(f"ledger:{c.name}:count") or 0)
        if not c.counted <= value <= c.counted + c.uncertain:
            counts.append(f"{c.name}: count {value}, {c.counted} acknowledged, {c.uncertain} uncertain")
    return {"set": sum(len(c.set) for c in clients), "lost": lost, "wrong": counts}


def use(client):
    """One command, and another one if the first fails: [kind of the error or None, whether the second works]."""
    error = None
    for _ in range(2):
        try:
            client.redis.set(f"ledger:{client.name}", "1")
            return [error, True]
        except redis.exceptions.RedisError as e:
            error = kind_of(e)
    return [error, False]


def main():
    clients = [Client(f"busy{i}", PAUSE) for i in range(BUSY)] + [Client("rare", 0.25)]
    idle = []
    for c in clients:
        c.thread.start()
    for line in sys.stdin:
        command = line.strip()
        if command == "step":
            answer = step(clients)
        elif command == "idle-open":
            idle = [Client(f"idle{i}", 0) for i in range(IDLE)]
            answer = [use(c) for c in idle]
        elif command == "idle-use":
            answer = [use(c) for c in idle]
        else:
            for c in clients:
                c.over.set()
            for c in clients:
                c.thread.join()  # each command of redis-py has a deadline
            answer = finish(clients)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
