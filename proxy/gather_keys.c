#include "proxy/gather_keys.h"

#include <stdlib.h>

#include "cluster/keys.h"
#include "cluster/keyslot.h"
#include "proxy/temp_names.h"
#include "proxy/worker.h"

enum { TEMP_TTL_MIN_MS = 60 * 1000 };

static const uint32_t none = UINT32_MAX;

/* --- which keys are where --------------------------------------------------------------------- */

/* The key that is written stays where it is; without one, the first. */
static uint16_t choose_home(const struct command *cmd, const struct argv *argv)
{
    struct key_walk w;
    int slot = -1;
    for (int rc = key_walk_start(&w, cmd, argv); rc > 0; rc = key_walk_next(&w)) {
        bool written = (w.key.flags & (KEY_OW | KEY_UPDATE | KEY_INSERT)) != 0;
        if (slot < 0 || written)
            slot = keyslot_of(argv_get(argv, w.key.arg));
        if (written)
            break;
    }
    REQUIRE(slot >= 0);
    return (uint16_t)slot;
}

static uint32_t hash_of(struct span s)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.at[i]) * 16777619u;
    return h;
}

/* The key of that name; a new one when it was not named before. */
static uint32_t key_named(struct gather *g, uint32_t *hash, uint32_t mask, struct span name,
                          uint16_t slot)
{
    uint32_t i = hash_of(name) & mask;
    for (; hash[i] != none; i = (i + 1) & mask)
        if (span_equal(g->keys[hash[i]].name, name))
            return hash[i];
    g->keys[g->count] = (struct copied_key){ .name = name, .slot = slot };
    hash[i] = g->count;
    return g->count++;
}

static void find_keys(struct gather *g, bool all)
{
    const struct argv *argv = &g->op.argv;
    uint32_t size = 4;
    while (size < 2 * argv->count)
        size *= 2;
    uint32_t *hash = malloc(size * sizeof(hash[0]));
    g->keys = malloc(argv->count * sizeof(g->keys[0]));
    g->key_of_arg = malloc(argv->count * sizeof(g->key_of_arg[0]));
    REQUIRE(hash != NULL && g->keys != NULL && g->key_of_arg != NULL);
    memset(hash, 0xff, size * sizeof(hash[0]));
    memset(g->key_of_arg, 0xff, argv->count * sizeof(g->key_of_arg[0]));
    struct key_walk w;
    for (int rc = key_walk_start(&w, g->op.cmd, argv); rc > 0; rc = key_walk_next(&w)) {
        struct span name = argv_get(argv, w.key.arg);
        uint16_t slot = keyslot_of(name);
        if (all || slot != g->home)
            g->key_of_arg[w.key.arg] = key_named(g, hash, size - 1, name, slot);
    }
    free(hash);
}

void gather_open(struct gather *g, struct client *c, const struct command *cmd,
                 const struct argv *argv, op_step *first, op_step *free_it, bool all)
{
    op_start(&g->op, c, cmd, argv, first, free_it);
    g->home = choose_home(cmd, &g->op.argv);
    find_keys(g, all);
}

void gather_close(struct gather *g)
{
    free(g->keys);
    free(g->key_of_arg);
}

/* --- the copies ------------------------------------------------------------------------------- */

struct span gather_name(struct gather *g, uint32_t key, char out[OP_TEMP_NAME_MAX])
{
    return op_temp_name(&g->op, g->home, key, out);
}

/* Long enough that no copy expires under a command that is retried to its deadline. */
struct span gather_ttl(const struct gather *g, char out[TEXT_NUMBER_MAX])
{
    uint64_t ttl = 4 * g->op.worker->config.request_timeout;
    return (struct span){ out, text_from_u64(out, ttl > TEMP_TTL_MIN_MS ? ttl : TEMP_TTL_MIN_MS) };
}

void gather_send(struct gather *g)
{
    char name[OP_TEMP_NAME_MAX];
    struct op *op = &g->op;
    writer_clear(&op->out, 2);
    write_array(&op->out, op->argv.count);
    for (uint32_t i = 0; i < op->argv.count; i++) {
        uint32_t k = g->key_of_arg[i];
        write_bulk(&op->out, k == none ? argv_get(&op->argv, i) : gather_name(g, k, name));
    }
    op_send_out(op, op->cmd, g->home);
}

void gather_unlink(struct gather *g, uint32_t count)
{
    char name[OP_TEMP_NAME_MAX];
    struct op *op = &g->op;
    writer_clear(&op->out, 2);
    write_array(&op->out, 1 + (size_t)count);
    write_bulk(&op->out, SPAN("UNLINK"));
    for (uint32_t i = 0; i < count; i++)
        write_bulk(&op->out, gather_name(g, i, name));
    op_send_out(op, command_find(op->worker->commands, SPAN("unlink")), g->home);
}

static struct span true_name(const void *keys, uint32_t n)
{
    return ((const struct copied_key *)keys)[n].name;
}

void gather_answer(struct gather *g, uint32_t n)
{
    char name[OP_TEMP_NAME_MAX];
    struct span reply = op_reply(&g->op, n), prefix = gather_name(g, 0, name);
    prefix.len -= TEMP_NUMBER_LEN;
    struct temp_names names = {
        .prefix = prefix, .name = true_name, .context = g->keys, .count = g->count
    };
    writer_clear(&g->op.out, 2);
    if (memmem(reply.at, reply.len, prefix.at, prefix.len) != NULL &&
        temp_names_replace(&names, reply, &g->op.out))
        reply = writer_span(&g->op.out);
    op_answer(&g->op, reply);
}
