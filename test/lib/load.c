#include "test/lib/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/lib/client.h"
#include "test/lib/load_private.h"
#include "test/lib/testenv.h"

enum { DEPTH_MAX = 256 };

struct sent {
    char kind; /* 'c' own counter, 's' shared counter, 'l' list, 'S' SET, 'G' GET, 'e' ECHO */
    int key;
    uint32_t number;
    bool behind_set; /* a GET behind a SET of its key in the same pipeline */
};

void load_key(const struct load *l, char kind, int client, int key, char out[64])
{
    char tag[32] = "";

    if (l->options.tag_count > 0)
        snprintf(tag, sizeof(tag), "{%s}",
                 l->options.tags[(client + 1 + key) % l->options.tag_count]);
    snprintf(out, 64, "%sload%d:%c:%d:%d", tag, l->number, kind, client, key);
}

void load_wrong(struct load *l, const char *fmt, ...)
{
    va_list args;

    pthread_mutex_lock(&l->lock);
    if (l->tally.wrong++ == 0) {
        va_start(args, fmt);
        vsnprintf(l->tally.first_wrong, sizeof(l->tally.first_wrong), fmt, args);
        va_end(args);
    }
    pthread_mutex_unlock(&l->lock);
}

static void send_one(struct load_client *lc, struct client *c, struct sent *s)
{
    char key[64], value[64];
    struct list_tally *list = &lc->list[s->key];

    load_key(lc->load, s->kind == 'G' ? 'S' : s->kind, s->kind == 's' ? -1 : lc->index, s->key,
             key);
    switch (s->kind) {
    case 'c':
    case 's':
        client_send_command(c, "INCR", key, NULL);
        break;
    case 'l':
        if (list->count == list->room) {
            list->room = list->room == 0 ? 1024 : 2 * list->room;
            list->fate = realloc(list->fate, list->room);
            REQUIRE(list->fate != NULL);
        }
        s->number = list->count++;
        list->fate[s->number] = FATE_UNCERTAIN; /* until we know better */
        snprintf(value, sizeof(value), "%u", s->number);
        client_send_command(c, "RPUSH", key, value, NULL);
        break;
    case 'S':
        s->number = ++lc->token_high[s->key];
        snprintf(value, sizeof(value), "%d/%d/%u", lc->index, s->key, s->number);
        client_send_command(c, "SET", key, value, NULL);
        break;
    case 'G':
        client_send_command(c, "GET", key, NULL);
        break;
    default:
        snprintf(value, sizeof(value), "echo/%d/%u", lc->index, s->number);
        client_send_command(c, "ECHO", value, NULL);
    }
}

/* Which requests of the pipeline are of which kind and about which key. */
static void choose(struct load_client *lc, struct sent *s, uint32_t n, bool only_gets)
{
    /* Two pushes to one list side by side, and a GET right behind its SET, so that it shows when
       neighbours change places. */
    static const char order[] = { 'l', 'l', 'c', 'S', 'G', 's', 'e', 'c' };
    static const unsigned kind[] = { LOAD_LIST,  LOAD_LIST,  LOAD_COUNT, LOAD_TOKEN,
                                     LOAD_TOKEN, LOAD_COUNT, LOAD_ECHO,  LOAD_COUNT };
    uint32_t i = only_gets ? 4 : n;

    while ((lc->load->options.kinds & kind[i % ARRAY_LEN(order)]) == 0)
        i++;
    i %= (uint32_t)ARRAY_LEN(order);
    s->kind = order[i];
    s->number = n;
    s->behind_set = false;
    s->key = (int)(only_gets ? n : n / 8) % (s->kind == 's' ? LOAD_SHARED : lc->load->options.keys);
}

/* What stands before the last of these n requests in its pipeline. */
static void look_back(struct sent *s, int n)
{
    struct sent *last = &s[n - 1];

    for (int i = 0; i < n - 1 && last->kind == 'G'; i++)
        last->behind_set = last->behind_set || (s[i].kind == 'S' && s[i].key == last->key);
}

/* A reply that was no error to an INCR; strict: the value must be possible by itself. */
static void check_counter(struct load_client *lc, const struct sent *s, const char *reply)
{
    struct counter_tally *t = s->kind == 'c' ? &lc->own[s->key] : &lc->shared[s->key];
    uint64_t value = strtoull(reply + 1, NULL, 10);

    t->acknowledged++;
    if (reply[0] != ':' || value == 0)
        load_wrong(lc->load, "INCR answered %.60s", reply);
    else if (s->kind == 'c' && value > t->acknowledged + t->uncertain)
        load_wrong(lc->load,
                   "own counter %d:%d became %llu after %llu acknowledged, %llu uncertain",
                   lc->index, s->key, (unsigned long long)value,
                   (unsigned long long)t->acknowledged, (unsigned long long)t->uncertain);
    else if (s->kind == 'c' && value < t->acknowledged && !lc->load->options.lossy)
        load_wrong(lc->load, "own counter %d:%d is only %llu after %llu acknowledged", lc->index,
                   s->key, (unsigned long long)value, (unsigned long long)t->acknowledged);
}

static void check_get(struct load_client *lc, const struct sent *s, const char *reply)
{
    uint32_t last = lc->token[s->key], number;
    int client, key, used = 0;
    bool may_be_old = lc->load->options.replicas && !s->behind_set;
    bool strict = !lc->load->options.lossy && !lc->token_open[s->key] && !may_be_old;

    if (strcmp(reply, "$-1\r\n") == 0) {
        if (last != 0 && !lc->load->options.lossy && !may_be_old)
            load_wrong(lc->load, "GET of key %d:%d answered nil after SET %u", lc->index, s->key,
                       last);
        return;
    }
    if (sscanf(reply, "$%*d\r\n%d/%d/%u%n", &client, &key, &number, &used) != 3 ||
        strcmp(reply + used, "\r\n") != 0 || client != lc->index || key != s->key)
        load_wrong(lc->load, "GET of key %d:%d answered %.60s", lc->index, s->key, reply);
    else if (may_be_old && number > lc->token_high[s->key])
        load_wrong(lc->load, "GET of key %d:%d answered number %u, which was never sent", lc->index,
                   s->key, number);
    else if (strict && number != last)
        load_wrong(lc->load, "GET of key %d:%d answered number %u, the last SET was %u", lc->index,
                   s->key, number, last);
}

static void on_success(struct load_client *lc, const struct sent *s, const char *reply)
{
    char echo[64], wanted[128];

    switch (s->kind) {
    case 'c':
    case 's':
        check_counter(lc, s, reply);
        break;
    case 'l':
        lc->list[s->key].fate[s->number] = FATE_ACKNOWLEDGED;
        if (reply[0] != ':')
            load_wrong(lc->load, "RPUSH answered %.60s", reply);
        break;
    case 'S':
        lc->token[s->key] = s->number;
        lc->token_open[s->key] = false;
        if (strcmp(reply, "+OK\r\n") != 0)
            load_wrong(lc->load, "SET answered %.60s", reply);
        break;
    case 'G':
        check_get(lc, s, reply);
        break;
    default:
        snprintf(echo, sizeof(echo), "echo/%d/%u", lc->index, s->number);
        snprintf(wanted, sizeof(wanted), "$%zu\r\n%s\r\n", strlen(echo), echo);
        if (strcmp(reply, wanted) != 0)
            load_wrong(lc->load, "ECHO %s answered %.60s", echo, reply);
    }
}

static void on_error(struct load_client *lc, const struct sent *s, const char *reply,
                     bool uncertain)
{
    if (s->kind == 'c')
        lc->own[s->key].uncertain += uncertain;
    else if (s->kind == 's')
        lc->shared[s->key].uncertain += uncertain;
    else if (s->kind == 'l')
        lc->list[s->key].fate[s->number] = uncertain ? FATE_UNCERTAIN : FATE_REFUSED;
    else if (s->kind == 'S')
        lc->token_open[s->key] |= uncertain;
    else if (uncertain)
        load_wrong(lc->load, "a read \"may have been executed\": %.100s", reply);
    if (s->kind == 'e')
        load_wrong(lc->load, "ECHO answered %.100s", reply);
}

static void on_reply(struct load_client *lc, const struct sent *s, const char *reply,
                     uint64_t began)
{
    struct load *l = lc->load;
    bool uncertain = strstr(reply, "may have been executed") != NULL;
    uint64_t took = now_ms() - began;

    if (reply[0] == '-')
        on_error(lc, s, reply, uncertain);
    else
        on_success(lc, s, reply);
    pthread_mutex_lock(&l->lock);
    if (reply[0] != '-')
        l->tally.answered++;
    else if (uncertain)
        l->tally.uncertain++;
    else
        l->tally.errors++;
    if (reply[0] == '-' && l->tally.first_error[0] == '\0')
        snprintf(l->tally.first_error, sizeof(l->tally.first_error), "%.150s", reply);
    if (took > l->tally.slowest_ms)
        l->tally.slowest_ms = took;
    pthread_mutex_unlock(&l->lock);
}

static void *run_client(void *arg)
{
    struct load_client *lc = arg;
    struct load *l = lc->load;
    struct sent sent[DEPTH_MAX];
    struct client c;
    uint32_t n = 0;
    bool only_gets = false;

    if (!client_open(&c, l->options.port))
        load_wrong(l, "client %d cannot connect", lc->index);
    c.timeout_ms = l->options.patience_ms;
    while (c.fd >= 0 && !atomic_load(&l->stop)) {
        uint64_t began = now_ms();
        int i = 0;

        for (int j = 0; j < l->options.depth; j++) {
            choose(lc, &sent[j], n++, only_gets);
            look_back(sent, j + 1);
            send_one(lc, &c, &sent[j]);
        }
        for (; i < l->options.depth; i++) {
            const char *reply = client_read(&c, NULL);
            if (reply == NULL)
                break;
            on_reply(lc, &sent[i], reply, began);
        }
        if (i < l->options.depth) {
            /* A client of the proxy never loses its connection by what happens behind it. */
            load_wrong(l, "client %d got no reply to request %c after %d ms: %s", lc->index,
                       sent[i].kind, (int)(now_ms() - began), client_state_text(&c));
            for (; i < l->options.depth; i++)
                on_error(lc, &sent[i], "", sent[i].kind != 'G' && sent[i].kind != 'e');
            break;
        }
        only_gets = l->options.replicas && !only_gets;
        rest_us(l->options.rest_us);
    }
    if (c.fd >= 0 && c.state == CLIENT_OPEN && !client_hears_nothing(&c, 0))
        load_wrong(l, "client %d got more replies than it sent requests", lc->index);
    client_close(&c);
    return NULL;
}

struct load *load_start(const struct load_options *options)
{
    static int started;
    struct load *l = calloc(1, sizeof(*l));

    REQUIRE(l != NULL);
    l->number = ++started;
    l->options = *options;
    l->options.kinds = options->kinds != 0 ? options->kinds : LOAD_ALL;
    l->options.clients = options->clients != 0 ? options->clients : 6;
    l->options.depth = options->depth != 0 ? options->depth : 12;
    l->options.keys = options->keys != 0 ? options->keys : 4;
    l->options.rest_us = options->rest_us != 0 ? options->rest_us : 4000;
    l->options.patience_ms = options->patience_ms != 0 ? options->patience_ms : scaled_ms(10000);
    REQUIRE(l->options.clients <= LOAD_CLIENTS_MAX && l->options.keys <= LOAD_KEYS_MAX);
    REQUIRE(l->options.depth <= DEPTH_MAX);
    pthread_mutex_init(&l->lock, NULL);
    for (int i = 0; i < l->options.clients; i++) {
        l->client[i].load = l;
        l->client[i].index = i;
        REQUIRE(pthread_create(&l->client[i].thread, NULL, run_client, &l->client[i]) == 0);
    }
    return l;
}

struct load_tally load_now(struct load *l)
{
    pthread_mutex_lock(&l->lock);
    struct load_tally t = l->tally;
    pthread_mutex_unlock(&l->lock);
    return t;
}

struct goal {
    struct load *load;
    uint64_t answered;
};

static bool goal_is_reached(void *arg)
{
    struct goal *g = arg;

    return load_now(g->load).answered >= g->answered;
}

bool load_goes_on(struct load *l, uint64_t replies, int timeout_ms)
{
    struct goal g = { l, load_now(l).answered + replies };

    return wait_until(goal_is_reached, &g, timeout_ms);
}

void load_stop(struct load *l)
{
    if (l->stopped)
        return;
    atomic_store(&l->stop, true);
    for (int i = 0; i < l->options.clients; i++)
        pthread_join(l->client[i].thread, NULL);
    l->stopped = true;
}
