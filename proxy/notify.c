#include "proxy/notify.h"

#include <stdio.h>
#include <time.h>

#include "proxy/crew.h"

#ifdef SLOTGATE_WITH_SYSTEMD
#include <systemd/sd-daemon.h>
#else
static int sd_notify(int unset, const char *state)
{
    (void)unset;
    (void)state;
    return 0;
}

static int sd_watchdog_enabled(int unset, uint64_t *usec)
{
    (void)unset;
    (void)usec;
    return 0;
}
#endif

void notify_open(struct notify *n)
{
    uint64_t usec = 0;
    *n = (struct notify){ .serving = UINT32_MAX };
    if (sd_watchdog_enabled(0, &usec) > 0)
        n->watchdog_pause = usec / 2000; /* half of it, in ms */
}

static uint64_t all_beats(const struct crew *crew)
{
    uint64_t beats = 0;
    for (uint32_t i = 0; i < crew->count; i++)
        beats += atomic_load(&crew_seat(crew, i)->beat);
    return beats;
}

/* Workers that hang are replaced; when none beats at all, something is wrong that only a new start
   can mend. */
static void feed_watchdog(struct notify *n, const struct crew *crew, uint64_t now)
{
    if (n->watchdog_pause == 0 || now < n->watchdog_at)
        return;
    uint64_t beats = all_beats(crew);
    n->watchdog_at = now + n->watchdog_pause;
    if (beats == n->beats)
        return;
    n->beats = beats;
    sd_notify(0, "WATCHDOG=1");
}

void notify_tick(struct notify *n, const struct crew *crew, uint64_t now)
{
    char status[80];
    feed_watchdog(n, crew, now);
    uint32_t serving = crew_in_state(crew, SEAT_SERVING);
    if (serving == n->serving)
        return;
    n->serving = serving;
    snprintf(status, sizeof(status), "STATUS=%u of %u workers serve", serving, crew->count);
    sd_notify(0, status);
    if (n->ready || serving < crew->count)
        return;
    n->ready = true;
    sd_notify(0, "READY=1");
}

/* The time tells systemd which of its reloads this answers. */
void notify_reloading(struct notify *n)
{
    struct timespec t;
    char state[80];
    (void)n;
    clock_gettime(CLOCK_MONOTONIC, &t);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)t.tv_sec * 1000000 + (long long)t.tv_nsec / 1000);
    sd_notify(0, state);
}

void notify_reloaded(struct notify *n)
{
    if (n->ready)
        sd_notify(0, "READY=1");
}

void notify_stopping(struct notify *n)
{
    (void)n;
    sd_notify(0, "STOPPING=1");
}
