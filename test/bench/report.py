"""Turns measurements into tables and verdicts."""

import statistics
from collections import namedtuple

# Slotgate may cost at most `most` times what `peer` does, at this pipeline depth.
Goal = namedtuple("Goal", "depth peer most")
CPU_GOALS = (Goal(1, "haproxy", 0.65), Goal(16, "nutcracker", 0.40),
             Goal(64, "nutcracker", 0.25), Goal(64, "haproxy", 2.00))
SYSCALL_GOALS = {1: 4.0, 64: 0.1}  # system calls per request stay below this
IDLE_BYTES_GOAL = 1024


def summarize(runs):
    """Per request: median, least and most over the rounds; the split over all rounds."""
    costs = [run["cpu_ns"] / run["requests"] / 1000 for run in runs]
    user = sum(run["user_ticks"] for run in runs)
    ticks = user + sum(run["system_ticks"] for run in runs)
    median = statistics.median(costs)
    share = user / ticks if ticks else 0.0
    return {
        "cpu_us": median, "least": min(costs), "most": max(costs),
        "user_us": median * share, "system_us": median * (1 - share),
        "busy": sum(run["cpu_ns"] for run in runs) / 1e9 / sum(run["seconds"] for run in runs),
        "per_second": statistics.median(run["requests"] / run["seconds"] for run in runs),
        "p50_us": statistics.median(run["p50_us"] for run in runs),
        "p99_us": statistics.median(run["p99_us"] for run in runs),
    }


def cost_rows(costs):
    yield ("  CPU us/request of    median     min - max       user  system  busy"
           "   requests/s   p50 us   p99 us")
    for target, c in costs.items():
        name = "redis (direct)" if target == "direct" else target
        yield (f"  {name:<16} {c['cpu_us']:10.3f} {c['least']:7.3f} - {c['most']:<7.3f}"
               f"{c['user_us']:8.3f}{c['system_us']:8.3f} {c['busy']:4.0%}"
               f"{c['per_second']:13,.0f}{c['p50_us']:9,.0f}{c['p99_us']:9,.0f}")


def verdict(met):
    return "met" if met else "NOT MET"


def ratio_lines(workload, costs):
    """Yields (line, met); met is None where no goal applies."""
    if "slotgate" not in costs:
        return
    for peer in ("haproxy", "nutcracker", "floor"):
        if peer not in costs:
            continue
        ratio = costs["slotgate"]["cpu_us"] / costs[peer]["cpu_us"]
        line = f"  slotgate / {peer:<10} {ratio:6.2f}x"
        most = next((g.most for g in CPU_GOALS if workload.op in ("get", "set") and
                     (g.depth, g.peer) == (workload.depth, peer)), None)
        if most is None:
            yield line, None
        else:
            met = ratio <= most
            yield f"{line}   goal <= {most:.2f}x: {verdict(met)}", met


def syscall_lines(workload, target, counted):
    names = sorted(counted["by_name"].items(), key=lambda item: -item[1])
    detail = ", ".join(f"{name} {n:.3f}" for name, n in names if n >= 0.0005)
    line = (f"  {target:<11} depth {workload.depth:<3} {counted['total']:7.3f}"
            f"   ({counted['how']}: {detail})")
    if target != "slotgate":
        return line, None
    most = SYSCALL_GOALS[workload.depth]
    met = counted["total"] < most
    return f"{line}   goal < {most}: {verdict(met)}", met


def memory_line(target, m):
    line = (f"  {target:<11} {m['pss_per_connection']:7,.0f} bytes PSS"
            f" ({m['rss_per_connection']:,.0f} RSS), {m['connections']:,} clients")
    if target != "slotgate":
        return line, None
    met = m["pss_per_connection"] <= IDLE_BYTES_GOAL
    return f"{line}   goal <= {IDLE_BYTES_GOAL}: {verdict(met)}", met
