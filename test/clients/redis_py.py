#!/usr/bin/python3
"""Ordinary work with redis-py. Usage: redis_py.py PORT"""
import sys

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


for work in (strings, many_slots, expiry, collections, scans, pipelines, scripts, server):
    work()
