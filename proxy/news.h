/*
 * news.h: what a worker that starts later than others has to know: a pause, monitors, what CONFIG
 * SET has changed, scripts. It asks all others as soon as it runs; what comes is taken over as it
 * comes, and nobody waits for it.
 *
 * Options come from its own generation only, for a takeover reads the configuration anew.
 */
#ifndef PROXY_NEWS_H
#define PROXY_NEWS_H

#include "proxy/talk.h"

struct worker;

void news_ask(struct worker *w);
/* TALK_NEWS. */
talk_handler news_on_asked;

#endif
