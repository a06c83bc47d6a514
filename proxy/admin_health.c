/*
 * /healthz and /readyz. A worker answers for all, by what each tells on the board; during a
 * takeover the workers that still serve count until the new ones do.
 */
#include "proxy/admin.h"
#include "proxy/admin_pages.h"
#include "proxy/worker.h"

struct tally {
    uint32_t serving, full, cut_off, leaving;
};

static struct tally count_seats(const struct worker *w, uint32_t generation)
{
    struct tally t = { 0 };
    for (uint32_t i = 0; i < CREW_MAX; i++) {
        struct seat *s = board_seat(w->crew->board, generation, i);
        uint32_t slots = atomic_load_explicit(&s->slots, memory_order_relaxed);
        uint32_t state = seat_state(s);
        t.cut_off += state == SEAT_CUT_OFF;
        t.leaving += state == SEAT_LEAVING;
        if (state != SEAT_SERVING)
            continue;
        t.serving++;
        t.full += slots == SLOT_COUNT;
    }
    return t;
}

void admin_health(struct worker *w, struct http_exchange *x)
{
    (void)w;
    admin_say(x, 200, "ok");
}

/* Of the present generation; where none of it serves, of the one that takes over from it, or that
   it takes over from. */
static struct tally count_serving(const struct worker *w)
{
    uint32_t own = w->crew->generation;
    const uint32_t generations[] = { own, own + 1, own - 1 };
    for (size_t i = 0; i < ARRAY_LEN(generations); i++) {
        struct tally t = count_seats(w, generations[i]);
        if (t.serving > 0)
            return t;
    }
    return count_seats(w, own);
}

const char *admin_not_ready(struct worker *w)
{
    struct tally t = count_serving(w);
    if (atomic_load_explicit(&w->crew->board->departing, memory_order_relaxed) != 0)
        return t.serving > 0 ? "leaves soon" : "draining";
    if (t.full > 0)
        return "";
    if (t.serving > 0)
        return "slots without a master";
    if (t.cut_off > 0)
        return "no master answers";
    return t.leaving > 0 ? "draining" : "no slot map yet, or the cluster does not serve";
}

void admin_ready(struct worker *w, struct http_exchange *x)
{
    const char *why = admin_not_ready(w);
    if (why[0] == '\0')
        admin_say(x, 200, "ready");
    else
        admin_say(x, 503, "not ready: %s", why);
}
