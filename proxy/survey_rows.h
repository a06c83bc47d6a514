/*
 * survey_rows.h: the commands that concern all workers (survey.h), each defined beside its local
 * command; the table is in survey_rows.c.
 */
#ifndef PROXY_SURVEY_ROWS_H
#define PROXY_SURVEY_ROWS_H

#include "proxy/survey.h"

/* acl_log.c */
extern const struct survey_row survey_acl_log;

/* local_client_list.c */
extern const struct survey_row survey_client_list, survey_client_kill;

/* pause.c */
extern const struct survey_row survey_client_pause, survey_client_unpause;

/* local_unblock.c */
extern const struct survey_row survey_client_unblock;

/* local_fence.c */
extern const struct survey_row survey_proxy_fence;

/* monitor.c */
extern const struct survey_row survey_monitor;

/* slowlog.c */
extern const struct survey_row survey_slowlog_get, survey_slowlog_len, survey_slowlog_reset,
    survey_proxy_slowlog;

/* latency.c */
extern const struct survey_row survey_latency_latest, survey_latency_history, survey_latency_graph,
    survey_latency_doctor, survey_latency_reset;

/* local_config.c; the others are told in another way, see config_sets.h */
extern const struct survey_row survey_config_set;

/* The row of the command that a request names; NULL: none. */
const struct survey_row *survey_find_row(const struct argv *argv);

#endif
