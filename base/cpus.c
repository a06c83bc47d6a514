#include "base/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

static bool read_line(const char *path, char *line, int cap)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    bool ok = fgets(line, cap, f) != NULL;
    fclose(f);
    return ok;
}

uint32_t cpu_count_of_quota(const char *text)
{
    long long quota, period;
    if (sscanf(text, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0)
        return UINT32_MAX;
    long long cpus = quota / period + (quota % period != 0);
    return cpus < UINT32_MAX ? (uint32_t)cpus : UINT32_MAX;
}

/* Inside a container its own group is what it sees as the root of all groups. */
static uint32_t allowed_by_group(void)
{
    char quota[64], period[64], both[130];
    if (read_line("/sys/fs/cgroup/cpu.max", both, sizeof(both)))
        return cpu_count_of_quota(both);
    if (!read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof(quota)) ||
        !read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof(period)))
        return UINT32_MAX;
    snprintf(both, sizeof(both), "%s %s", quota, period);
    return cpu_count_of_quota(both);
}

uint32_t cpu_count(void)
{
    cpu_set_t set;
    uint32_t cpus = 1, allowed = allowed_by_group();
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        cpus = (uint32_t)CPU_COUNT(&set);
    return cpus < allowed ? cpus : allowed;
}
