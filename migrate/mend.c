#include "migrate/mend.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"
#include "resp/value.h"

enum { PAUSE_MS = 200, TOLD_EACH = 25 };

struct marker_reply {
    struct mend *mend;
    struct writer text;
};

static void begin(struct mend *m);

static void free_replies(struct mend *m)
{
    if (m->replies == NULL)
        return;
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        writer_close(&m->replies[i].text);
    free(m->replies);
    m->replies = NULL;
}

static void on_timer(uv_timer_t *timer)
{
    begin(timer->data);
}

static void try_again(struct mend *m, const char *what, const char *why)
{
    struct router *rt = &m->target->router;
    rt->on_doubt(rt->doubt_context);
    if (m->tries++ % TOLD_EACH == 0)
        log_warn("the target is not in order; trying again", "step=%s reason=%s action=%s", what,
                 log_text(why), log_text(advice_on(ADVICE_MENDING, why)));
    uv_timer_start(&m->timer, on_timer, PAUSE_MS, 0);
}

/* --- markers ------------------------------------------------------------------------------- */

/* "HISTORY:OFFSET"; 0 when it is none of ours. */
static uint64_t read_marker(const struct mend *m, const struct writer *reply)
{
    struct value_cursor c = { reply->at, reply->at + reply->len };
    struct value v;
    uint64_t offset;
    if (!value_next(&c, &v) || v.kind != VALUE_STRING || v.text.len < 10)
        return 0;
    if (memcmp(v.text.at, m->history, 8) != 0 || v.text.at[8] != ':')
        return 0;
    return text_to_u64(v.text.at + 9, v.text.len - 9, &offset) ? offset : 0;
}

static void on_timer_end(uv_timer_t *timer)
{
    struct mend *m = timer->data;
    free_replies(m);
    if (m->failed) {
        try_again(m, "markers", "some cannot be read");
        return;
    }
    m->running = false;
    m->done(m->context, m->skip);
}

static void on_marker(void *context, const struct target_call *call)
{
    struct marker_reply *r = context;
    struct mend *m = r->mend;
    m->failed |= call->error[0] != '\0';
    m->skip[r - m->replies] = read_marker(m, &r->text);
    if (--m->awaited == 0) /* nothing may be sent from here */
        uv_timer_start(&m->timer, on_timer_end, 0, 0);
}

static void ask_slot(struct mend *m, uint16_t slot)
{
    struct marker_reply *r = &m->replies[slot];
    char name[LANE_MARKER_MAX];
    struct writer w;
    lane_marker(m->target, m->marker, slot, name);
    writer_init(&w, 2);
    write_request(&w, (const char *[]){ "GET", name }, 2);
    target_peek(m->target, SPAN("get"), (struct span){ name, strlen(name) }, writer_span(&w),
                &r->text, on_marker, r); /* so many would be a debt of minutes */
    writer_close(&w);
}

static void on_fence(void *context, const char *why)
{
    struct mend *m = context;
    if (m->closing)
        return;
    if (why != NULL) {
        try_again(m, "fence", why);
        return;
    }
    m->failed = false;
    m->target->peer_count = 0;
    m->awaited = SLOT_COUNT;
    m->replies = calloc(SLOT_COUNT, sizeof(*m->replies));
    REQUIRE(m->replies != NULL);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        m->replies[slot].mend = m;
        writer_init(&m->replies[slot].text, 2);
        ask_slot(m, (uint16_t)slot);
    }
}

static void begin(struct mend *m)
{
    target_drop(m->target);
    fence_start(&m->fence, m->target, on_fence, m);
}

/* --- life ---------------------------------------------------------------------------------- */

void mend_open(struct mend *m, struct net *net, struct target *target, const char *marker,
               const char *history)
{
    *m = (struct mend){ .target = target, .marker = marker, .history = history };
    m->skip = calloc(SLOT_COUNT, sizeof(*m->skip));
    REQUIRE(m->skip != NULL);
    fence_open(&m->fence, net, target->options);
    uv_timer_init(net->loop, &m->timer);
    m->timer.data = m;
}

void mend_start(struct mend *m, mend_done *done, void *context)
{
    m->done = done;
    m->context = context;
    m->running = true;
    m->tries = 0;
    begin(m);
}

void mend_close(struct mend *m)
{
    if (m->closing)
        return;
    m->closing = true;
    fence_close(&m->fence);
    uv_close((uv_handle_t *)&m->timer, NULL);
}

void mend_free(struct mend *m)
{
    free_replies(m);
    free(m->skip);
}
