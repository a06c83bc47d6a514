#include "migrate/apply_send.h"

#include "cluster/keyslot.h"
#include "migrate/apply_across.h"
#include "migrate/apply_words.h"
#include "migrate/databases.h"
#include "migrate/replay.h"

enum { GROUP_BYTES_MAX = 8 * 1024 * 1024 };

static void lower_name(char *out, size_t room, struct span name)
{
    size_t n = name.len < room - 1 ? name.len : room - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] | 0x20 : name.at[i]);
    out[n] = '\0';
}

static void send_unit(struct apply_mark *m, struct span name, struct span key, struct span bytes,
                      const struct lane_unit *what)
{
    struct lane_unit u = *what;
    u.owner = m;
    u.bytes = (uint32_t)bytes.len;
    u.key_len = (uint32_t)key.len;
    lower_name(u.name, sizeof(u.name), name);
    memcpy(u.key, key.at, apply_shown(key.at, u.key_len).len);
    m->pending++;
    lanes_send(&m->apply->lanes, &u, key, bytes);
}

/* What has been gathered goes out, as a transaction if it is more than one command. It counts as a
   part of MULTI until it is answered: to begin again behind MULTI would leave out what stands
   between the two. */
void apply_send_group(struct apply *a)
{
    struct apply_mark *m = a->multi;
    struct span key = writer_span(&a->group_key), name = writer_span(&a->group_name);
    struct span bytes = writer_span(&a->group);
    uint32_t count = a->group_count;
    if (count == 0)
        return;
    REQUIRE(m != NULL); /* there is no group but between MULTI and EXEC */
    if (count > 1)
        name = SPAN("exec");
    a->group_count = 0;
    if (a->options->dirty != NULL)
        write_raw(&m->keys, writer_span(&a->group_keys));
    writer_clear(&a->group_keys, 2);
    if (a->exact) {
        struct lane_unit u = { .offset = a->group_offset,
                               .commands = count,
                               .absolute = a->group_absolute };
        send_unit(m, name, key, bytes, &u);
    } else {
        lower_name(m->name, sizeof(m->name), name);
        m->pending++;
        if (count > 1)
            target_send_block(a->target, key, bytes, count, true, apply_on_answer, m);
        else
            target_send(a->target, name, key, bytes, true, apply_on_answer, m);
    }
    writer_clear(&a->group, 2);
}

/* A group is of one slot and of bounded size. */
static void add_to_group(struct apply *a, struct span name, struct span key, struct span command,
                         const struct lane_unit *u)
{
    bool other = a->group_count > 0 && keyslot_of(writer_span(&a->group_key)) != keyslot_of(key);
    a->parted |= other;
    if (other || a->group.len > GROUP_BYTES_MAX)
        apply_send_group(a);
    if (a->group_count == 0) {
        writer_clear(&a->group_key, 2);
        writer_clear(&a->group_name, 2);
        write_raw(&a->group_key, key);
        write_raw(&a->group_name, name);
        a->group_absolute = true;
    }
    a->group_count += u->commands;
    if (!databases_renames(a->options, a->db))
        write_bulk(&a->group_keys, key); /* else the mark has its label */
    write_raw(&a->group_keys, writer_span(&a->mark->keys));
    a->group_absolute &= u->absolute;
    a->group_offset = u->offset;
    write_raw(&a->group, command);
}

void apply_multi(struct apply *a)
{
    if (a->multi != NULL)
        return;
    a->multi = a->mark;
    a->multi->pending++;
    a->parted = false;
}

void apply_exec(struct apply *a)
{
    struct apply_mark *multi = a->multi;
    if (multi == NULL)
        return;
    apply_send_group(a);
    a->multi = NULL;
    a->counters.parted += a->parted;
    multi->pending--; /* EXEC's own mark is looked at next, and all before it */
}

/* The target has it from before the rewind, or it is no data: a marker of a target that is a source
   now. */
static bool needs_nothing(struct apply *a, struct span key)
{
    if (replay_is_own_key(key)) {
        a->counters.dropped++;
        return true;
    }
    bool done = a->offset <= a->skip_max && a->offset <= a->skip[keyslot_of(key)];
    a->counters.skipped += done;
    return done;
}

/* What the slot's marker shall be when this part is executed. A command that is taken apart may be
   cut off between two parts of one slot; so one that may come again does not count as the command.
 */
static uint64_t offset_of_part(const struct apply *a, bool absolute)
{
    a->mark->counted |= !absolute;
    return a->mark->counted ? a->offset : a->offset - 1;
}

void apply_send(struct apply *a, const struct span *words, size_t count, struct span key)
{
    struct writer *w = &a->command;
    struct apply_mark *m = a->mark;
    struct lane_unit u = { .absolute = replay_is_absolute(words, count) };
    a->parted |= a->cross || key.at == NULL;
    if (a->cross && key.at != NULL && across_is_used(a)) {
        across_begin(a->across, words, count, databases_at_target(a->options, a->db));
        return;
    }
    if (key.at != NULL && needs_nothing(a, key))
        return;
    u.offset = offset_of_part(a, u.absolute);
    writer_clear(w, 2);
    u.commands = databases_write(w, key.at != NULL ? databases_at_target(a->options, a->db) : 0,
                                 words, count);
    a->counters.sent++;
    if (a->multi != NULL && key.at != NULL && !a->cross) {
        add_to_group(a, words[0], key, writer_span(w), &u);
        return;
    }
    apply_send_group(a);
    if (a->exact && key.at != NULL && !a->cross) {
        send_unit(m, words[0], key, writer_span(w), &u);
        return;
    }
    if (m->pending == 0)
        lower_name(m->name, sizeof(m->name), words[0]);
    m->pending++;
    if (key.at == NULL) { /* for every master */
        m->pending +=
            target_send_all(a->target, words[0], SPAN(""), writer_span(w), apply_on_answer, m) - 1;
        return;
    }
    if (u.commands > 1)
        target_send_block(a->target, key, writer_span(w), u.commands, !a->exact, apply_on_answer,
                          m);
    else
        target_send(a->target, words[0], key, writer_span(w), !a->exact, apply_on_answer, m);
}
