#!/usr/bin/env python3
"""check.py ADMIN_PORT PROMETHEUS_PORT: rules and dashboard against a running proxy and Prometheus."""

import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

admin, prometheus = (f"http://127.0.0.1:{port}" for port in sys.argv[1:3])
RULES = "deploy/prometheus/slotgate.rules.yml"
DASHBOARD = "deploy/grafana/slotgate.json"
WAIT_S = 20
failed = False


def check(name, body):
    global failed
    began = time.monotonic()
    try:
        body()
        print(f"ok metrics: {name} ({(time.monotonic() - began) * 1000:.0f} ms)", flush=True)
    except Exception as e:  # whatever it is, the other checks go on
        failed = True
        print(f"FAILED metrics: {name}\n{e}", flush=True)


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def ask(path, **query):
    return json.loads(fetch(f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"))["data"]


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise AssertionError(result.stdout + result.stderr)


def expressions():
    """Of the dashboard, as Prometheus gets them from Grafana."""
    with open(DASHBOARD, encoding="utf-8") as f:
        panels = json.load(f)["panels"]
    for panel in panels:
        for target in panel.get("targets", []):
            expr = target["expr"].replace("$__rate_interval", "5s").replace("$instance", ".*")
            yield panel["title"], expr


def rule_expressions():
    return [rule["query"] for group in ask("rules")["groups"] for rule in group["rules"]]


def exported():
    """The metrics that the proxy has, with the names that a histogram's parts have."""
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", fetch(admin + "/metrics"), re.M))
    names = set(kinds)
    for name, kind in kinds.items():
        if kind == "histogram":
            names |= {name + "_bucket", name + "_sum", name + "_count"}
    return names


def until(holds, what):
    end = time.monotonic() + WAIT_S
    while True:
        try:
            if holds():
                return
        except OSError:  # it does not listen yet
            pass
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(0.2)


def is_scraped():
    return any(r["value"][1] == "1" for r in ask("query", query='up{job="slotgate"}')["result"])


def exposition_is_clean():
    result = subprocess.run(["promtool", "check", "metrics"], input=fetch(admin + "/metrics"),
                            capture_output=True, text=True)
    if result.returncode != 0:
        raise AssertionError(result.stdout + result.stderr)


def rules_are_healthy():
    def done():
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
        return rules and all(rule["health"] == "ok" for rule in rules)
    until(done, f"rules with an error: {ask('rules')}")


def names_exist():
    """Those of rules and dashboard."""
    have, missing = exported(), set()
    for expr in [e for _, e in expressions()] + rule_expressions():
        missing |= set(re.findall(r"\bslotgate_\w+", re.sub(r'"[^"]*"', "", expr))) - have
    if missing:
        raise AssertionError("no such metrics: " + ", ".join(sorted(missing)))


def panels_have_data():
    """Every panel shows something, but for those of things that have not happened."""
    quiet = {"Trouble with nodes"}
    empty = set()

    def done():
        empty.clear()
        shown = {}
        for title, expr in expressions():
            found = ask("query", query=expr)["result"]
            shown[title] = shown.get(title, False) or bool(found)
        empty.update(title for title, some in shown.items() if not some and title not in quiet)
        return not empty
    until(done, f"panels without data: {empty}")


def nothing_fires():
    firing = [a["labels"]["alertname"] for a in ask("alerts")["alerts"] if a["state"] == "firing"]
    if firing:
        raise AssertionError("firing at a healthy proxy: " + ", ".join(firing))


check("alert rules are well formed", lambda: run("promtool", "check", "rules", RULES))
check("alerts fire when they should", lambda: run("promtool", "test", "rules", "test/metrics/rules_test.yml"))
check("a Prometheus reads them", lambda: until(is_scraped, "the proxy is not scraped"))
check("the exposition is clean", exposition_is_clean)
check("rules are evaluated", rules_are_healthy)
check("every metric that rules and dashboard name exists", names_exist)
check("panels have data", panels_have_data)
check("nothing fires", nothing_fires)
sys.exit(1 if failed else 0)
