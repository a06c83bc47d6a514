/* supervisor_private.h: the supervisor's state, for supervisor.c and takeover.c. */
#ifndef PROXY_SUPERVISOR_PRIVATE_H
#define PROXY_SUPERVISOR_PRIVATE_H

#include "proxy/baton.h"
#include "proxy/notify.h"
#include "proxy/supervisor.h"

/* A worker of an earlier generation, or of one that failed: it drains. */
struct leaver {
    pid_t pid;
    uint64_t kill_by; /* ms */
};

/* A takeover under way: launcher -> next, which is whole once `received`. */
struct takeover {
    bool going;
    bool received;
    int wire;       /* -1: none */
    pid_t launcher; /* 0: it has ended */
    uint64_t fail_at;
    struct baton items; /* as they come over the wire */
    struct crew next;
};

struct supervisor {
    struct worker *worker; /* as it will be forked: config and words */
    struct board *board;
    int board_fd, signal_fd;
    int lifeline[2];
    int withheld[6]; /* from workers */
    struct crew crew;
    struct leaver *leavers;
    size_t leaver_count;
    struct takeover takeover;
    struct notify notify;
    uint64_t now;       /* ms of the monotonic clock */
    uint64_t depart_at; /* when shutdown-delay is over; 0: nobody has told us to end */
    uint64_t leave_by;
    bool leaving, failed;
};

void supervisor_add_leaver(struct supervisor *s, pid_t pid);

#endif
