/*
 * Thousands of random commands over all types to the proxy and to one plain Redis, in pipelines:
 * every reply is compared, and at the end every key with its type, content and time to live.
 * SLOTGATE_SEED=N runs that seed only, and SLOTGATE_CALLS=N so many calls of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/random_calls.h"
#include "test/lib/testenv.h"

enum { SEEDS = 12, CALLS = 20000, DEPTH = 16, SHOWN = 24 };

struct both {
    struct client proxy, oracle;
    uint64_t seed;
    uint32_t done; /* calls */
};

/* --- what one sees when it fails ----------------------------------------------------------- */

static void show_bytes(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && i < 300; i++)
        print_message(bytes[i] > ' ' && bytes[i] <= '~' ? "%c" : "\\x%02x",
                      (unsigned char)bytes[i]);
    print_message(len > 300 ? "...(%zu) " : " ", len);
}

static void show_call(const struct random_call *call)
{
    for (uint32_t i = 0; i < call->argc; i++)
        show_bytes(call->argv[i].at, call->argv[i].len);
    print_message("\n");
}

static bool share_an_argument(const struct random_call *a, const struct random_call *b)
{
    for (uint32_t i = 1; i < a->argc; i++)
        for (uint32_t j = 1; j < b->argc; j++)
            if (a->argv[i].len > 1 && a->argv[i].len < 24 && span_equal(a->argv[i], b->argv[j]))
                return true;
    return false;
}

/* The latest calls before it that have an argument in common with it: most often a key. */
static void show_history(const struct both *b, const struct random_call *failed)
{
    struct random_calls r;
    struct random_call *call = calloc(1, sizeof(*call));
    uint32_t related = 0, shown = 0;
    assert_non_null(call);
    for (int pass = 0; pass < 2; pass++) {
        random_calls_start(&r, b->seed);
        for (uint32_t i = 0; i < b->done; i++) {
            random_calls_next(&r, call);
            if (!share_an_argument(call, failed))
                continue;
            if (pass == 0)
                related++;
            else if (related - shown++ <= SHOWN)
                show_call(call);
        }
    }
    free(call);
}

static void check_reply(struct both *b, const struct random_call *call)
{
    size_t wanted_len, len = 0;
    const char *wanted = client_read(&b->oracle, &wanted_len);
    assert_non_null(wanted);
    const char *reply = client_read(&b->proxy, &len);
    if (reply != NULL && differ_agree(call->rule, wanted, wanted_len, reply, len)) {
        b->done++;
        return;
    }
    show_history(b, call);
    print_message("seed %llu, call %u: ", (unsigned long long)b->seed, b->done);
    show_call(call);
    print_message("  Redis: ");
    show_bytes(wanted, wanted_len);
    print_message("\n  proxy: ");
    if (reply != NULL)
        show_bytes(reply, len);
    fail_msg("the proxy answers otherwise than one Redis%s",
             reply == NULL ? client_state_text(&b->proxy) : "");
}

static void send_call(struct client *c, const struct random_call *call)
{
    const char *argv[RANDOM_ARGS_MAX];
    size_t len[RANDOM_ARGS_MAX];
    for (uint32_t i = 0; i < call->argc; i++) {
        argv[i] = call->argv[i].at;
        len[i] = call->argv[i].len;
    }
    assert_true(client_send_argv(c, call->argc, argv, len));
}

static void ask_both(struct both *b, struct random_call *call)
{
    send_call(&b->oracle, call);
    send_call(&b->proxy, call);
    check_reply(b, call);
}

/* --- at the end ---------------------------------------------------------------------------- */

/* Asks both for what is under the key; %s of the words is the key. */
static void compare_key(struct both *b, struct span key, enum differ_rule rule, const char *words)
{
    static struct random_call call;
    char copy[64], *rest = copy, *word;
    snprintf(copy, sizeof(copy), "%s", words);
    call = (struct random_call){ .rule = rule };
    while ((word = strsep(&rest, " ")) != NULL) {
        struct span s = strcmp(word, "@") == 0 ? key : (struct span){ word, strlen(word) };
        call.argv[call.argc++] = s;
    }
    ask_both(b, &call);
}

static const struct {
    const char *type, *words;
    enum differ_rule rule;
} contents[] = {
    { "+string", "GET @", DIFFER_SAME },
    { "+list", "LRANGE @ 0 -1", DIFFER_SAME },
    { "+set", "SMEMBERS @", DIFFER_SET },
    { "+hash", "HGETALL @", DIFFER_PAIRS },
    { "+zset", "ZRANGE @ 0 -1 WITHSCORES", DIFFER_SAME },
    { "+stream", "XRANGE @ - +", DIFFER_SAME },
    { "+stream", "XINFO STREAM @", DIFFER_SAME },
    { "+stream", "XINFO GROUPS @", DIFFER_SAME },
};

static void compare_content(struct both *b, struct span key)
{
    char type[16] = "";
    const char *const argv[] = { "TYPE", key.at };
    const size_t len[] = { 4, key.len };
    size_t type_len;
    assert_true(client_send_argv(&b->oracle, 2, argv, len));
    const char *reply = client_read(&b->oracle, &type_len);
    assert_non_null(reply);
    snprintf(type, sizeof(type), "%.*s", (int)strcspn(reply, "\r"), reply);
    for (size_t i = 0; i < ARRAY_LEN(contents); i++)
        if (strcmp(contents[i].type, type) == 0)
            compare_key(b, key, contents[i].rule, contents[i].words);
}

static void compare_everything(struct both *b)
{
    compare_key(b, SPAN(""), DIFFER_SAME, "DBSIZE");
    compare_key(b, SPAN(""), DIFFER_SET, "KEYS *");
    for (uint32_t i = 0; i < RANDOM_KEYS; i++) {
        struct span key = random_calls_key(i);
        compare_key(b, key, DIFFER_SAME, "TYPE @");
        compare_key(b, key, DIFFER_NEAR, "TTL @");
        compare_content(b, key);
    }
}

/* --- one seed ------------------------------------------------------------------------------ */

static void open_both(struct both *b, uint64_t seed)
{
    const char *protocol = seed % 2 == 0 ? "2" : "3";
    *b = (struct both){ .seed = seed };
    assert_true(client_open(&b->proxy, proxy.port));
    assert_true(client_open(&b->oracle, oracle.port));
    b->proxy.timeout_ms = b->oracle.timeout_ms = scaled_ms(10000);
    assert_non_null(client_ask(&b->proxy, "HELLO", protocol, NULL));
    assert_non_null(client_ask(&b->oracle, "HELLO", protocol, NULL));
    client_ask_expect(&b->proxy, "+OK\r\n", "FLUSHALL");
    client_ask_expect(&b->oracle, "+OK\r\n", "FLUSHALL");
}

static void run_seed(uint64_t seed, uint32_t calls)
{
    struct both b;
    struct random_calls r;
    struct random_call *batch = calloc(DEPTH, sizeof(batch[0]));
    assert_non_null(batch);
    print_message("seed %llu\n", (unsigned long long)seed);
    open_both(&b, seed);
    random_calls_start(&r, seed);
    while (calls > 0) {
        uint32_t n = calls < DEPTH ? calls : DEPTH;
        for (uint32_t i = 0; i < n; i++) {
            random_calls_next(&r, &batch[i]);
            send_call(&b.oracle, &batch[i]);
            send_call(&b.proxy, &batch[i]);
        }
        for (uint32_t i = 0; i < n; i++)
            check_reply(&b, &batch[i]);
        calls -= n;
    }
    compare_everything(&b);
    free(batch);
    client_close(&b.proxy);
    client_close(&b.oracle);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void test_random_calls(void **state)
{
    uint32_t calls =
        (uint32_t)from_environment("SLOTGATE_CALLS", testenv_sanitized() ? CALLS / 2 : CALLS);
    uint64_t only = from_environment("SLOTGATE_SEED", 0);
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS && only == 0; seed++)
        run_seed(seed, calls);
    if (only != 0)
        run_seed(only, calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_calls) };

    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
