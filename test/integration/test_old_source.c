/*
 * slotgate-migrate sync from sources that no server here is: the commands that old servers put into
 * their stream, vendors' words, and connections that break off where it hurts.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "test/lib/every_type.h"
#include "test/lib/fake_source.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/rdb_writer.h"
#include "test/lib/testenv.h"

static struct oracle target;
static redisContext *to;
static char target_at[32];

static int start(void **state)
{
    (void)state;
    oracle_start(&target);
    to = redis_open(target.port);
    snprintf(target_at, sizeof(target_at), "127.0.0.1:%d", target.port);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(to);
    oracle_stop(&target);
    return 0;
}

/* One source, one run of the program against it. */
struct run {
    struct fake_source_script script;
    struct fake_source *source;
    struct migrate m;
    struct writer payload, streams[2];
    uint16_t port;
    uint64_t wanted; /* offset */
};

/* Appends commands, each a line of words, as requests. */
static void add_commands(struct writer *w, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len;
        char *request = request_of_words(lines[i], &len);
        write_raw(w, (struct span){ request, len });
        free(request);
    }
}

static void terminate(struct writer *w)
{
    write_raw(w, (struct span){ "", 1 });
    w->len--;
}

static void run_open(struct run *r)
{
    *r = (struct run){ .port = port_take() };
    redis_do(to, "FLUSHALL");
    rdb_begin(&r->payload, 6, false);
    rdb_byte(&r->payload, 254);
    rdb_length(&r->payload, 0);
    rdb_byte(&r->payload, 0);
    rdb_text_of(&r->payload, "from-the-copy");
    rdb_text_of(&r->payload, "yes");
    rdb_end(&r->payload, 6, true);
}

/* With these commands in its stream. */
static void run_open_with(struct run *r, const char *const *commands, size_t count)
{
    run_open(r);
    add_commands(&r->streams[0], commands, count);
}

static void prepare(struct run *r)
{
    terminate(&r->streams[0]);
    terminate(&r->streams[1]);
    r->script.payload = r->payload.at;
    r->script.payload_len = r->payload.len;
    r->script.streams[0] = r->streams[0].at;
    r->script.streams[1] = r->streams[1].at;
    r->script.stream_len[0] = r->streams[0].len;
    r->script.stream_len[1] = r->streams[1].len;
    r->wanted = FAKE_SOURCE_OFFSET + r->streams[0].len + r->streams[1].len;
    r->source = fake_source_start(r->port, &r->script);
}

static void run_start(struct run *r)
{
    char at[32];
    prepare(r);
    snprintf(at, sizeof(at), "127.0.0.1:%d", r->port);
    migrate_start(&r->m, (const char *const[]){ "sync", at, target_at, "--spool-dir", testenv_dir(),
                                                "--ttl-exact", NULL });
}

static bool acknowledged_all(void *arg)
{
    struct run *r = arg;
    return fake_source_acknowledged(r->source) == r->wanted;
}

static void run_close(struct run *r)
{
    migrate_free(&r->m);
    fake_source_stop(r->source);
    writer_close(&r->payload);
    writer_close(&r->streams[0]);
    writer_close(&r->streams[1]);
    port_give_back(r->port);
}

/* It applies all of its stream, and ends with this code when it is told to. */
static void run_through(struct run *r, int code)
{
    run_start(r);
    assert_true(wait_until(acknowledged_all, r, scaled_ms(20000)));
    process_signal(&r->m.process, SIGTERM);
    migrate_wait(&r->m, 20000);
    if (r->m.code != code)
        fail_msg("exit code %d: %s%s", r->m.code, r->m.err, r->m.out);
}

static void run_well(struct run *r)
{
    run_through(r, 0);
    run_close(r);
}

static void expect_text(const char *question, const char *answer)
{
    redisReply *reply = redis_ask(to, question);
    if (reply->str == NULL || strcmp(reply->str, answer) != 0)
        fail_msg("%s: %s", question, reply->str != NULL ? reply->str : "nothing");
    freeReplyObject(reply);
}

static void expect_number(const char *question, long long least, long long most)
{
    redisReply *reply = redis_ask(to, question);
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < least || reply->integer > most)
        fail_msg("%s: %lld", question, reply->integer);
    freeReplyObject(reply);
}

/* Times that count from now on, conditions that held at the source, commands without effect. */
static void test_commands_of_old_servers(void **state)
{
    static const char *const commands[] = {
        "SELECT 0",
        "SET setex-old x",
        "SETEX setex 1000 v",
        "PSETEX psetex 2000000 v",
        "SET set-ex v EX 3000",
        "SET set-px v NX PX 4000000",
        "SET plain v",
        "EXPIRE plain 5000 NX",
        "SET plain2 v",
        "PEXPIRE plain2 6000000",
        "SETNX nx v",
        "MSETNX mx1 a mx2 b",
        "EXPIREAT nx 4102444800",
        "SET getex v",
        "GETEX getex EX 7000",
        "SETEX getex2 1000 v",
        "GETEX getex2 PERSIST",
        "GETEX getex2",
        "PING",
        "OPINFO whatever",
        "REPLCONF GETACK *",
        "PUBLISH __sentinel__:hello text",
        "MULTI",
        "INCR counter",
        "INCR counter",
        "EXEC",
        "EVAL return(redis.call('incrby',KEYS[1],5)) 1 counter",
        "SELECT 0",
        "INCR counter",
    };
    struct run r;
    (void)state;
    run_open_with(&r, commands, ARRAY_LEN(commands));
    r.script.loading = true;
    run_well(&r);
    expect_text("GET from-the-copy", "yes");
    expect_number("TTL setex", 900, 1000);
    expect_number("TTL psetex", 1900, 2000);
    expect_number("TTL set-ex", 2900, 3000);
    expect_number("TTL set-px", 3900, 4000);
    expect_number("TTL plain", 4900, 5000);
    expect_number("TTL plain2", 5900, 6000);
    expect_number("TTL getex", 6900, 7000);
    expect_number("TTL getex2", -1, -1);
    expect_number("EXPIRETIME nx", 4102444800, 4102444800);
    expect_text("GET mx2", "b");
    expect_text("GET counter", "8");
}

/* A diskless source says nothing of its stream before it is acknowledged, again and again. */
static void test_mark_and_ack(void **state)
{
    static const char *const commands[] = { "INCR counter" };
    struct run r;
    (void)state;
    run_open_with(&r, commands, ARRAY_LEN(commands));
    r.script.marked = true;
    run_well(&r);
    expect_text("GET from-the-copy", "yes");
    expect_text("GET counter", "1");
}

/* Broken off inside a command; the rest comes under a new id, as after the source's failover. */
static void test_goes_on_inside_a_command(void **state)
{
    static const char *const commands[] = { "INCR counter", "RPUSH list one two three",
                                            "INCR counter" };
    struct writer all;
    char asked[128], wanted[128];
    (void)state;
    writer_init(&all, 2);
    add_commands(&all, commands, ARRAY_LEN(commands));
    for (size_t at = 10; at < all.len; at += 23) {
        struct run r;
        run_open(&r);
        write_raw(&r.streams[0], (struct span){ all.at, at });
        write_raw(&r.streams[1], (struct span){ all.at + at, all.len - at });
        r.script.cut = true;
        r.script.continued = "+CONTINUE eeeeeeeeeeffffffffff00000000001111111111\r\n";
        run_through(&r, 0);
        fake_source_asked(r.source, asked);
        snprintf(wanted, sizeof(wanted), "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd %zu",
                 FAKE_SOURCE_OFFSET + at + 1);
        assert_string_equal(asked, wanted);
        run_close(&r);
        expect_text("GET counter", "2");
        expect_number("LLEN list", 3, 3);
    }
    writer_close(&all);
}

/* A backlog that does not reach back: said, not papered over; what has come is applied. */
static void test_backlog_gone(void **state)
{
    static const char *const commands[] = { "INCR counter" };
    struct run r;
    (void)state;
    run_open_with(&r, commands, ARRAY_LEN(commands));
    r.script.cut = true;
    r.script.continued = "+FULLRESYNC ffffffffffffffffffffffffffffffffffffffff 77\r\n$1\r\n";
    run_start(&r);
    migrate_wait(&r.m, 20000);
    assert_int_equal(r.m.code, 1);
    assert_non_null(strstr(r.m.err, "the source's backlog does not reach back"));
    expect_text("GET counter", "1");
    run_close(&r);
}

/* What cannot be applied is told by name and counted, and stops nothing. */
static void test_failures_are_told(void **state)
{
    static const char *const commands[] = {
        "NOSUCHCOMMAND key x",
        "SADD from-the-copy x",
        "INCR counter",
        "EVAL return(1) 0",
        "MULTI",
        "SADD from-the-copy x",
        "INCR {from-the-copy}counter",
        "EXEC",
        "INCR counter",
    };
    struct run r;
    (void)state;
    run_open_with(&r, commands, ARRAY_LEN(commands));
    run_through(&r, 1);
    assert_int_equal(migrate_count(&r.m, "commands failed"), 4);
    assert_non_null(strstr(r.m.err, "command=NOSUCHCOMMAND key=key"));
    assert_non_null(strstr(r.m.err, "command=sadd key=from-the-copy reason=\"WRONGTYPE"));
    assert_non_null(strstr(r.m.err, "command=exec key=from-the-copy reason=\"WRONGTYPE"));
    expect_text("GET counter", "2");
    expect_text("GET {from-the-copy}counter", "1");
    run_close(&r);
}

/* DUMP of a key that the target has just for that. */
static redisReply *payload_of(const char *command)
{
    redis_do(to, command);
    redisReply *dump = redis_ask(to, "DUMP payload");
    assert_int_equal(dump->type, REDIS_REPLY_STRING);
    redis_do(to, "DEL payload");
    return dump;
}

static void add_words(struct writer *w, const char *const *words, size_t count)
{
    write_array(w, count);
    for (size_t i = 0; i < count; i++)
        write_bulk_text(w, words[i]);
}

#define ADD(w, ...)                                                                                \
    add_words(w, (const char *const[]){ __VA_ARGS__ },                                             \
              sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* ZADD in pieces: the score as eight bytes. */
static void add_zset_piece(struct writer *w, const char *member, double score)
{
    write_array(w, 7);
    static const char *const head[] = { "SLOTSRESTORE-ASYNC", "zset", "zset", "0", "100" };
    for (size_t i = 0; i < ARRAY_LEN(head); i++)
        write_bulk_text(w, head[i]);
    write_bulk_text(w, member);
    write_bulk(w, (struct span){ (const char *)&score, sizeof(score) });
}

/* What Codis's servers write into their streams while a slot moves to them. */
static void test_codis(void **state)
{
    struct run r;
    (void)state;
    run_open(&r);
    redisReply *text = payload_of("SET payload one");
    redisReply *list = payload_of("RPUSH payload a b");
    struct writer *w = &r.streams[0];
    write_array(w, 7);
    write_bulk_text(w, "SLOTSRESTORE");
    write_bulk_text(w, "restored");
    write_bulk_text(w, "0");
    write_bulk(w, (struct span){ text->str, text->len });
    write_bulk_text(w, "restored-list");
    write_bulk_text(w, "100000");
    write_bulk(w, (struct span){ list->str, list->len });
    write_array(w, 5);
    write_bulk_text(w, "slotsrestore-async");
    write_bulk_text(w, "object");
    write_bulk_text(w, "object");
    write_bulk_text(w, "200000");
    write_bulk(w, (struct span){ list->str, list->len });
    ADD(w, "SLOTSRESTORE-ASYNC", "string", "string", "0", "two");
    ADD(w, "SLOTSRESTORE-ASYNC", "string", "timed", "300000", "three");
    ADD(w, "SLOTSRESTORE-ASYNC", "list", "list", "90000", "1000", "x", "y");
    ADD(w, "SLOTSRESTORE-ASYNC", "list", "list", "0", "0", "z");
    ADD(w, "SLOTSRESTORE-ASYNC", "hash", "hash", "400000", "2", "f", "v", "g", "w");
    ADD(w, "SLOTSRESTORE-ASYNC", "dict", "dict", "0", "2", "m", "n");
    add_zset_piece(w, "a", 1.5);
    add_zset_piece(w, "b", -1e300);
    ADD(w, "SLOTSRESTORE-ASYNC", "expire", "zset", "500000");
    ADD(w, "SET", "gone", "x");
    ADD(w, "SLOTSRESTORE-ASYNC", "delete", "gone");
    run_well(&r);
    expect_text("GET restored", "one");
    expect_number("TTL restored", -1, -1);
    expect_number("LLEN restored-list", 2, 2);
    expect_number("TTL restored-list", 50, 100);
    expect_number("TTL object", 150, 200);
    expect_text("GET string", "two");
    expect_number("TTL string", -1, -1);
    expect_number("TTL timed", 250, 300);
    expect_number("LLEN list", 3, 3);
    expect_number("TTL list", -1, -1);
    expect_text("HGET hash g", "w");
    expect_number("TTL hash", 350, 400);
    expect_number("SCARD dict", 2, 2);
    expect_text("ZSCORE zset a", "1.5");
    expect_text("ZSCORE zset b", "-1.0000000000000001e+300");
    expect_number("TTL zset", 450, 500);
    expect_number("EXISTS gone", 0, 0);
    freeReplyObject(text);
    freeReplyObject(list);
}

static void add_restore(struct writer *w, const char *name, const char *key, const char *ttl,
                        const redisReply *dump, const char *option)
{
    write_array(w, option != NULL ? 5 : 4);
    write_bulk_text(w, name);
    write_bulk_text(w, key);
    write_bulk_text(w, ttl);
    write_bulk(w, (struct span){ dump->str, dump->len });
    if (option != NULL)
        write_bulk_text(w, option);
}

/* Times that count from now, from 1970 and for ever; over keys that the target has already; and as
   the source's cluster says it when a slot comes in. */
static void test_restores(void **state)
{
    struct run r;
    (void)state;
    run_open(&r);
    redisReply *text = payload_of("SET payload one");
    add_restore(&r.streams[0], "RESTORE", "from-the-copy", "0", text, "REPLACE");
    add_restore(&r.streams[0], "RESTORE", "timed", "1000000", text, NULL);
    add_restore(&r.streams[0], "RESTORE", "until", "4102444800000", text, "ABSTTL");
    for (int i = 0; i < 2; i++) /* as when it is sent again */
        add_restore(&r.streams[0], "RESTORE-ASKING", "asked", "2000000", text, NULL);
    add_restore(&r.streams[0], "restore-asking", "timed", "3000000", text, "REPLACE");
    run_well(&r);
    expect_text("GET from-the-copy", "one");
    expect_number("TTL from-the-copy", -1, -1);
    expect_number("TTL timed", 2900, 3000);
    expect_number("PEXPIRETIME until", 4102444800000, 4102444800000);
    expect_text("GET asked", "one");
    expect_number("TTL asked", 1900, 2000);
    freeReplyObject(text);
}

/* Commands that change nothing, about keys of several slots and about none. */
static void test_without_effect(void **state)
{
    static const char *const commands[] = {
        "EXISTS a b",           "TOUCH a b", "PFCOUNT a b", "SPUBLISH channel text",
        "PUBLISH channel text", "OPINFO x",  "PING",        "INCR counter",
    };
    struct run r;
    (void)state;
    run_open_with(&r, commands, ARRAY_LEN(commands));
    run_through(&r, 0);
    assert_int_equal(migrate_count(&r.m, "commands of the stream"), ARRAY_LEN(commands));
    assert_int_equal(migrate_count(&r.m, "commands without effect"), ARRAY_LEN(commands) - 1);
    assert_int_equal(migrate_count(&r.m, "commands sent"), 1);
    run_close(&r);
    expect_text("GET counter", "1");
}

/* All keys of two databases change places: it stops there, and says why. */
static void test_swapdb(void **state)
{
    static const char *const commands[] = { "SWAPDB 0 1", "SET behind x" };
    struct run r;
    (void)state;
    run_open_with(&r, commands, ARRAY_LEN(commands));
    run_start(&r);
    migrate_wait(&r.m, 20000);
    assert_int_equal(r.m.code, 1);
    assert_non_null(strstr(r.m.err, "command=SWAPDB"));
    assert_non_null(strstr(r.m.err, "the source has executed FLUSHALL, FLUSHDB or SWAPDB"));
    run_close(&r);
    expect_number("EXISTS behind", 0, 0);
    expect_text("GET from-the-copy", "yes");
}

/* A snapshot that was damaged on its way: it ends there, and the stream is not applied. */
static void test_damaged_copy(void **state)
{
    static const char *const commands[] = { "INCR counter" };
    struct run r;
    (void)state;
    run_open_with(&r, commands, ARRAY_LEN(commands));
    r.payload.at[r.payload.len - 12] ^= 1; /* in the value */
    run_start(&r);
    migrate_wait(&r.m, 20000);
    assert_int_equal(r.m.code, 1);
    assert_non_null(strstr(r.m.err, "the checksum is wrong"));
    run_close(&r);
    expect_number("EXISTS counter", 0, 0);
}

/* What no stream should hold is told by name; nothing waits for ever. */
static void test_out_of_place(void **state)
{
    static const char *const commands[] = { "BLPOP nothing 0",
                                            "SLOTSDEL 1 2",
                                            "SLOTSRESTORE a 0",
                                            "SLOTSRESTORE-ASYNC other key 0",
                                            "SLOTSRESTORE-ASYNC list key 0 x y",
                                            "MIGRATE h 1 k 0 1",
                                            "INCR counter" };
    struct run r;
    (void)state;
    run_open_with(&r, commands, ARRAY_LEN(commands));
    run_through(&r, 1);
    assert_int_equal(migrate_count(&r.m, "commands failed"), 5);
    assert_non_null(strstr(r.m.err, "command=BLPOP key=nothing"));
    assert_non_null(strstr(r.m.err, "command=SLOTSDEL"));
    expect_text("GET counter", "1");
    run_close(&r);
}

/* Scripts that the snapshot of an old source brings along. */
static void test_scripts(void **state)
{
    static const char *const commands[] = { "INCR counter" };
    struct run r;
    (void)state;
    run_open(&r);
    redis_do(to, "SCRIPT FLUSH");
    writer_clear(&r.payload, 2);
    rdb_begin(&r.payload, 9, false);
    rdb_byte(&r.payload, 250);
    rdb_text_of(&r.payload, "lua");
    rdb_text_of(&r.payload, "return 2");
    rdb_end(&r.payload, 9, true);
    add_commands(&r.streams[0], commands, 1);
    run_well(&r);
    redisReply *reply = redis_ask(to, "EVALSHA 7f923f79fe76194c868d7e1d0820de36700eb649 0");
    assert_int_equal(reply->integer, 2);
    freeReplyObject(reply);
}

/* What a script says for an error may look as if the target were busy. It has been executed, so it
   is told once, and nothing is tried again. */
static void test_error_of_a_script(void **state)
{
    struct run r;
    (void)state;
    run_open(&r);
    ADD(&r.streams[0], "INCR", "counter");
    ADD(&r.streams[0], "EVAL", "return redis.error_reply('BUSY for ever')", "1", "busy");
    ADD(&r.streams[0], "INCR", "counter");
    run_through(&r, 1);
    assert_int_equal(migrate_count(&r.m, "commands failed"), 1);
    assert_int_equal(migrate_count(&r.m, "times sent again"), 1); /* the one at the beginning */
    assert_non_null(strstr(r.m.err, "command=eval key=busy"));
    expect_text("GET counter", "2");
    run_close(&r);
}

/* "SETEX key 1000" counts from when it was received, also when the program is killed behind it and
   the next one sends it again. */
static void test_times_outlive_a_kill(void **state)
{
    static const char *const commands[] = { "SETEX setex 1000 v", "SET plain v",
                                            "EXPIRE plain 2000" };
    static const char *const more[] = { "INCR counter" };
    struct run r;
    char at[32], dir[200];
    (void)state;
    run_open_with(&r, commands, ARRAY_LEN(commands));
    r.script.continued = "+CONTINUE\r\n";
    add_commands(&r.streams[1], more, 1);
    snprintf(dir, sizeof(dir), "%s/state-times", testenv_dir());
    assert_int_equal(mkdir(dir, 0700), 0);
    prepare(&r);
    uint64_t all = r.wanted;
    r.wanted -= r.streams[1].len;
    snprintf(at, sizeof(at), "127.0.0.1:%d", r.port);
    const char *const words[] = { "sync", at, target_at, "--state-dir", dir, "--ttl-exact", NULL };
    migrate_start(&r.m, words);
    assert_true(wait_until(acknowledged_all, &r, scaled_ms(20000)));
    process_kill(&r.m.process);
    migrate_start(&r.m, words);
    r.wanted = all;
    assert_true(wait_until(acknowledged_all, &r, scaled_ms(20000)));
    process_signal(&r.m.process, SIGTERM);
    migrate_wait(&r.m, 20000);
    assert_int_equal(r.m.code, 0);
    expect_number("TTL setex", 900, 1000);
    expect_number("TTL plain", 1900, 2000);
    expect_text("GET counter", "1");
    run_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_of_old_servers),
        cmocka_unit_test(test_mark_and_ack),
        cmocka_unit_test(test_goes_on_inside_a_command),
        cmocka_unit_test(test_backlog_gone),
        cmocka_unit_test(test_failures_are_told),
        cmocka_unit_test(test_codis),
        cmocka_unit_test(test_restores),
        cmocka_unit_test(test_without_effect),
        cmocka_unit_test(test_swapdb),
        cmocka_unit_test(test_damaged_copy),
        cmocka_unit_test(test_out_of_place),
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_error_of_a_script),
        cmocka_unit_test(test_times_outlive_a_kill),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
