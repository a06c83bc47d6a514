/*
 * script_news.h: a script or library that a client brings to one worker becomes known to all, and
 * so does its end.
 */
#ifndef PROXY_SCRIPT_NEWS_H
#define PROXY_SCRIPT_NEWS_H

#include "proxy/dispatch.h"
#include "proxy/talk.h"

/* To be called with every command as scripts_see, which it calls. */
void script_news_see(struct worker *w, const struct command *cmd, const struct argv *argv);
/* Requests, one behind the other, that another worker has seen. */
void script_news_read(struct worker *w, struct span requests);
/* TALK_SCRIPTS. */
talk_handler script_news_on_letter;

#endif
