/* Which node a read goes to, how old a replica is, which zone an address lies in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cluster/read_choice.h"
#include "cluster/replication.h"
#include "cluster/zone.h"

/* --- the choice ------------------------------------------------------------------------------ */

/* One letter per candidate, the master first: g good, d in doubt, b bad; upper case: in our zone.
 */
static int choose(enum read_policy policy, const char *nodes, uint32_t turn)
{
    struct read_candidate c[READ_CANDIDATES_MAX];
    uint32_t count = (uint32_t)strlen(nodes);
    for (uint32_t i = 0; i < count; i++) {
        char n = (char)(nodes[i] | 0x20);
        c[i].near = nodes[i] != n;
        c[i].health = n == 'g' ? READ_GOOD : n == 'd' ? READ_DOUBT : READ_BAD;
    }
    return read_choose(policy, c, count, turn);
}

static void choices(void **state)
{
    (void)state;
    static const struct {
        const char *nodes;
        uint32_t turn;
        int prefer, replica, near;
    } cases[] = {
        { "b", 0, 0, 0, 0 }, /* no replica at all; of the master's health nothing is known */
        { "bb", 0, 0, 0, 0 },          { "bg", 0, 1, 1, 1 },   { "bg", 7, 1, 1, 1 },
        { "bd", 0, 0, READ_WAIT, 0 }, /* one that may be back soon */
        { "bdg", 0, 2, 2, 2 },         { "bggg", 0, 1, 1, 1 }, { "bggg", 1, 2, 2, 2 },
        { "bggg", 5, 3, 3, 3 },        { "bgbg", 1, 3, 3, 3 }, { "bggb", 2, 1, 1, 1 },
        { "bgGg", 0, 1, 1, 2 },        { "bgGG", 2, 3, 3, 3 }, { "bgGG", 0, 1, 1, 2 },
        { "BgBg", 0, 1, 1, 0 }, /* the master is near, the replica here is not well */
        { "Bgg", 1, 2, 2, 0 },         { "BGg", 1, 2, 2, 1 },  { "bgBg", 1, 3, 3, 3 },
        { "bbD", 0, 0, READ_WAIT, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(choose(READ_MASTER, cases[i].nodes, cases[i].turn), 0);
        int prefer = choose(READ_PREFER_REPLICA, cases[i].nodes, cases[i].turn);
        int replica = choose(READ_REPLICA, cases[i].nodes, cases[i].turn);
        int near = choose(READ_AZ_AFFINITY, cases[i].nodes, cases[i].turn);
        if (prefer != cases[i].prefer || replica != cases[i].replica || near != cases[i].near)
            fail_msg("%s, turn %u: %d %d %d", cases[i].nodes, cases[i].turn, prefer, replica, near);
    }
}

/* Clients with one number after the other share replicas evenly. */
static void turns_are_even(void **state)
{
    (void)state;
    int hits[4] = { 0 };
    for (uint32_t turn = 0; turn < 300; turn++)
        hits[choose(READ_PREFER_REPLICA, "bggg", turn)]++;
    for (int i = 1; i < 4; i++)
        assert_int_equal(hits[i], 100);
}

/* --- replication ----------------------------------------------------------------------------- */

static const char master_info[] = "$600\r\n# Replication\r\nrole:master\r\nconnected_slaves:1\r\n"
                                  "slave0:ip=127.0.0.1,port=12791,state=online,offset=0,lag=0\r\n"
                                  "master_failover_state:no-failover\r\n"
                                  "master_replid:9de59009c55746093e4f95296b4be11ecd9c75c6\r\n"
                                  "master_replid2:0000000000000000000000000000000000000000\r\n"
                                  "master_repl_offset:0\r\nsecond_repl_offset:-1\r\n\r\n";
static const char replica_info[] =
    "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_link_status:up\r\n"
    "master_last_io_seconds_ago:0\r\nmaster_sync_in_progress:0\r\nslave_read_repl_offset:42\r\n"
    "slave_repl_offset:41\r\n"
    "master_replid:9de59009c55746093e4f95296b4be11ecd9c75c6\r\nmaster_repl_offset:7\r\n";

static struct span text(const char *s)
{
    return (struct span){ s, strlen(s) };
}

static void what_nodes_say(void **state)
{
    (void)state;
    struct replication r;
    assert_true(replication_read(text(master_info), &r));
    assert_true(r.master);
    assert_int_equal(r.offset, 0);
    assert_string_equal(r.id, "9de59009c55746093e4f95296b4be11ecd9c75c6");
    assert_true(replication_read(text(replica_info), &r));
    assert_false(r.master);
    assert_false(r.syncing);
    assert_int_equal(r.offset, 41);
    static const char *const bad[] = {
        "",
        "-NOPERM this user has no permissions\r\n",
        "role:master\r\n",
        "role:master\r\nmaster_replid:abc\r\nmaster_repl_offset:\r\n",
        "role:master\r\nmaster_replid:abc\r\nmaster_repl_offset:1x\r\n",
        "role:master\r\nmaster_replid:"
        "9de59009c55746093e4f95296b4be11ecd9c75c6x\r\nmaster_repl_offset:1\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(replication_read(text(bad[i]), &r));
    assert_true(replication_read(
        text("role:slave\nmaster_sync_in_progress:1\nmaster_replid:a\nslave_repl_offset:1"), &r));
    assert_true(r.syncing);
    struct span zone =
        replication_field(text("a:1\r\navailability_zone:eu-1a\r\n"), "availability_zone");
    assert_int_equal(zone.len, 5);
    assert_int_equal(replication_field(text("xavailability_zone:e\r\n"), "availability_zone").len,
                     0);
}

static struct replication at(const char *id, int64_t offset)
{
    struct replication r = { .offset = offset };
    snprintf(r.id, sizeof(r.id), "%s", id);
    return r;
}

static uint64_t lag(const struct lag_history *h, uint64_t now, const char *id, int64_t offset)
{
    struct replication r = at(id, offset);
    return lag_of(h, now, &r);
}

static void how_old(void **state)
{
    (void)state;
    struct lag_history h = { .count = 0 };
    struct replication m = at("one", 0);
    assert_true(lag(&h, 1000, "one", 5) == UINT64_MAX); /* nothing is known */
    for (uint64_t s = 1; s <= 10; s++) {
        m.offset = (int64_t)s * 100;
        lag_note(&h, s * 1000, &m);
    }
    assert_int_equal(lag(&h, 10000, "one", 1000), 0);
    assert_int_equal(lag(&h, 10007, "one", 5000), 7);
    assert_int_equal(lag(&h, 10000, "one", 999),
                     1000); /* it is where the master was a second ago */
    assert_int_equal(lag(&h, 12000, "one", 350), 9000);
    assert_true(lag(&h, 10000, "one", 99) == UINT64_MAX);
    assert_true(lag(&h, 10000, "two", 5000) == UINT64_MAX); /* offsets of another history */
    /* An idle master: reached again and again. */
    lag_note(&h, 60000, &m);
    assert_int_equal(lag(&h, 60500, "one", 1000), 500);
    /* More notes than there is room for. */
    for (uint64_t s = 100; s < 400; s++) {
        m.offset = (int64_t)s * 100;
        lag_note(&h, s * 1000, &m);
    }
    assert_int_equal(lag(&h, 400000, "one", 39000), 10000);
    assert_true(lag(&h, 400000, "one", 5000) == UINT64_MAX);
    /* A failover: only what is noted since counts. */
    struct replication other = at("two", 39900);
    lag_note(&h, 401000, &other);
    assert_true(lag(&h, 401000, "one", 39900) == UINT64_MAX);
    assert_int_equal(lag(&h, 401500, "two", 39900), 500);
}

/* --- zones ----------------------------------------------------------------------------------- */

static void subnets(void **state)
{
    (void)state;
    static const char *const texts[] = { "10.0.0.0/16=wide", "10.0.1.0/24=a",    "10.0.2.77/23=b",
                                         "fd00:1::/32=six",  "192.168.1.9=host", "0.0.0.0/0=rest" };
    static const struct {
        const char *address, *zone;
    } cases[] = {
        { "10.0.1.255", "a" },
        { "10.0.0.1", "wide" },
        { "10.0.2.0", "b" },
        { "10.0.3.9", "b" },
        { "10.0.4.0", "wide" },
        { "10.1.0.0", "rest" },
        { "192.168.1.9", "host" },
        { "fd00:1:2::3", "six" },
        { "fd00:2::", NULL },
        { "node.example", NULL },
        { "", NULL },
    };
    struct zone_subnet all[ARRAY_LEN(texts)];
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_true(zone_subnet_parse(texts[i], &all[i]));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *zone = zone_of(all, ARRAY_LEN(texts), cases[i].address);
        if (cases[i].zone == NULL ? zone != NULL : zone == NULL || strcmp(zone, cases[i].zone) != 0)
            fail_msg("%s: %s", cases[i].address, zone);
    }
    assert_null(zone_of(NULL, 0, "10.0.0.1"));
}

static void bad_subnets(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "10.0.0.0/8",
        "=a",
        "10.0.0.0/8=",
        "10.0.0.0/33=a",
        "10.0.0/8=a",
        "10.0.0.0/=a",
        "10.0.0.0/-1=a",
        "10.0.0.0/08=a",
        "fd00::/129=a",
        "host=a",
        "10.0.0.0/8=a b",
        "10.0.0.0/8=a=b",
        "10.0.0.0/8=12345678901234567890123456789012345678901",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (zone_subnet_fault(bad[i]) == NULL)
            fail_msg("%s is none", bad[i]);
    assert_null(zone_subnet_fault("10.0.0.0/8=1234567890123456789012345678901234567890"));
    assert_null(zone_name_fault("eu-west-1a"));
    assert_non_null(zone_name_fault("two words"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices),        cmocka_unit_test(turns_are_even),
        cmocka_unit_test(what_nodes_say), cmocka_unit_test(how_old),
        cmocka_unit_test(subnets),        cmocka_unit_test(bad_subnets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
