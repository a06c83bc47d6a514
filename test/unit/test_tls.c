/* net/tls.c: two sessions talk with each other through their ropes, in pieces of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/tls.h"
#include "test/lib/certs.h"
#include "test/lib/testenv.h"

static struct rope_store store;
static const char *good, *foreign;
static unsigned seed = 7;

static size_t random_to(size_t n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % n + 1;
}

static struct tls_context *context(enum tls_role role, const struct tls_options *o)
{
    char err[256];
    struct tls_context *c = tls_context_new(role, o, err, sizeof(err));
    if (c == NULL)
        fail_msg("%s", err);
    return c;
}

static struct tls_options server_of(const char *dir, enum tls_verify verify)
{
    return (struct tls_options){ .cert_file = strdup(certs_file(dir, "server.crt")),
                                 .key_file = strdup(certs_file(dir, "server.key")),
                                 .ca_file = strdup(certs_file(dir, "ca.crt")),
                                 .verify = verify };
}

static void options_free(struct tls_options *o)
{
    free((char *)o->cert_file);
    free((char *)o->key_file);
    free((char *)o->ca_file);
}

struct pair {
    struct tls *side[2];
    char *got[2];
    size_t got_len[2], got_room[2];
    long last[2]; /* result of the last tls_read */
};

/* What lies on one wire goes to the other side, in pieces; what comes out there is collected. */
static bool carry(struct pair *p, int from)
{
    struct tls *a = p->side[from], *b = p->side[!from];
    char piece[70000];
    if (rope_is_empty(&a->wire))
        return false;
    const struct piece *head = a->wire.head;
    size_t n = random_to(head->len);
    memcpy(piece, head->at, n);
    tls_wrote(a, n);
    tls_feed(b, (struct span){ piece, n });
    int to = !from;
    do {
        size_t room = random_to(40000);
        if (p->got_len[to] + room > p->got_room[to]) {
            p->got_room[to] = 2 * (p->got_len[to] + room);
            p->got[to] = realloc(p->got[to], p->got_room[to]);
            assert_non_null(p->got[to]);
        }
        p->last[to] = tls_read(b, p->got[to] + p->got_len[to], room);
        if (p->last[to] > 0)
            p->got_len[to] += (size_t)p->last[to];
        /* Now and then it is left for later, as by a stream that pauses. */
    } while (p->last[to] > 0 && random_to(8) > 1);
    tls_unfeed(b);
    return true;
}

static void carry_all(struct pair *p)
{
    while (carry(p, 0) || carry(p, 1))
        ;
}

static void read_rest(struct pair *p, int to)
{
    static const struct span nothing = { "", 0 };
    while (tls_has_unread(p->side[to])) {
        tls_feed(p->side[to], nothing);
        p->got[to] = realloc(p->got[to], p->got_room[to] = p->got_len[to] + 70000);
        assert_non_null(p->got[to]);
        p->last[to] = tls_read(p->side[to], p->got[to] + p->got_len[to], 70000);
        tls_unfeed(p->side[to]);
        if (p->last[to] <= 0)
            break;
        p->got_len[to] += (size_t)p->last[to];
    }
}

static void pair_open(struct pair *p, struct tls_context *client, struct tls_context *server,
                      const char *host)
{
    char none[1];
    *p = (struct pair){ .side = { tls_new_client(client, &store, host),
                                  tls_new_server(server, &store, false) } };
    assert_false(tls_has_begun(p->side[1]));
    assert_true(tls_has_begun(p->side[0]));
    assert_int_equal(tls_read(p->side[0], none, 1), TLS_MORE);
    assert_true(tls_is_hello(p->side[0]->wire.head->at[0]));
    carry_all(p);
}

static void pair_close(struct pair *p)
{
    tls_free(p->side[0]);
    tls_free(p->side[1]);
    free(p->got[0]);
    free(p->got[1]);
}

static void write_all(struct tls *t, struct span bytes)
{
    while (bytes.len > 0) {
        size_t n = random_to(bytes.len);
        long took = tls_write(t, (struct span){ bytes.at, n });
        assert_true(took > 0);
        bytes.at += took;
        bytes.len -= (size_t)took;
    }
}

static void test_bytes_both_ways(void **state)
{
    enum { MANY = 3 * 1024 * 1024 };
    struct tls_options so = server_of(good, TLS_VERIFY_NONE), co = so;
    struct pair p;
    (void)state;
    co.cert_file = co.key_file = NULL;
    co.verify = TLS_VERIFY_NAME;
    struct tls_context *server = context(TLS_SERVER, &so), *client = context(TLS_CLIENT, &co);
    pair_open(&p, client, server, "127.0.0.1");
    tls_context_unref(server); /* sessions outlive it */
    tls_context_unref(client);
    assert_true(tls_is_ready(p.side[0]) && tls_is_ready(p.side[1]));
    char *bytes = malloc(MANY);
    assert_non_null(bytes);
    for (size_t i = 0; i < MANY; i++)
        bytes[i] = (char)random_to(256);
    for (int round = 0; round < 4; round++) {
        int from = round % 2;
        p.got_len[!from] = 0;
        write_all(p.side[from], (struct span){ bytes, MANY });
        carry_all(&p);
        read_rest(&p, !from);
        assert_int_equal(p.got_len[!from], MANY);
        assert_memory_equal(p.got[!from], bytes, MANY);
    }
    free(bytes);
    /* Idle, neither holds anything. */
    for (int i = 0; i < 2; i++)
        assert_true(p.side[i]->current == NULL && p.side[i]->kept == NULL);
    tls_shut(p.side[0]);
    tls_shut(p.side[0]);
    carry_all(&p);
    assert_int_equal(p.last[1], TLS_ENDED);
    pair_close(&p);
    options_free(&so);
}

struct trust {
    const char *dir; /* of the client's authority */
    const char *host, *name;
    enum tls_verify verify;
    const char *reason; /* NULL: it is trusted */
};

static void test_trust(void **state)
{
    const struct trust rows[] = {
        { good, "127.0.0.1", NULL, TLS_VERIFY_NAME, NULL },
        { good, "127.0.0.2", NULL, TLS_VERIFY_NAME, "IP address mismatch" },
        { good, "localhost", NULL, TLS_VERIFY_NAME, "hostname mismatch" },
        { good, "localhost", NULL, TLS_VERIFY_CHAIN, NULL },
        { good, "127.0.0.2", NULL, TLS_VERIFY_CHAIN, NULL },
        { good, "localhost", "127.0.0.1", TLS_VERIFY_NAME, NULL },
        { good, "127.0.0.1", "localhost", TLS_VERIFY_NAME, "hostname mismatch" },
        { foreign, "127.0.0.1", NULL, TLS_VERIFY_CHAIN, "unable to get local issuer certificate" },
        { foreign, "127.0.0.1", NULL, TLS_VERIFY_NONE, NULL },
    };
    struct tls_options so = server_of(good, TLS_VERIFY_NONE);
    (void)state;
    struct tls_context *server = context(TLS_SERVER, &so);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tls_options co = { .ca_file = certs_file(rows[i].dir, "ca.crt"),
                                  .verify = rows[i].verify,
                                  .name = rows[i].name };
        struct tls_context *client = context(TLS_CLIENT, &co);
        struct pair p;
        pair_open(&p, client, server, rows[i].host);
        assert_int_equal(tls_is_ready(p.side[0]), rows[i].reason == NULL);
        if (rows[i].reason != NULL)
            assert_string_equal(tls_reason(p.side[0]), rows[i].reason);
        pair_close(&p);
        tls_context_unref(client);
    }
    tls_context_unref(server);
    options_free(&so);
}

static void test_client_certificates(void **state)
{
    (void)state;
    for (int verify = TLS_VERIFY_NONE; verify <= TLS_VERIFY_CHAIN; verify++) {
        struct tls_options so = server_of(good, (enum tls_verify)verify);
        struct tls_context *server = context(TLS_SERVER, &so);
        for (int shown = 0; shown < 3; shown++) { /* none, a good one, a foreign one */
            const char *dir = shown == 2 ? foreign : good;
            struct tls_options co = { .ca_file = so.ca_file, .verify = TLS_VERIFY_CHAIN };
            if (shown > 0) {
                co.cert_file = certs_file(dir, "client.crt");
                co.key_file = certs_file(dir, "client.key");
            }
            struct tls_context *client = context(TLS_CLIENT, &co);
            struct pair p;
            pair_open(&p, client, server, "127.0.0.1");
            bool wanted = verify == TLS_VERIFY_NONE || shown == 1 ||
                          (shown == 0 && verify == TLS_VERIFY_IF_GIVEN);
            assert_int_equal(tls_is_ready(p.side[1]), wanted);
            pair_close(&p);
            tls_context_unref(client);
        }
        tls_context_unref(server);
        options_free(&so);
    }
}

static void test_garbage(void **state)
{
    struct tls_options so = server_of(good, TLS_VERIFY_NONE);
    struct tls_context *server = context(TLS_SERVER, &so);
    char bytes[600], out[16];
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct tls *t = tls_new_server(server, &store, false);
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (char)random_to(256);
        memcpy(bytes, "\x16\x03\x01", 3);
        for (int piece = 0; piece < 40; piece++) {
            tls_feed(t, (struct span){ bytes, random_to(sizeof(bytes)) });
            long n = tls_read(t, out, sizeof(out));
            tls_unfeed(t);
            assert_true(n == TLS_MORE || n == TLS_BAD);
        }
        tls_shut(t);
        tls_free(t);
    }
    tls_context_unref(server);
    options_free(&so);
}

static void test_wrong_files(void **state)
{
    char err[256];
    (void)state;
    struct tls_options o = { .cert_file = certs_file(good, "server.crt") };
    assert_null(tls_context_new(TLS_SERVER, &o, err, sizeof(err)));
    assert_string_equal(err, "a certificate and its key belong together; one of them is not given");
    o.key_file = certs_file(good, "client.key");
    assert_null(tls_context_new(TLS_SERVER, &o, err, sizeof(err)));
    assert_non_null(strstr(err, "cannot use key"));
    o.cert_file = certs_file(good, "nosuch");
    assert_null(tls_context_new(TLS_SERVER, &o, err, sizeof(err)));
    assert_non_null(strstr(err, "cannot use certificate"));
    o = (struct tls_options){ .ca_file = certs_file(good, "nosuch"), .verify = TLS_VERIFY_CHAIN };
    assert_null(tls_context_new(TLS_CLIENT, &o, err, sizeof(err)));
    assert_non_null(strstr(err, "cannot use CA file"));
}

static int begin(void **state)
{
    (void)state;
    rope_store_init(&store);
    good = certs_make("good", "IP:127.0.0.1");
    foreign = certs_make("foreign", "IP:127.0.0.1");
    return 0;
}

static int end(void **state)
{
    (void)state;
    rope_store_close(&store);
    free((char *)good);
    free((char *)foreign);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_both_ways),     cmocka_unit_test(test_trust),
        cmocka_unit_test(test_client_certificates), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_wrong_files),
    };
    return testenv_finish(cmocka_run_group_tests(tests, begin, end));
}
