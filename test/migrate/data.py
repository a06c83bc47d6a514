"""A data set of every type, made by commands that a server of its version has, and its content.

The content is read by ordinary commands, so it tells the same for each version and encoding.
"""

import random

from scene import Problem, ReplyError

FAR = 4102444800000  # 2100-01-01, in milliseconds


def version_of(client):
    """(7, 0, 15), whose functions a server has: what it calls redis_version."""
    return tuple(int(n) for n in client.info("redis_version").split("."))


def has_field_times(client):
    return client.info("valkey_version") is not None and \
        int(client.info("valkey_version").split(".")[0]) >= 9 or version_of(client) >= (7, 4)


def fill(client, field_times=False):
    version = version_of(client)
    rng = random.Random(1)
    calls = [*strings(rng), *lists(rng), *collections(), *streams(version)]
    for i in range(200):
        calls += [("SET", f"expiring:{i}", i), ("PEXPIREAT", f"expiring:{i}", FAR + i)]
    calls += [("PEXPIREAT", "hash:small", FAR + 777), ("PEXPIREAT", "stream:one", FAR + 778)]
    if version >= (7, 0):
        calls.append(("FUNCTION", "LOAD", "REPLACE", "#!lua name=library\n"
                      "redis.register_function('answer', function() return 42 end)"))
    if field_times:
        calls += [("HPEXPIREAT", "hash:small", FAR, "FIELDS", 1, "f"),
                  ("HPEXPIREAT", "hash:large", FAR + 5, "FIELDS", 2, "field:3", "field:9")]
    client.do(calls)


def noise(rng, size):
    return bytes(rng.getrandbits(8) for _ in range(size))


def strings(rng):
    for i, number in enumerate((0, -1, 127, -128, 32767, 70000, 2147483647, 4294967296, "007")):
        yield "SET", f"number:{i}", number
    yield "SET", "empty", ""
    for size in (1, 4, 13, 40, 121, 364, 1093, 3280, 9841, 200000):
        yield "SET", f"noise:{size}", noise(rng, size)
        yield "SET", f"packed:{size}", b"z" * size
    yield "SET", b"key\0with\r\nbytes", "value"
    yield "SET", 12345, "key-is-a-number"
    yield "SETBIT", "bits", 10000, 1
    yield ("PFADD", "hll", *range(5))
    yield ("PFADD", "hll:dense", *(f"element:{i}" for i in range(3000)))
    for i in range(3000):
        yield "SET", f"many:{i}", f"value {i} " * (i % 20)


def lists(rng):
    yield "RPUSH", "list:small", "a", 1, -5, 70000, b"x\0y"
    yield ("RPUSH", "list:large", *(f"element:{i}" for i in range(3000)))
    yield ("RPUSH", "list:long", *(noise(rng, 9000) for _ in range(5)))


def collections():
    yield "SADD", "set:int16", 1, 2, -3
    yield "SADD", "set:int32", 1, 70000
    yield "SADD", "set:int64", 1, -70000000000
    yield "SADD", "set:small", "a", "b", 3
    yield ("SADD", "set:large", *(f"member:{i}" for i in range(2000)))
    yield "ZADD", "zset:small", 1, "a", -2.5, "b", 0.1, "c", "inf", "d", "-inf", "e"
    yield ("ZADD", "zset:large",
           *(word for i in range(2000) for word in (f"{i - 1000}.{i}", f"member:{i}")))
    yield "GEOADD", "geo", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"
    yield "HSET", "hash:small", "f", "v", "n", 12, "m", -70000
    yield ("HSET", "hash:large", *(word for i in range(1500) for word in (f"field:{i}", i)))


def streams(version):
    for i in range(500):
        yield "XADD", "stream", f"{1000 + i}-1", "same", i, "fields", "yes"
    for i in range(100):
        yield "XADD", "stream", f"{3000 + i}-0", f"other:{i}", i
    yield ("XDEL", "stream", *(f"{1000 + i * 3}-1" for i in range(100)))
    yield "XGROUP", "CREATE", "stream", "workers", "1200-0"
    yield "XGROUP", "CREATE", "stream", "idle", "$"
    yield "XREADGROUP", "GROUP", "workers", "alice", "COUNT", 30, "STREAMS", "stream", ">"
    yield "XREADGROUP", "GROUP", "workers", "bob", "COUNT", 20, "STREAMS", "stream", ">"
    yield "XACK", "stream", "workers", "1204-1"
    yield "XGROUP", "CREATE", "stream:empty", "g", "0", "MKSTREAM"
    yield "XADD", "stream:emptied", "5-5", "a", "b"
    yield "XDEL", "stream:emptied", "5-5"
    yield "XADD", "stream:one", "7-7", "a", "b"
    if version >= (6, 2):
        yield "XGROUP", "CREATECONSUMER", "stream", "workers", "nobody"
        yield "XCLAIM", "stream", "workers", "bob", 0, "1201-1", "RETRYCOUNT", 5
    if version >= (7, 0):
        yield "XSETID", "stream:one", "9-9", "ENTRIESADDED", 5, "MAXDELETEDID", "8-1"


def write_some(client, n):
    """Round n of a ledger: one command lost, doubled or out of order shows."""
    i = n % 50
    client.do([("INCRBY", f"ledger:counter:{i}", n), ("RPUSH", f"ledger:list:{i}", n),
               ("APPEND", f"ledger:text:{i}", f"{n},"), ("ZINCRBY", f"ledger:scores:{i}", 1, n),
               ("HINCRBY", f"ledger:hash:{i}", "f", n), ("SADD", f"ledger:set:{i}", n),
               ("SPOP", f"ledger:set:{i}"), ("LPOP", f"ledger:list:{i}"),
               ("SETEX", f"ledger:expiring:{i}", 200000, n),
               ("XADD", f"ledger:stream:{i}", "*", "f", n),
               ("GETSET", f"ledger:last:{i}", n)])


# ---- content ----

def pairs(flat):
    return sorted(zip(flat[::2], flat[1::2]))


def stream_calls(key):
    return [("XRANGE", key, "-", "+"), ("XINFO", "STREAM", key), ("XINFO", "GROUPS", key)]


READS = {
    b"string": lambda key: [("GET", key)],
    b"list": lambda key: [("LRANGE", key, 0, -1)],
    b"set": lambda key: [("SMEMBERS", key)],
    b"zset": lambda key: [("ZRANGE", key, 0, -1, "WITHSCORES")],
    b"hash": lambda key: [("HGETALL", key)],
    b"stream": stream_calls,
}
STREAM_FACTS = (b"length", b"last-generated-id", b"groups")
STREAM_FACTS_7 = (b"max-deleted-entry-id", b"entries-added")
GROUP_FACTS = (b"name", b"pending", b"last-delivered-id")


def chosen(flat, names):
    facts = dict(zip(flat[::2], flat[1::2]))
    return {name: facts[name] for name in names if name in facts}


def stream_content(client, key, replies, names):
    entries, facts, groups = replies
    content = [entries, chosen(facts, names)]
    for group in groups:
        name = chosen(group, (b"name",))[b"name"]
        pending = client.ask("XPENDING", key, name, "-", "+", 10000)
        consumers = [c for c in client.ask("XINFO", "CONSUMERS", key, name)
                     if STREAM_FACTS_7[0] in names or chosen(c, (b"pending",))[b"pending"] > 0]
        content.append((chosen(group, GROUP_FACTS),
                        [(entry[0], entry[1], entry[3]) for entry in pending],
                        [chosen(c, (b"name", b"pending")) for c in consumers]))
    return content


def content_of(client, keys, field_times, names):
    """Key -> type, content, time to live, times of fields."""
    kinds = client.pipeline([("TYPE", key) for key in keys])
    times = client.pipeline([("PTTL", key) for key in keys])
    calls, whose = [], []
    for key, kind in zip(keys, kinds):
        for call in READS.get(kind, lambda key: [])(key):
            calls.append(call)
            whose.append(key)
    found = {key: [kind, [], ttl] for key, kind, ttl in zip(keys, kinds, times)}
    for key, reply in zip(whose, client.pipeline(calls)):
        if isinstance(reply, ReplyError):
            raise Problem(f"reading {key!r}: {reply}")
        found[key][1].append(reply)
    for key, (kind, replies, _) in found.items():
        if kind == b"set":
            found[key][1] = sorted(replies[0])
        elif kind == b"zset":
            found[key][1] = [(m, float(s)) for m, s in zip(replies[0][::2], replies[0][1::2])]
        elif kind == b"hash":
            found[key][1] = pairs(replies[0])
            if field_times:
                fields = [field for field, _ in found[key][1]]
                found[key].append(client.ask("HPEXPIRETIME", key, "FIELDS", len(fields), *fields))
        elif kind == b"stream":
            found[key][1] = stream_content(client, key, replies, names)
    return found


def keys_of(client):
    keys, cursor = set(), b"0"
    while True:
        cursor, some = client.ask("SCAN", cursor, "COUNT", 1000)
        keys.update(some)
        if cursor == b"0":
            return sorted(keys)


def compare(source, target, field_times=False, seven=True, slack_ms=10000):
    """The keys whose content differs, with both contents. Seven: both know what 7.0 tells of
    streams. Times to live may be slack_ms apart."""
    names = STREAM_FACTS + (STREAM_FACTS_7 if seven else ())
    differing = []
    keys, others = keys_of(source), keys_of(target)
    here = content_of(source, keys, field_times, names)
    there = content_of(target, others, field_times, names)
    for key in sorted(set(keys) | set(others)):
        a, b = here.get(key), there.get(key)
        if a is None or b is None or a[:2] + a[3:] != b[:2] + b[3:] or \
                abs(a[2] - b[2]) > slack_ms or (a[2] < 0) != (b[2] < 0):
            differing.append((key, a, b))
    return differing
