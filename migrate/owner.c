#include "migrate/owner.h"

#include <stdio.h>
#include <sys/random.h>

#include "resp/value.h"

enum { LEASE_MS = 10000 };

void owner_open(struct owner *o, struct net *net, struct target *target, const char *marker,
                const char *before, const char *work, const struct owner_user *user, void *context)
{
    uint64_t random = 0;
    *o = (struct owner){ .target = target, .user = user, .context = context };
    while (getrandom(&random, sizeof(random), 0) != sizeof(random))
        continue;
    snprintf(o->token, sizeof(o->token), "%016llx", (unsigned long long)random);
    snprintf(o->before, sizeof(o->before), "%s", before);
    o->goes_on = work[0] != '\0';
    snprintf(o->work, sizeof(o->work), "%s", o->goes_on ? work : o->token);
    snprintf(o->key, sizeof(o->key), "%s:owner", marker);
    snprintf(o->lwm_key, sizeof(o->lwm_key), "%s:lwm", marker);
    writer_init(&o->reply, 2);
    writer_init(&o->lwm, 2);
    uv_timer_init(net->loop, &o->timer);
    o->timer.data = o;
}

static void ask(struct owner *o, const char *key, struct writer *reply, target_done *done)
{
    struct writer w;
    writer_init(&w, 2);
    writer_clear(reply, 2);
    write_request(&w, (const char *[]){ "GET", key }, 2);
    target_ask(o->target, SPAN("get"), (struct span){ key, strlen(key) }, writer_span(&w), reply,
               done, o);
    writer_close(&w);
}

static void on_set(void *context, const struct target_call *call)
{
    (void)context, (void)call; /* if it failed, the next one comes in a second */
}

static void set(struct owner *o, const char *const *words, size_t count, target_done *done)
{
    struct writer w;
    writer_init(&w, 2);
    write_request(&w, words, count);
    target_send(o->target, SPAN("set"), (struct span){ words[1], strlen(words[1]) },
                writer_span(&w), true, done, o);
    writer_close(&w);
}

static void renew(struct owner *o, target_done *done)
{
    char ms[16];
    snprintf(ms, sizeof(ms), "%d", LEASE_MS);
    set(o, (const char *[]){ "SET", o->key, o->token, "PX", ms }, 5, done);
}

static struct span text_of(const struct writer *reply)
{
    struct value_cursor c = { reply->at, reply->at + reply->len };
    struct value v;
    if (!value_next(&c, &v) || v.kind != VALUE_STRING)
        return (struct span){ "", 0 };
    return v.text;
}

static bool is_text(struct span s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

/* --- the beginning ------------------------------------------------------------------------- */

static void claim_ends(struct owner *o, const char *why)
{
    o->asking = false;
    o->user->on_claimed(o->context, why);
}

static void on_named(void *context, const struct target_call *call)
{
    static const char refused[] = "the target does not let us write our own keys (__mig:...)";
    struct owner *o = context;
    claim_ends(o, call->error[0] == '\0' ? NULL : refused);
}

/* Both answers are there. Nothing may be sent from inside a done, so a timer brings us here. */
static void on_timer(uv_timer_t *timer)
{
    struct owner *o = timer->data;
    char text[64];
    if (o->why != NULL) {
        claim_ends(o, o->why);
        return;
    }
    renew(o, on_set);
    snprintf(text, sizeof(text), "%s -", o->work);
    set(o, (const char *[]){ "SET", o->lwm_key, text }, 3, on_named);
}

/* Keys in two slots: the answers come in any order. */
static void answered(struct owner *o)
{
    if (--o->awaited == 0)
        uv_timer_start(&o->timer, on_timer, 0, 0);
}

static void on_lwm(void *context, const struct target_call *call)
{
    struct owner *o = context;
    struct span s = text_of(&o->lwm);
    bool same = s.len >= STATE_TOKEN_LEN && memcmp(s.at, o->work, STATE_TOKEN_LEN) == 0;
    if (o->why == NULL && call->error[0] != '\0')
        o->why = "the target cannot be asked who works on it";
    if (o->why == NULL && o->goes_on && !same)
        o->why = "the target is not the one that the state directory belongs to, or has been "
                 "emptied; start without it, with an empty target";
    answered(o);
}

static void on_owner(void *context, const struct target_call *call)
{
    struct owner *o = context;
    struct span s = text_of(&o->reply);
    if (call->error[0] != '\0')
        o->why = "the target cannot be asked who works on it";
    else if (s.len > 0 && !is_text(s, o->before))
        o->why = "another slotgate-migrate with this source (--name) works on the target, or did "
                 "so until some seconds ago";
    answered(o);
}

void owner_claim(struct owner *o)
{
    o->asking = true;
    o->awaited = 2;
    ask(o, o->key, &o->reply, on_owner);
    ask(o, o->lwm_key, &o->lwm, on_lwm);
}

/* --- from then on -------------------------------------------------------------------------- */

static void on_checked(void *context, const struct target_call *call)
{
    struct owner *o = context;
    struct span s = text_of(&o->reply);
    o->asking = false;
    if (call->error[0] == '\0' && s.len > 0 && !is_text(s, o->token) && !is_text(s, o->before))
        o->user->on_lost(o->context, "another slotgate-migrate with this source (--name) has "
                                     "begun to work on the target");
}

void owner_forget(struct owner *o)
{
    o->asking = false;
}

void owner_tick(struct owner *o, const char *history, uint64_t applied)
{
    char text[96];
    if (o->asking || o->closing)
        return;
    o->asking = true;
    ask(o, o->key, &o->reply, on_checked);
    renew(o, on_set);
    if (history[0] == '\0')
        return;
    snprintf(text, sizeof(text), "%s %.8s:%llu", o->work, history, (unsigned long long)applied);
    set(o, (const char *[]){ "SET", o->lwm_key, text }, 3, on_set);
}

void owner_close(struct owner *o)
{
    if (o->closing)
        return;
    o->closing = true;
    uv_close((uv_handle_t *)&o->timer, NULL);
}

void owner_free(struct owner *o)
{
    writer_close(&o->reply);
    writer_close(&o->lwm);
}
