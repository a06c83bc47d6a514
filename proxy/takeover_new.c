/* The new program's side of a takeover, first as the launcher and then as the supervisor. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/supervisor_private.h"
#include "proxy/takeover.h"
#include "proxy/takeover_crew.h"

/* --- the launcher ----------------------------------------------------------------------------- */

struct launch {
    struct board *board;
    int board_fd, lifeline, wire;
    struct crew old, next;
    int withheld[3];
};

static int fd_of(const struct baton *b, enum baton_kind kind, uint32_t index)
{
    const struct baton_item *item = baton_find(b, kind, 0, 0, index);
    return item != NULL ? item->fd : -1;
}

static bool send_member(const struct launch *l, const struct baton *items, uint32_t number)
{
    for (size_t i = 0; i < items->count; i++) {
        const struct baton_item *item = &items->items[i];
        bool of_member = item->kind != BATON_CREW && item->kind != BATON_ELDER;
        if (item->number == number && of_member && !baton_send(l->wire, item))
            return false;
    }
    return true;
}

static bool send_all(const struct launch *l)
{
    struct baton items = { 0 };
    bool ok = true;
    takeover_add_crew(&items, &l->next);
    ok = baton_send(l->wire, &items.items[0]); /* the head */
    for (uint32_t i = 0; i < l->next.count; i++)
        ok = ok && send_member(l, &items, i);
    baton_free(&items);
    return ok && baton_send(l->wire, &(struct baton_item){ .kind = BATON_END, .fd = -1 });
}

/* Signals stay blocked in the new workers until they can take them. */
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2 };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool start_all(struct launch *l, struct worker *w)
{
    l->withheld[0] = l->wire;
    l->withheld[1] = l->board_fd;
    l->withheld[2] = -1;
    l->next.withheld = l->withheld;
    block_signals();
    for (uint32_t i = 0; i < l->next.count; i++)
        if (!crew_start(&l->next, i, w, 0))
            return false;
    return true;
}

int takeover_launch(struct worker *w, const struct baton *baton)
{
    const struct baton_item *role =
        baton_find(baton, BATON_ROLE, baton->items[0].generation, BATON_LAUNCH, 0);
    struct launch l = { .board_fd = fd_of(baton, BATON_BOARD, 0),
                        .lifeline = fd_of(baton, BATON_LIFELINE, 0),
                        .wire = fd_of(baton, BATON_WIRE, 0) };
    REQUIRE(role != NULL);
    bool ok = takeover_read_crew(&l.old, baton, role->generation);
    l.board = board_map(l.board_fd);
    ok = ok && l.board != NULL &&
         crew_open(&l.next, &w->config, l.board, l.lifeline, role->generation + 1, &l.old);
    l.next.supervisor = getppid();
    if (ok) {
        w->launch = atomic_load(&l.board->launches);
        crew_inherit_elders(&l.next, &l.old);
    }
    /* What the old workers alone have, the new ones must not keep open. */
    crew_close(&l.old);
    ok = ok && start_all(&l, w);
    if (!ok)
        crew_signal(&l.next, SIGUSR2);
    ok = ok && send_all(&l);
    crew_close(&l.next);
    board_unmap(l.board);
    log_flush();
    return ok ? 0 : 1;
}

/* --- the new supervisor ----------------------------------------------------------------------- */

static void dismiss_old(struct supervisor *s, const struct baton *baton)
{
    for (size_t i = 0; i < baton->count; i++) {
        const struct baton_item *item = &baton->items[i];
        if (item->kind != BATON_LEAVER)
            continue;
        if (item->number != 0)
            kill(item->pid, (int)item->number);
        supervisor_add_leaver(s, item->pid);
    }
}

bool takeover_adopt(struct supervisor *s, const struct baton *baton)
{
    uint32_t generation = baton->items[0].generation;
    s->board_fd = fd_of(baton, BATON_BOARD, 0);
    s->lifeline[0] = fd_of(baton, BATON_LIFELINE, 0);
    s->lifeline[1] = fd_of(baton, BATON_LIFELINE, 1);
    s->board = board_map(s->board_fd);
    bool whole = takeover_read_crew(&s->crew, baton, generation);
    s->crew.board = s->board;
    s->crew.lifeline = s->lifeline[0];
    for (uint32_t i = 0; i < s->crew.count; i++)
        s->crew.members[i].started_at = s->crew.members[i].beat_at = s->now;
    dismiss_old(s, baton);
    if (!whole || s->board == NULL) {
        log_error("cannot take over", "generation=%u reason=incomplete_baton", generation);
        crew_signal(&s->crew, SIGTERM);
        return false;
    }
    log_info("taken over", "generation=%u workers=%u version=%s", generation, s->crew.count,
             SLOTGATE_VERSION);
    return true;
}
