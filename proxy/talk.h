/*
 * talk.h: workers of one proxy tell and ask each other: all processes of this generation and of
 * those that still drain, or take over.
 *
 *   talk_tell   one way, to all others
 *   talk_ask    to all others -> on_answer for each that answers -> on_done, once: when all have,
 *               or TALK_ANSWER_MS later. What answers counts: one that hangs or dies stalls nobody,
 *               and after it has let one wait, it is not waited for until it is heard again
 *
 * What is said has a topic (talk_topics.h), and each topic one handler. Letters to one worker keep
 * their order; they leave together at the end of the turn. A letter to a worker that is being
 * replaced reaches the one that replaces it. Nothing here blocks; see talk_wire.h for the bounds.
 *
 * Handlers, on_answer and on_done come from the loop, never from inside talk_tell or talk_ask.
 */
#ifndef PROXY_TALK_H
#define PROXY_TALK_H

#include <uv.h>

#include "base/list.h"
#include "proxy/crew.h"
#include "proxy/talk_wire.h"

enum { TALK_ANSWER_MS = 500 };

struct talk;
struct talk_ask;

struct talk_letter {
    struct talk_peer *from; /* lives as long as the talk */
    uint64_t ask;           /* 0: told, no answer is wanted */
    struct span body;       /* lent until the handler returns */
};

/* A handler that was asked answers by talk_answer, now or later; a late answer does no harm. */
typedef void talk_handler(void *context, const struct talk_letter *letter);

struct talk_topic {
    const char *name;
    talk_handler *heard;
};

/* Who asks. None of these may call talk_forget. */
struct talk_asker {
    /* Whether a worker with such a seat has to be asked; NULL: all. */
    bool (*concerns)(struct seat *seat);
    /* NULL: that it has answered is enough. */
    void (*on_answer)(void *context, const struct talk_letter *answer);
    /* missing: those that should have answered and have not. NULL: no matter. */
    void (*on_done)(void *context, uint32_t missing);
};

struct talk {
    uv_loop_t *loop;
    struct crew *crew;
    const struct talk_topic *topics;
    uint32_t topic_count;
    void *context; /* for the handlers */
    struct talk_self self;
    struct talk_peer **peers; /* each is at the same place until talk_free */
    uint32_t peer_count;
    struct list_node asks;     /* struct talk_ask, oldest first */
    struct list_node finished; /* of these, those whose on_done is due */
    uint32_t last_ask;
    uint64_t dropped; /* letters, since too much waited */
    char *room;       /* for the packet that is being read */
    uv_poll_t inbox;
    uv_timer_t timer; /* runs while an ask or a letter waits */
    bool pending;     /* letters wait for the end of the turn */
    bool open;
};

/* topics: by number, with gaps; the handlers get context. The crew is lent. */
void talk_open(struct talk *t, uv_loop_t *loop, struct crew *crew, uint32_t number,
               const struct talk_topic *topics, uint32_t topic_count, void *context);
/* What waits is sent as far as it can be; what was asked is forgotten without on_done. */
void talk_close(struct talk *t);
/* When the loop has run empty. */
void talk_free(struct talk *t);

/* At the beginning of a turn's end: calls on_done where that is due. */
void talk_finish_asks(struct talk *t);
/* At the end of it: sends what waits. */
void talk_send(struct talk *t);

/* Whether talk_ask would wait for anybody; asker NULL: as one without `concerns`. */
bool talk_has_company(const struct talk *t, const struct talk_asker *asker);

/* One that would be waited for; NULL: there is none. */
struct talk_peer *talk_anybody(const struct talk *t);

void talk_tell(struct talk *t, uint16_t topic, struct span body);
void talk_tell_one(struct talk *t, struct talk_peer *to, uint16_t topic, struct span body);
/* Gives a number for talk_forget. */
uint64_t talk_ask(struct talk *t, uint16_t topic, struct span body, const struct talk_asker *asker,
                  void *context);
/* Nothing comes of it any more. Does nothing when it is done already. */
void talk_forget(struct talk *t, uint64_t id);
/* To the letter's sender; `from` and `ask` are all that counts of the letter. */
void talk_answer(struct talk *t, const struct talk_letter *letter, struct span body);

/* The seat of a peer; whether somebody works there. */
struct seat *talk_seat(const struct talk *t, const struct talk_peer *p);
bool talk_is_there(const struct talk *t, const struct talk_peer *p);

#endif
