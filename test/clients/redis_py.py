#!/usr/bin/python3
"""Ordinary work with redis-py. Usage: redis_py.py PORT"""
import sys
import threading

import redis

r = redis.Redis(port=int(sys.argv[1]))
text = redis.Redis(port=int(sys.argv[1]), decode_responses=True)


def strings():
    binary = bytes(range(256)) + b"\r\n$-1\r\n"
    assert r.set("py:bin", binary)
    assert r.get("py:bin") == binary
    assert r.set("py:nx", 1, nx=True) and not r.set("py:nx", 2, nx=True)
    assert r.incrby("py:count", 5) == 5 and r.decr("py:count") == 4
    assert r.incrbyfloat("py:float", 0.5) == 0.5
    assert r.append("py:bin", b"x") == len(binary) + 1
    assert r.setrange("py:range", 3, "x") == 4 and r.getrange("py:range", 3, 3) == b"x"
    assert r.getset("py:nx", "new") == b"1"


def many_slots():
    names = ["py:many:%d" % i for i in range(300)]
    assert r.mset({n: n for n in names})
    assert r.mget(names + ["py:none"]) == [n.encode() for n in names] + [None]
    assert r.exists(*names) == 300
    assert r.delete(*names) == 300
    assert r.mget(names) == [None] * 300


def expiry():
    r.set("py:ttl", 1, ex=100)
    assert 0 < r.ttl("py:ttl") <= 100 and 0 < r.pttl("py:ttl") <= 100000
    assert r.persist("py:ttl") and r.ttl("py:ttl") == -1
    assert r.expire("py:ttl", 50) and r.ttl("py:none") == -2
    r.set("py:gone", 1, px=1)
    for _ in range(1000):
        if r.get("py:gone") is None:
            break
    assert r.get("py:gone") is None


def collections():
    r.delete("py:h", "py:l", "py:s", "py:t", "py:z")
    assert r.hset("py:h", mapping={"a": 1, "b": "x"}) == 2
    assert r.hgetall("py:h") == {b"a": b"1", b"b": b"x"} and r.hincrby("py:h", "a", 2) == 3
    assert text.hmget("py:h", "a", "none") == ["3", None]
    assert r.rpush("py:l", *range(10)) == 10 and text.lrange("py:l", -2, -1) == ["8", "9"]
    assert r.lpop("py:l", 2) == [b"0", b"1"]
    r.sadd("py:s", "a", "b", "c")
    r.sadd("py:t", "b", "c", "d")
    assert r.sinter("py:s", "py:t") == {b"b", b"c"} and r.sunionstore("py:u", "py:s", "py:t") == 4
    assert r.zadd("py:z", {"one": 1, "two": 2.5}) == 2
    assert r.zrange("py:z", 0, -1, withscores=True) == [(b"one", 1.0), (b"two", 2.5)]
    assert r.zrangebyscore("py:z", 2, "+inf") == [b"two"]
    assert r.xadd("py:x", {"f": "v"}, id="1-1") == b"1-1"
    assert r.xrange("py:x") == [(b"1-1", {b"f": b"v"})]
    r.delete("py:x")
    r.geoadd("py:g", (13.361389, 38.115556, "Palermo"))
    assert r.geopos("py:g", "Palermo")[0] is not None
    assert r.pfadd("py:p", 1, 2, 3) and r.pfcount("py:p") == 3


def scans():
    names = {"py:scan:%d" % i for i in range(500)}
    text.mset({n: 1 for n in names})
    assert set(text.scan_iter("py:scan:*", count=50)) == names
    assert set(text.keys("py:scan:*")) == names
    r.sadd("py:bigset", *range(1000))
    assert len(set(r.sscan_iter("py:bigset"))) == 1000
    assert dict(text.hscan_iter("py:h")) == {"a": "3", "b": "x"}
    text.delete(*names)


def pipelines():
    p = r.pipeline(transaction=False)
    for i in range(1000):
        p.set("py:pipe:%d" % i, i).get("py:pipe:%d" % i)
    replies = p.execute()
    assert replies[1::2] == [b"%d" % i for i in range(1000)]
    p = r.pipeline(transaction=False)
    p.lpush("py:bin", 1).get("py:bin")
    replies = p.execute(raise_on_error=False)
    assert isinstance(replies[0], redis.ResponseError) and replies[1]


def scripts():
    double = r.register_script("return redis.call('GET', KEYS[1]) * ARGV[1]")
    r.set("py:two", 21)
    assert double(keys=["py:two"], args=[2]) == 42
    r.script_flush()
    assert double(keys=["py:two"], args=[3]) == 63
    both = r.register_script("return {redis.call('GET', KEYS[1]), redis.call('TYPE', KEYS[2])}")
    assert both(keys=["py:two", "py:l"])[0] == b"21"


def server():
    assert r.ping() and r.echo("x") == b"x"
    assert r.info()["redis_mode"] == "standalone" and r.info("server")["redis_version"]
    assert r.config_get("maxmemory")["maxmemory"] is not None
    assert r.client_setname("py") and r.client_getname() is not None and r.client_id() > 0
    assert any(c["name"] == "py" for c in r.client_list())
    assert r.dbsize() > 0 and r.time()[0] > 0 and len(r.command_count() and r.slowlog_get()) >= 0
    assert r.type("py:l") == b"list" and r.rename("py:l", "py:renamed")
    assert isinstance(r.memory_usage("py:renamed"), int)
    try:
        r.lpush("py:h", 1)
        raise AssertionError("a wrong type is no error")
    except redis.ResponseError as e:
        assert str(e).startswith("WRONGTYPE")


def aside(work, *arguments):
    """Runs work in another thread; what it returns is asked for with the function that comes back."""
    result = []
    thread = threading.Thread(target=lambda: result.append(work(*arguments)), daemon=True)
    thread.start()

    def end():
        thread.join(20)
        assert result, "no answer"
        return result[0]
    return end


def blocked(count):
    """Returns once that many clients wait in a command."""
    while sum("b" in c["flags"] for c in r.client_list()) < count:
        pass


def transactions():
    p = r.pipeline()
    for i in range(20):
        p.set("py:multi:%d" % i, i).get("py:multi:%d" % i)
    assert p.execute()[1::2] == [b"%d" % i for i in range(20)]
    p = r.pipeline()
    p.incr("{py:tx}n").lpush("{py:tx}n", 1).incr("{py:tx}n")
    replies = p.execute(raise_on_error=False)
    assert replies[0] + 1 == replies[2] and isinstance(replies[1], redis.ResponseError)
    with r.pipeline() as p:
        p.watch("{py:tx}n")
        r.incr("{py:tx}n")
        p.multi()
        p.set("{py:tx}n", "lost")
        try:
            p.execute()
            raise AssertionError("a touched key is no conflict")
        except redis.WatchError:
            assert r.get("{py:tx}n").isdigit()
        p.watch("{py:tx}n")
        p.unwatch()
    r.set("{py:tx}n", 0)

    def increment(p):
        n = int(p.get("{py:tx}n"))
        p.multi()
        p.set("{py:tx}n", n + 1)
    ends = [aside(lambda: [r.transaction(increment, "{py:tx}n") for _ in range(25)])
            for _ in range(4)]
    assert all(end() for end in ends) and r.get("{py:tx}n") == b"100"


def blocking():
    r.delete("py:q", "py:q2", "py:done", "py:stream", "py:zq")
    assert r.blpop("py:q", timeout=0.1) is None
    for keys in ("py:q", ["py:q", "py:q2"]):
        end = aside(r.blpop, keys, 20)
        blocked(1)
        assert r.rpush("py:q", "job") == 1
        assert end() == (b"py:q", b"job")
    end = aside(r.brpoplpush, "py:q", "py:done", 20)
    blocked(1)
    r.rpush("py:q", "job")
    assert end() == b"job" and r.lrange("py:done", 0, -1) == [b"job"]
    end = aside(r.bzpopmin, "py:zq", 20)
    blocked(1)
    r.zadd("py:zq", {"a": 1})
    assert end() == (b"py:zq", b"a", 1.0)
    end = aside(lambda: r.xread({"py:stream": "$"}, block=20000))
    blocked(1)
    id = r.xadd("py:stream", {"f": "v"})
    assert end() == [[b"py:stream", [(id, {b"f": b"v"})]]]
    r.xgroup_create("py:stream", "g", "$")
    end = aside(lambda: r.xreadgroup("g", "me", {"py:stream": ">"}, block=20000))
    blocked(1)
    id = r.xadd("py:stream", {"f": "w"})
    assert end() == [[b"py:stream", [(id, {b"f": b"w"})]]] and r.xack("py:stream", "g", id) == 1


def take(p, count):
    messages = []
    while len(messages) < count:
        message = p.get_message(timeout=20)
        assert message, "no message"
        messages.append((message["type"], message["pattern"], message["channel"], message["data"]))
    return messages


def pubsub():
    p = text.pubsub()
    p.subscribe("py:news", "py:other")
    p.psubscribe("py:n*")
    assert [m[0] for m in take(p, 3)] == ["subscribe", "subscribe", "psubscribe"]
    assert r.publish("py:news", "a") == 2 and r.publish("py:other", "b") == 1
    assert sorted(take(p, 3), key=str) == [("message", None, "py:news", "a"),
                                           ("message", None, "py:other", "b"),
                                           ("pmessage", "py:n*", "py:news", "a")]
    assert {b"py:news", b"py:other"} <= set(r.pubsub_channels("py:*"))
    assert r.pubsub_numsub("py:news") == [(b"py:news", 1)] and r.pubsub_numpat() == 1
    p.ping("still there")
    assert take(p, 1)[0][3] == "still there"
    # what it has no function for it sends as it is: shard channels are newer than this redis-py
    shard = r.connection_pool.get_connection("_")
    shard.send_command("SSUBSCRIBE", "py:shard")
    assert shard.read_response() == [b"ssubscribe", b"py:shard", 1]
    assert r.execute_command("SPUBLISH", "py:shard", "c") == 1
    assert shard.read_response() == [b"smessage", b"py:shard", b"c"]
    shard.disconnect()
    p.unsubscribe()
    p.punsubscribe()
    assert [m[0] for m in take(p, 3)] == ["unsubscribe", "unsubscribe", "punsubscribe"]
    p.close()
    # its own thread, with a handler for each channel
    heard = threading.Event()
    p = r.pubsub()
    p.subscribe(**{"py:handled": lambda message: heard.set()})
    thread = p.run_in_thread(sleep_time=0.01)
    while not heard.is_set():
        r.publish("py:handled", 1)
    thread.stop()
    thread.join(20)


def locks():
    r.delete("py:lock")
    count = [0]

    def work():
        for _ in range(5):
            with r.lock("py:lock", timeout=20, sleep=0.001):
                seen = count[0]
                r.ping()
                count[0] = seen + 1
        return True
    assert all([end() for end in [aside(work) for _ in range(4)]]) and count[0] == 20
    lock = r.lock("py:lock", timeout=20)
    assert lock.acquire() and lock.extend(20) and lock.reacquire() and lock.owned()
    assert not r.lock("py:lock").acquire(blocking=False)
    r.delete("py:lock")
    try:
        lock.release()
        raise AssertionError("somebody else's lock was released")
    except redis.exceptions.LockError:
        pass


for work in (strings, many_slots, expiry, collections, scans, pipelines, scripts, server,
             transactions, blocking, pubsub, locks):
    work()
