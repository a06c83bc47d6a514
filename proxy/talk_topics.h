/*
 * talk_topics.h: what the workers of a proxy tell and ask each other; the table is in
 * talk_topics.c.
 *
 * During a takeover workers of two versions talk. So a number always means the same, is never used
 * again, and stays with the form of its letters: another form is another number.
 */
#ifndef PROXY_TALK_TOPICS_H
#define PROXY_TALK_TOPICS_H

#include "proxy/talk.h"

enum talk_topic_number {
    TALK_SURVEY = 1,      /* asked: a command of a client as a request; see survey.h */
    TALK_ADMIN_PART = 32, /* asked: the name of an admin_part; answered: its JSON values */
    TALK_TOPICS
};

/* By number; the handlers' context is the worker. */
extern const struct talk_topic talk_topics[TALK_TOPICS];

#endif
