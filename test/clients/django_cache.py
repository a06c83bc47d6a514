#!/usr/bin/python3
"""Django's cache and sessions on django-redis. Usage: django_cache.py PORT"""
import sys

import django
from django.conf import settings

settings.configure(
    CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache",
                        "LOCATION": "redis://127.0.0.1:%s/0" % sys.argv[1],
                        "KEY_PREFIX": "django"}},
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    INSTALLED_APPS=["django.contrib.sessions"],
    SECRET_KEY="x",
    USE_TZ=True,
)
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import cache  # noqa: E402

cache.set("a", {"user": "bob"}, timeout=100)
assert cache.get("a") == {"user": "bob"} and 0 < cache.ttl("a") <= 100
assert cache.add("a", 1) is False and cache.add("b", 1) is True
assert cache.get_or_set("c", lambda: 42) == 42 and cache.get("none", "default") == "default"
assert cache.incr("b", 4) == 5 and cache.decr("b") == 4
assert cache.touch("b", 50) and cache.persist("b")

names = {"many:%d" % i: i for i in range(50)}
for name, value in names.items():
    cache.set(name, value)
assert cache.get_many(names) == names
assert set(cache.keys("many:*")) == set(names) and set(cache.iter_keys("many:*")) == set(names)
assert cache.delete_many(names) == 50 and cache.get_many(names) == {}
cache.set("gone:1", 1)
cache.set("gone:2", 1)
assert cache.delete_pattern("gone:*") == 2

session = SessionStore()
session["cart"] = [1, 2, 3]
session.save()
assert SessionStore(session.session_key)["cart"] == [1, 2, 3]
session.flush()
assert "cart" not in SessionStore(session.session_key or "gone")
cache.clear()
assert cache.get("a") is None
