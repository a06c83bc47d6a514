/* /hotkeys: the keys that are asked for most and those that are largest, over all workers, as JSON;
 * the same as PROXY HOTKEYS and BIGKEYS. */
#include <stdlib.h>

#include "cluster/keyslot.h"
#include "proxy/admin.h"
#include "proxy/admin_pages.h"
#include "proxy/key_report.h"
#include "proxy/stats.h"
#include "proxy/worker.h"

enum { KEYS_MAX = 50 };

/* Of a long key only the beginning is known, and so no slot. */
static void write_key(struct json *j, const struct top_key *k)
{
    struct span text = top_key_text(k);
    json_bytes(j, "key", text);
    json_u64(j, "length", k->len);
    if (text.len == k->len)
        json_u64(j, "slot", keyslot_of(text));
    else
        json_null(j, "slot");
}

static void write_hot(const struct worker *w, struct json *j)
{
    struct hot_key *keys = calloc(KEYS_MAX, sizeof(keys[0]));
    REQUIRE(keys != NULL);
    uint32_t count = key_report_hot(w, keys, KEYS_MAX);
    json_array(j, "hotkeys");
    for (uint32_t i = 0; i < count; i++) {
        json_object(j, NULL);
        write_key(j, &keys[i].key);
        json_u64(j, "calls", keys[i].calls);
        json_u64(j, "too_high_by", keys[i].over);
        json_object_end(j);
    }
    json_array_end(j);
    free(keys);
}

static void write_big(const struct worker *w, struct json *j)
{
    struct big_key *keys = calloc(KEYS_MAX, sizeof(keys[0]));
    char name[STATS_NAME_MAX];
    REQUIRE(keys != NULL);
    uint32_t count = key_report_big(w, keys, KEYS_MAX);
    json_array(j, "bigkeys");
    for (uint32_t i = 0; i < count; i++) {
        json_object(j, NULL);
        write_key(j, &keys[i].key);
        json_u64(j, "request_bytes", keys[i].request);
        json_u64(j, "reply_bytes", keys[i].reply);
        json_text(j, "command", stats_command_name(w, keys[i].tally, name));
        json_object_end(j);
    }
    json_array_end(j);
    free(keys);
}

void admin_hotkeys(struct worker *w, struct http_exchange *x)
{
    struct json j;
    json_init(&j);
    json_object(&j, NULL);
    write_hot(w, &j);
    write_big(w, &j);
    json_object_end(&j);
    admin_send_json(x, &j);
}
