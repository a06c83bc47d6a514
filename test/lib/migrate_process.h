/*
 * migrate_process.h: slotgate-migrate as a child process, from $SLOTGATE_MIGRATE_BIN.
 */
#ifndef TEST_LIB_MIGRATE_PROCESS_H
#define TEST_LIB_MIGRATE_PROCESS_H

#include "test/lib/process.h"

struct migrate {
    struct process process;
    int code;  /* exit code of migrate_run */
    char *out; /* what it printed; the caller's until migrate_free */
    char *err; /* its log */
};

/* Runs it with these words, the last one NULL, and waits for its end. Asserts that it ends in time
   and that its log holds no sanitizer's report. */
void migrate_run(struct migrate *m, const char *word, ...) __attribute__((sentinel));
/* The same without waiting; migrate_wait must follow. */
void migrate_start(struct migrate *m, const char *const *words);
void migrate_wait(struct migrate *m, int timeout_ms);
void migrate_free(struct migrate *m);
/* SIGTERM; asserts that it ends with this code. */
void migrate_stop(struct migrate *m, int code);

/* Runs it and asserts that all went well. */
#define migrate_expect_good(...)                                                                   \
    do {                                                                                           \
        struct migrate migrate_here;                                                               \
        migrate_run(&migrate_here, __VA_ARGS__, NULL);                                             \
        if (migrate_here.code != 0)                                                                \
            fail_msg("exit code %d: %.3000s%.1000s", migrate_here.code, migrate_here.err,          \
                     migrate_here.out);                                                            \
        migrate_free(&migrate_here);                                                               \
    } while (0)

/* How often its log has the text by now; for one that runs. */
int migrate_says(const struct migrate *m, const char *text);
/* Asserts that its log has the text so often within the time. */
void migrate_await(const struct migrate *m, const char *text, int times);
/* The same for a sync that follows the stream: behind a full copy, or where one before it was. */
void migrate_await_stream(struct migrate *m);

/* A new directory for --state-dir. The path lives until the next call. */
const char *migrate_state_dir(void);

/* The number that stands behind the name in what it printed; -1: there is none. */
long long migrate_count(const struct migrate *m, const char *name);
/* The same of one that runs, by the status command at its admin socket; -1: it does not answer. */
long long migrate_status(const char *socket, const char *name);
/* What the state file in that directory says behind a word; -1: there is none. */
long long migrate_state(const char *dir, const char *name);

#endif
