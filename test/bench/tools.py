"""What the benchmarks of the proxy share: a workload, the load generator's build, the machine."""

import os
import platform
import subprocess
from collections import namedtuple

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RESULTS = os.path.join(HERE, "results")

Workload = namedtuple("Workload", "name op size depth requests keys_per_call")


def build_tool(name, *libraries):
    """Always optimized and never sanitized, whatever the build of the project is."""
    source = os.path.join(HERE, f"{name}.c")
    binary = os.path.join(RESULTS, name)
    if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2", source,
                        "-o", binary, *libraries], check=True)
    return binary


def machine():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        model = next((line.split(":", 1)[1].strip() for line in f
                      if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "load_average": os.getloadavg()}
