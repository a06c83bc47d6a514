#include "proxy/talk.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

enum {
    TAKE_MAX = 32, /* packets in one turn */
    TICK_MS = 20,  /* while asks are open ... */
    RETRY_MS = 2,  /* ... and while an inbox is full */
};

struct talk_ask {
    struct list_node in_asks; /* or in finished */
    uint64_t id;
    const struct talk_asker *asker;
    void *context;
    uint64_t deadline; /* ms of loop time */
    uint32_t open;     /* peers still waited for */
    uint32_t missing;
    uint32_t count;
    struct talk_peer *waits[]; /* NULL: has answered, or is not waited for */
};

/* --- peers ------------------------------------------------------------------------------------ */

struct seat *talk_seat(const struct talk *t, const struct talk_peer *p)
{
    return board_seat(t->crew->board, p->generation, p->number);
}

bool talk_is_there(const struct talk *t, const struct talk_peer *p)
{
    uint32_t state = seat_state(talk_seat(t, p));
    return p->fd >= 0 && state != SEAT_EMPTY && state != SEAT_LEFT;
}

/* One that only starts hears everything, but has nothing to say yet. */
static bool can_answer(const struct talk *t, const struct talk_peer *p)
{
    return talk_is_there(t, p) && !p->silent && seat_state(talk_seat(t, p)) != SEAT_STARTING;
}

static bool is_concerned(const struct talk *t, const struct talk_peer *p,
                         const struct talk_asker *asker)
{
    return asker == NULL || asker->concerns == NULL || asker->concerns(talk_seat(t, p));
}

bool talk_has_company(const struct talk *t, const struct talk_asker *asker)
{
    for (uint32_t i = 0; i < t->peer_count; i++)
        if (can_answer(t, t->peers[i]) && is_concerned(t, t->peers[i], asker))
            return true;
    return false;
}

struct talk_peer *talk_anybody(const struct talk *t)
{
    for (uint32_t i = 0; i < t->peer_count; i++)
        if (can_answer(t, t->peers[i]))
            return t->peers[i];
    return NULL;
}

static struct talk_peer *find_peer(const struct talk *t, uint32_t generation, uint32_t number)
{
    for (uint32_t i = 0; i < t->peer_count; i++)
        if (t->peers[i]->generation == generation && t->peers[i]->number == number)
            return t->peers[i];
    return NULL;
}

static struct talk_peer *add_peer(struct talk *t, uint32_t generation, uint32_t number, int fd)
{
    struct talk_peer *p = calloc(1, sizeof(*p));
    t->peers = realloc(t->peers, (t->peer_count + 1) * sizeof(struct talk_peer *));
    REQUIRE(p != NULL && t->peers != NULL);
    *p = (struct talk_peer){ .generation = generation, .number = number, .fd = fd };
    writer_init(&p->out, 2);
    writer_init(&p->in, 2);
    t->peers[t->peer_count++] = p;
    return p;
}

/* A worker of a younger generation shows the way into its inbox. */
static struct talk_peer *meet(struct talk *t, const struct talk_packet *packet)
{
    struct talk_peer *p = find_peer(t, packet->generation, packet->number);
    if (packet->fd < 0)
        return p;
    if (packet->life == 0 || (p != NULL && !p->owns_fd && p->fd >= 0)) {
        close(packet->fd);
        return p;
    }
    if (p == NULL)
        p = add_peer(t, packet->generation, packet->number, packet->fd);
    else if (p->fd >= 0)
        close(p->fd);
    p->fd = packet->fd;
    p->owns_fd = true;
    return p;
}

/* --- letters that leave ----------------------------------------------------------------------- */

static void start_timer(struct talk *t, uint64_t ms);

static bool send_all(struct talk *t)
{
    bool sent = true;
    for (uint32_t i = 0; i < t->peer_count; i++)
        sent = talk_wire_send(t->peers[i], &t->self) && sent;
    t->pending = false;
    return sent;
}

static bool post(struct talk *t, struct talk_peer *to, const struct talk_raw_letter *letter)
{
    t->pending = true;
    if (talk_wire_post(to, letter))
        return true;
    t->dropped++;
    log_warn("a letter to another worker is dropped: it does not read", "worker=%u topic=%u",
             to->number, letter->topic);
    return false;
}

void talk_tell_one(struct talk *t, struct talk_peer *to, uint16_t topic, struct span body)
{
    struct talk_raw_letter letter = { .topic = topic, .kind = TALK_TOLD, .body = body };
    if (talk_is_there(t, to))
        (void)post(t, to, &letter);
}

void talk_tell(struct talk *t, uint16_t topic, struct span body)
{
    for (uint32_t i = 0; i < t->peer_count; i++)
        talk_tell_one(t, t->peers[i], topic, body);
}

void talk_answer(struct talk *t, const struct talk_letter *letter, struct span body)
{
    struct talk_raw_letter answer = { .kind = TALK_ANSWERED, .ask = letter->ask, .body = body };
    if (letter->ask != 0 && talk_is_there(t, letter->from))
        (void)post(t, letter->from, &answer);
}

/* --- asking ----------------------------------------------------------------------------------- */

uint64_t talk_ask(struct talk *t, uint16_t topic, struct span body, const struct talk_asker *asker,
                  void *context)
{
    struct talk_ask *a = calloc(1, sizeof(*a) + t->peer_count * sizeof(struct talk_peer *));
    REQUIRE(a != NULL);
    a->id = (uint64_t)t->self.life << 32 | ++t->last_ask;
    a->asker = asker;
    a->context = context;
    a->deadline = uv_now(t->loop) + TALK_ANSWER_MS;
    a->count = t->peer_count;
    struct talk_raw_letter letter = {
        .topic = topic, .kind = TALK_ASKED, .ask = a->id, .body = body
    };
    for (uint32_t i = 0; i < t->peer_count; i++) {
        struct talk_peer *p = t->peers[i];
        if (!talk_is_there(t, p) || !is_concerned(t, p, asker))
            continue;
        bool answers = can_answer(t, p);
        a->missing += p->silent;
        if (!post(t, p, &letter) || !answers)
            continue;
        a->waits[i] = p;
        a->open++;
    }
    list_append(a->open > 0 ? &t->asks : &t->finished, &a->in_asks);
    start_timer(t, TICK_MS);
    return a->id;
}

static struct talk_ask *ask_of(struct list_node *n)
{
    return LIST_ENTRY(n, struct talk_ask, in_asks);
}

static struct talk_ask *find_ask(struct list_node *list, uint64_t id)
{
    struct list_node *n, *safe;
    LIST_EACH (list, n, safe)
        if (ask_of(n)->id == id)
            return ask_of(n);
    return NULL;
}

static void drop_ask(struct talk_ask *a)
{
    list_remove(&a->in_asks);
    free(a);
}

void talk_forget(struct talk *t, uint64_t id)
{
    struct talk_ask *a = find_ask(&t->asks, id);
    if (a == NULL)
        a = find_ask(&t->finished, id);
    if (a != NULL)
        drop_ask(a);
}

static void finish(struct talk_ask *a)
{
    list_remove(&a->in_asks);
    if (a->asker->on_done != NULL)
        a->asker->on_done(a->context, a->missing + a->open);
    free(a);
}

static void answered(struct talk *t, struct talk_ask *a, const struct talk_letter *letter)
{
    uint32_t i = 0;
    while (i < a->count && a->waits[i] != letter->from)
        i++;
    if (i == a->count)
        return;
    a->waits[i] = NULL;
    a->open--;
    if (a->asker->on_answer != NULL)
        a->asker->on_answer(a->context, letter);
    if (a->open > 0)
        return;
    list_remove(&a->in_asks);
    list_append(&t->finished, &a->in_asks);
}

/* Those that will not answer any more. */
static void look_at(struct talk *t, struct talk_ask *a, uint64_t now)
{
    for (uint32_t i = 0; i < a->count; i++) {
        struct talk_peer *p = a->waits[i];
        if (p == NULL || (talk_is_there(t, p) && now < a->deadline))
            continue;
        p->silent = p->silent || talk_is_there(t, p);
        a->waits[i] = NULL;
        a->missing++;
        a->open--;
    }
    if (a->open > 0)
        return;
    list_remove(&a->in_asks);
    list_append(&t->finished, &a->in_asks);
}

/* --- letters that come ------------------------------------------------------------------------ */

static void hand_on(struct talk *t, struct talk_peer *from, const struct talk_raw_letter *raw)
{
    struct talk_letter letter = { .from = from, .body = raw->body };
    if (raw->kind == TALK_ANSWERED) {
        struct talk_ask *a = find_ask(&t->asks, raw->ask);
        if (a != NULL)
            answered(t, a, &letter);
        return;
    }
    letter.ask = raw->kind == TALK_ASKED ? raw->ask : 0;
    if (raw->topic < t->topic_count && t->topics[raw->topic].heard != NULL)
        t->topics[raw->topic].heard(t->context, &letter);
    else
        talk_answer(t, &letter, SPAN("")); /* another version's: it need not wait */
}

static bool take_one(struct talk *t)
{
    struct talk_packet packet;
    struct talk_raw_letter letter;
    if (!talk_wire_read(t->crew->members[t->self.number].inbox[TALK_READ], t->room, &packet))
        return false;
    struct talk_peer *from = meet(t, &packet);
    if (from == NULL || packet.life == 0)
        return true;
    talk_wire_take(from, &packet);
    size_t at = 0;
    while (talk_wire_next(from, &at, &letter))
        hand_on(t, from, &letter);
    talk_wire_taken(from, at);
    return true;
}

static void on_inbox(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    for (int i = 0; i < TAKE_MAX && take_one(poll->data); i++)
        ;
}

/* --- time ------------------------------------------------------------------------------------- */

/* What has come counts, also when this process itself has not run for a while. */
static void on_timer(uv_timer_t *timer)
{
    struct talk *t = timer->data;
    struct list_node *n, *safe;
    uint64_t now = uv_now(t->loop);
    on_inbox(&t->inbox, 0, 0);
    LIST_EACH (&t->asks, n, safe)
        look_at(t, ask_of(n), now);
    if (!send_all(t))
        start_timer(t, RETRY_MS);
    else if (!list_is_empty(&t->asks))
        start_timer(t, TICK_MS);
}

static void start_timer(struct talk *t, uint64_t ms)
{
    if (!uv_is_active((uv_handle_t *)&t->timer) || ms < TICK_MS)
        uv_timer_start(&t->timer, on_timer, ms, 0);
}

void talk_finish_asks(struct talk *t)
{
    while (!list_is_empty(&t->finished))
        finish(ask_of(t->finished.next)); /* NOLINT(clang-analyzer-unix.Malloc) */
}

void talk_send(struct talk *t)
{
    if (t->pending && !send_all(t))
        start_timer(t, RETRY_MS);
}

/* --- life ------------------------------------------------------------------------------------- */

static void add_peers(struct talk *t)
{
    struct crew *crew = t->crew;
    for (uint32_t i = 0; i < crew->count; i++)
        if (i != t->self.number)
            add_peer(t, crew->generation, i, crew->members[i].inbox[TALK_WRITE]);
    for (uint32_t i = 0; i < crew->elder_count; i++) {
        const struct crew_elder *e = &crew->elders[i];
        add_peer(t, e->generation, e->number, e->inbox)->introduce = true;
        t->pending = true;
    }
}

void talk_open(struct talk *t, uv_loop_t *loop, struct crew *crew, uint32_t number,
               const struct talk_topic *topics, uint32_t topic_count, void *context)
{
    int inbox = crew->members[number].inbox[TALK_READ];
    *t = (struct talk){ .loop = loop,
                        .crew = crew,
                        .topics = topics,
                        .topic_count = topic_count,
                        .context = context,
                        .open = true };
    t->self = (struct talk_self){ .generation = crew->generation,
                                  .number = number,
                                  .life = (uint32_t)getpid(),
                                  .inbox = crew->members[number].inbox[TALK_WRITE] };
    list_init(&t->asks);
    list_init(&t->finished);
    t->room = malloc(TALK_PACKET_MAX);
    REQUIRE(t->room != NULL);
    add_peers(t);
    int rc = uv_poll_init(loop, &t->inbox, inbox);
    REQUIRE(rc == 0);
    uv_timer_init(loop, &t->timer);
    t->inbox.data = t->timer.data = t;
    uv_poll_start(&t->inbox, UV_READABLE, on_inbox);
}

void talk_close(struct talk *t)
{
    if (!t->open)
        return;
    t->open = false;
    (void)send_all(t);
    uv_close((uv_handle_t *)&t->inbox, NULL);
    uv_close((uv_handle_t *)&t->timer, NULL);
    list_splice(&t->asks, &t->finished);
    while (!list_is_empty(&t->asks))
        drop_ask(ask_of(t->asks.next)); /* NOLINT(clang-analyzer-unix.Malloc) */
}

void talk_free(struct talk *t)
{
    for (uint32_t i = 0; i < t->peer_count; i++) {
        talk_peer_close(t->peers[i]);
        free(t->peers[i]);
    }
    free(t->peers);
    free(t->room);
}
