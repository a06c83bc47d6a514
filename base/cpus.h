/* cpus.h: how many CPUs this process may use. */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

#include <stdint.h>

/* By its affinity and by the CPU time that its control group may use (cgroup v2 and v1), rounded
   up; at least 1. */
uint32_t cpu_count(void);

/* What a control group allows: "max 100000" or "150000 100000", quota and period in us. UINT32_MAX
   when there is no limit or the text says none. */
uint32_t cpu_count_of_quota(const char *text);

#endif
