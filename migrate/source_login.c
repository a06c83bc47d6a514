#include "migrate/source_login.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "migrate/advice.h"

/* The steps of the login, each a request with one line for an answer, but for that of INFO. */
enum {
    STEP_PING,
    STEP_AUTH,
    STEP_INFO,
    STEP_PORT,
    STEP_ADDRESS,
    STEP_CAPABILITIES,
    STEP_VERSION,
    STEP_PSYNC
};

/* Valkey 9 sends replicas that do not tell their version an RDB of version 11, and breaks off at a
   hash whose fields have times. Servers that do not know the word refuse it, and that is all. */
#define READS_LIKE_VALKEY "9.0.0"

static bool begins(const char *line, const char *start)
{
    return strncmp(line, start, strlen(start)) == 0;
}

static void send_auth(struct source *s)
{
    const struct source_options *o = s->options;
    if (o->user != NULL)
        source_send(s, (const char *[]){ "AUTH", o->user, o->password }, 3);
    else
        source_send(s, (const char *[]){ "AUTH", o->password }, 2);
}

static void send_psync(struct source *s)
{
    char offset[TEXT_NUMBER_MAX + 1] = "-1";
    if (s->resuming)
        offset[text_from_u64(offset, s->offset + 1)] = '\0';
    s->state = SOURCE_ASKED;
    source_send(s, (const char *[]){ s->options->psync, s->resuming ? s->id : "?", offset }, 3);
}

/* Sends the step, or passes over it. True: an answer is to come. */
static bool send_step(struct source *s)
{
    const struct source_options *o = s->options;
    char port[TEXT_NUMBER_MAX + 1];
    switch (s->step) {
    case STEP_PING:
        source_send(s, (const char *[]){ "PING" }, 1);
        return true;
    case STEP_AUTH:
        if (o->password != NULL)
            send_auth(s);
        return o->password != NULL;
    case STEP_INFO:
        s->telling = false;
        if (s->user->on_id == NULL || s->resuming)
            return false;
        source_send(s, (const char *[]){ "INFO", "server" }, 2);
        source_send(s, (const char *[]){ "PING" }, 1); /* its answer ends that text */
        return true;
    case STEP_PORT:
        port[text_from_i64(port, o->announce_port)] = '\0';
        source_send(s, (const char *[]){ "REPLCONF", "listening-port", port }, 3);
        return true;
    case STEP_ADDRESS:
        if (o->announce_ip != NULL)
            source_send(s, (const char *[]){ "REPLCONF", "ip-address", o->announce_ip }, 3);
        return o->announce_ip != NULL;
    case STEP_CAPABILITIES:
        source_send(s, (const char *[]){ "REPLCONF", "capa", "eof", "capa", "psync2" }, 5);
        return true;
    case STEP_VERSION:
        source_send(s, (const char *[]){ "REPLCONF", "version", READS_LIKE_VALKEY }, 3);
        return true;
    default:
        send_psync(s);
        return true;
    }
}

static void go_on(struct source *s)
{
    while (!send_step(s))
        s->step++;
}

void source_login(struct source *s)
{
    s->state = SOURCE_LOGIN;
    s->step = STEP_PING;
    s->acknowledges = true;
    go_on(s);
}

static void fail_with(struct source *s, const char *what, const char *line)
{
    char text[256];
    snprintf(text, sizeof(text), "%s: %.160s", what, line);
    source_fail(s, text);
}

static bool begins_with_one_of(const char *line, const char *const *starts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (begins(line, starts[i]))
            return true;
    return false;
}

/* A state that passes: the same question gets another answer later. */
static bool is_for_now(const char *line)
{
    static const char *const starts[] = { "-LOADING", "-BUSY ", "-MASTERDOWN", "-NOMASTERLINK" };
    return begins_with_one_of(line, starts, ARRAY_LEN(starts));
}

/* What PING is told where PSYNC may still be allowed. */
static bool is_of_no_interest(const char *line)
{
    static const char *const starts[] = { "-NOAUTH", "-NOPERM", "-ERR operation not permitted",
                                          "-MISCONF" };
    return begins_with_one_of(line, starts, ARRAY_LEN(starts));
}

static void rest_refused(struct source *s, const char *line)
{
    if (!s->refused)
        log_warn("the source refuses us for now; trying again", "answer=%s action=%s",
                 log_text(line), log_text(advice_on(ADVICE_AGAIN_LATER, NULL)));
    s->refused = true;
    source_rest(s);
}

static bool is_refused(struct source *s, const char *id)
{
    struct span text = { id, strlen(id) };
    return s->user->on_id != NULL && !s->user->on_id(s->context, text);
}

/* "$LENGTH", then a text of lines; or an error, for not everybody may ask. Then PING's answer. */
static void on_info(struct source *s, const char *line)
{
    bool first = !s->telling;
    s->telling = true;
    if (begins(line, "run_id:") && is_refused(s, line + strlen("run_id:")))
        return;
    if (!first && (line[0] == '+' || line[0] == '-')) {
        s->step++;
        go_on(s);
    }
}

static void on_step(struct source *s, const char *line)
{
    bool error = line[0] == '-', refused = s->step == STEP_PING && error;
    if (s->step == STEP_INFO) {
        on_info(s, line);
        return;
    }
    /* One that had let us in has too many clients now, or the like. */
    if (refused && (is_for_now(line) || (s->resuming && !is_of_no_interest(line)))) {
        rest_refused(s, line);
        return;
    }
    if (refused && !is_of_no_interest(line)) {
        fail_with(s, "the source refuses us", line);
        return;
    }
    if (s->step == STEP_AUTH && error) {
        fail_with(s, "the source does not accept the password or user", line);
        return;
    }
    if (s->step == STEP_PORT && error)
        s->acknowledges = false; /* older than 2.8 */
    s->step++;
    go_on(s);
}

/* "FULLRESYNC ID OFFSET", and with some vendors more words. */
static void on_full(struct source *s, const char *line)
{
    char id[SOURCE_ID_LEN + 1];
    unsigned long long offset;
    if (s->resuming && !s->options->again) {
        source_fail(s, "the source's backlog does not reach back to where the stream broke off");
        return;
    }
    if (sscanf(line, "+FULLRESYNC %40s %llu", id, &offset) != 2 || strlen(id) != SOURCE_ID_LEN) {
        fail_with(s, "the source's answer to PSYNC cannot be understood", line);
        return;
    }
    if (is_refused(s, id))
        return;
    memcpy(s->id, id, sizeof(id));
    s->refused = false;
    s->offset = offset;
    s->acknowledged = 0; /* the target has nothing yet, though the copy has it all */
    s->resuming = false;
    s->payload_bytes = s->payload_left = 0;
    s->state = SOURCE_PAYLOAD_HEAD;
    if (s->begun && s->options->again)
        s->user->on_again(s->context);
    s->begun = true;
    log_info("full copy begins", "id=%s offset=%llu", s->id, offset);
}

static void on_continue(struct source *s, const char *line)
{
    const char *id = line + strlen("+CONTINUE");
    while (*id == ' ')
        id++;
    if (!s->resuming) {
        fail_with(s, "the source's answer to PSYNC cannot be understood", line);
        return;
    }
    if (strlen(id) == SOURCE_ID_LEN)
        memcpy(s->id, id, SOURCE_ID_LEN + 1);
    s->state = SOURCE_STREAM;
    s->refused = false;
    log_info("the stream goes on", "id=%s offset=%llu", s->id, (unsigned long long)s->offset);
    if (s->user->on_continued != NULL)
        s->user->on_continued(s->context);
}

static void on_payload_head(struct source *s, const char *line);

/* Without offsets: what is lost then cannot go on. */
static void sync_old_way(struct source *s)
{
    s->old_sync = true;
    s->state = SOURCE_PAYLOAD_HEAD;
}

static void on_psync_answer(struct source *s, const char *line)
{
    if (begins(line, "+FULLRESYNC")) {
        on_full(s, line);
    } else if (begins(line, "+CONTINUE")) {
        on_continue(s, line);
    } else if (is_for_now(line)) {
        rest_refused(s, line);
    } else if (begins(line, "-NOPERM") || begins(line, "-NOAUTH") || s->resuming) {
        fail_with(s, "the source does not let us replicate", line);
    } else if (line[0] == '-' && !s->old_sync) {
        log_warn("the source knows no PSYNC; trying SYNC", "answer=%s action=%s", log_text(line),
                 log_text(advice_on(ADVICE_OLD_WAY, NULL)));
        sync_old_way(s);
        source_send(s, (const char *[]){ "SYNC" }, 1);
    } else if (line[0] == '$') { /* a server takes a PSYNC under another name for SYNC */
        sync_old_way(s);
        on_payload_head(s, line);
    } else {
        fail_with(s, "the source's answer to PSYNC cannot be understood", line);
    }
}

/* "$LENGTH" or "$EOF:MARK". */
static void on_payload_head(struct source *s, const char *line)
{
    uint64_t len;
    if (begins(line, "$EOF:") && strlen(line) == 5 + EOF_MARK_LEN) {
        memcpy(s->eof.mark, line + 5, EOF_MARK_LEN);
        s->eof.held_len = 0;
        s->marked = true;
    } else if (line[0] == '$' && text_to_u64(line + 1, strlen(line) - 1, &len) && len > 0) {
        s->payload_left = len;
        s->marked = false;
    } else {
        fail_with(s, "the source does not send its data", line);
        return;
    }
    s->state = SOURCE_PAYLOAD;
}

void source_on_line(struct source *s, const char *line)
{
    if (s->state == SOURCE_LOGIN)
        on_step(s, line);
    else if (s->state == SOURCE_ASKED)
        on_psync_answer(s, line);
    else
        on_payload_head(s, line);
}
