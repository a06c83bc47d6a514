#!/usr/bin/env python3
"""The capacity table of docs/ec2.md is arithmetic on docs/benchmarks.md; this holds the two together.

Usage: capacity.py DOCS [--write]. Without --write it fails where the table is not what it should be.
"""

import math
import os
import re
import sys

LOAD = 0.6        # of each core, the default of RedisClusterProxyAutoScallingCPUThreshold
CORES = 4         # of a c7g.xlarge
WANTED = 1_000_000
ORIGINAL = 30_000  # requests per second that an instance of the stack before was reckoned at
BEGIN, END = "<!-- capacity: written by test/deploy/capacity.py docs --write -->\n", "<!-- end of capacity -->\n"


def measured(text):
    """(what, microseconds of CPU per request) of each row of the first table."""
    rows = re.findall(r"^\| ((?:GET|SET) [^|]*, depth \d+) \| ([\d.]+) \|", text, re.M)
    if len(rows) < 8:
        sys.exit("benchmarks.md has another table than this knows")
    return [(what, float(us)) for what, us in rows]


def thousands(number):
    return f"{round(number / 1000) * 1000:,}"


def row(what, us):
    name, depth = what.split(", depth ")
    how = "one at a time" if depth == "1" else f"{depth} in a pipeline"
    each = 1e6 / us
    loaded = each * LOAD
    cores = math.ceil(WANTED / loaded)
    return f"| {name}, {how} | {us:g} | {thousands(each)} | {thousands(loaded)} | {cores} | " \
           f"{math.ceil(cores / CORES)} | {round(loaded * CORES / ORIGINAL)} |\n"


def table(rows):
    head = ["Requests", "us of CPU", f"Per core at {100} %", f"Per core at {LOAD:.0%}".replace("%", " %"),
            f"Cores for {WANTED:,}/s at {LOAD:.0%}".replace("%", " %"), f"`c7g.xlarge` ({CORES} cores) for that",
            f"One `c7g.xlarge` stands for so many at {ORIGINAL:,}/s"]
    return "".join(["| " + " | ".join(head) + " |\n", "|---" * len(head) + "|\n", *(row(*r) for r in rows)])


def main():
    folder = sys.argv[1]
    with open(os.path.join(folder, "benchmarks.md"), encoding="utf-8") as f:
        wanted = BEGIN + "\n" + table(measured(f.read())) + "\n" + END
    path = os.path.join(folder, "ec2.md")
    with open(path, encoding="utf-8") as f:
        page = f.read()
    start, end = page.index(BEGIN), page.index(END) + len(END)
    if page[start:end] == wanted:
        return 0
    if "--write" not in sys.argv:
        print("docs/ec2.md has not the numbers of docs/benchmarks.md: test/deploy/capacity.py docs --write")
        return 1
    with open(path, "w", encoding="utf-8") as f:
        f.write(page[:start] + wanted + page[end:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
