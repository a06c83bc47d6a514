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
    TALK_SURVEY = 1,       /* asked: a command of a client as a request; see survey.h */
    TALK_MONITOR_OFF = 2,  /* told: who says it has no monitor any more */
    TALK_MONITOR_LINE = 3, /* told: a line for the monitors, "+...\r\n" */
    TALK_CONFIG = 4,       /* told or asked: values of options, see config_sets.h */
    TALK_SCRIPTS = 5,      /* told: SCRIPT LOAD and the like as requests, see script_news.h */
    TALK_NEWS = 6,         /* asked: by a worker that starts, see news.h */
    TALK_SUBSCRIBED = 8,   /* asked: PUBSUB as a request */
    TALK_PUBLISHED = 9,   /* asked: where messages are published to, see publish.c; 7 was it, too */
    TALK_ADMIN_PART = 32, /* asked: the name of an admin_part; answered: its JSON values */
    TALK_TOPICS
};

/* By number; the handlers' context is the worker. */
extern const struct talk_topic talk_topics[TALK_TOPICS];

#endif
