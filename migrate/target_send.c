/* target.h: sending. */
#include "cluster/block.h"
#include "migrate/target_databases.h"

static void on_limit_over(uv_timer_t *timer)
{
    struct target *t = timer->data;
    t->progress = true;
}

/* Behind the limit nothing else may come that would wake those who want to send. */
bool target_has_room(struct target *t)
{
    const struct target_options *o = t->options;
    uint64_t wait = limit_wait(&t->limit, uv_now(t->net->loop));
    if (wait > 0 && !t->closing && !uv_is_active((const uv_handle_t *)&t->timer))
        uv_timer_start(&t->timer, on_limit_over, wait, 0);
    bool room = t->pending_bytes < o->window_bytes && t->pending < o->window;
    return wait == 0 && room && !t->closing;
}

/* blocked: 0, or the number of commands in a transaction. */
static struct target_call *send_block(struct target *t, struct span name, struct span key,
                                      uint16_t slot, struct span command, bool again,
                                      uint32_t blocked, target_done *done, void *context)
{
    struct target_call *call = slab_take(&t->calls);
    call->done = done;
    call->context = context;
    call->bytes = (uint32_t)command.len;
    call->key_len = (uint32_t)key.len;
    call->database = t->flow.database;
    call->error[0] = '\0';
    call->reply = NULL;
    call->piece = NULL;
    call->block = blocked > 0;
    call->refused = false;
    writer_init(&call->exec, 2);
    writer_init(&call->long_key, 2);
    if (key.len > TARGET_KEY_SHOWN)
        write_raw(&call->long_key, key);
    memcpy(call->key, key.at, key.len < TARGET_KEY_SHOWN ? key.len : TARGET_KEY_SHOWN);
    const struct command *cmd = command_find(t->commands, name);
    if (cmd == NULL) /* newer than the table; the key stands where SET has it */
        cmd = command_find(t->commands, SPAN("set"));
    struct request *r = router_request(&t->router, &t->flow, cmd, slot);
    r->own_context = call;
    r->safe = again;
    if (blocked > 0)
        block_of(r, blocked);
    t->pending++;
    t->pending_bytes += command.len;
    limit_spend(&t->limit, command.len, blocked > 0 ? blocked : 1);
    router_submit(&t->router, r, command, NULL);
    return call;
}

static struct target_call *send_to(struct target *t, struct span name, struct span key,
                                   uint16_t slot, struct span command, bool again,
                                   target_done *done, void *context)
{
    return send_block(t, name, key, slot, command, again, 0, done, context);
}

void target_send_block(struct target *t, struct span key, struct span parts, uint32_t commands,
                       bool again, target_done *done, void *context)
{
    writer_clear(&t->block, 2);
    write_raw(&t->block, SPAN(BLOCK_BEGIN));
    write_raw(&t->block, parts);
    write_raw(&t->block, SPAN(BLOCK_END));
    send_block(t, SPAN("exec"), key, keyslot_of(key), writer_span(&t->block), again, commands, done,
               context);
}

void target_send(struct target *t, struct span name, struct span key, struct span command,
                 bool again, target_done *done, void *context)
{
    send_to(t, name, key, keyslot_of(key), command, again, done, context);
}

void target_ask(struct target *t, struct span name, struct span key, struct span command,
                struct writer *reply, target_done *done, void *context)
{
    send_to(t, name, key, keyslot_of(key), command, true, done, context)->reply = reply;
}

void target_peek(struct target *t, struct span name, struct span key, struct span command,
                 struct writer *reply, target_done *done, void *context)
{
    struct limit before = t->limit;
    target_ask(t, name, key, command, reply, done, context);
    t->limit = before;
}

void target_ask_pieces(struct target *t, struct span name, struct span key, struct span command,
                       target_piece *piece, target_done *done, void *context)
{
    send_to(t, name, key, keyslot_of(key), command, true, done, context)->piece = piece;
}

uint32_t target_shards(const struct target *t)
{
    return t->router.map->shard_count;
}

static uint16_t slot_of_shard(const struct target *t, uint32_t shard)
{
    uint16_t slot = 0;
    while (slot < SLOT_COUNT - 1 && t->router.map->shard_of[slot] != shard)
        slot++;
    return slot;
}

void target_ask_shard(struct target *t, uint32_t shard, struct span name, struct span command,
                      struct writer *reply, target_done *done, void *context)
{
    send_to(t, name, SPAN(""), slot_of_shard(t, shard), command, true, done, context)->reply =
        reply;
}

const char *target_shard_tag(const struct target *t, uint32_t shard)
{
    return slot_tag(t->tags, slot_of_shard(t, shard));
}

uint32_t target_send_all(struct target *t, struct span name, struct span label, struct span command,
                         target_done *done, void *context)
{
    uint32_t shards = target_shards(t);
    for (uint32_t shard = 0; shard < shards; shard++)
        send_to(t, name, label, slot_of_shard(t, shard), command, true, done, context);
    return shards;
}

struct span target_key(const struct target_call *call)
{
    bool shown = call->key_len <= TARGET_KEY_SHOWN;
    return shown ? (struct span){ call->key, call->key_len } : writer_span(&call->long_key);
}

const char *target_tag(const struct target *t, struct span key)
{
    return slot_tag(t->tags, keyslot_of(key));
}
