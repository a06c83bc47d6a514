/* Letters between workers: order, size, answers, deadlines, full inboxes, deaths, generations. */
#include "proxy/talk.h"

#include <stdlib.h>
#include <string.h>

#include "test/unit/loop.h"

enum { WORKERS = 3, OTHER_LIFE = 77 };
enum { TOPIC_NOTE = 1, TOPIC_QUESTION, TOPIC_MUTE, TOPICS };

/* A worker of the test, and what it has heard. */
struct one {
    struct crew crew; /* its own copy, as after the fork */
    struct talk talk;
    uint32_t notes, questions, answers, done, missing;
    uint64_t bytes;
    uint32_t last; /* number in the last note */
    bool in_order;
};

struct scene {
    struct loop loop;
    int board_fd;
    struct board *board;
    struct crew_member members[WORKERS], young;
    struct one one[WORKERS], younger;
};

static struct scene scene;

/* --- what they say ------------------------------------------------------------------------- */

static void on_note(void *context, const struct talk_letter *letter)
{
    struct one *o = context;
    uint32_t number;
    assert_int_equal(letter->ask, 0);
    assert_true(letter->body.len >= sizeof(number));
    memcpy(&number, letter->body.at, sizeof(number));
    o->in_order = o->in_order && (o->notes == 0 || number == o->last + 1);
    o->last = number;
    o->notes++;
    o->bytes += letter->body.len;
}

static void on_question(void *context, const struct talk_letter *letter)
{
    struct one *o = context;
    o->questions++;
    talk_answer(&o->talk, letter, letter->body);
}

static void on_mute(void *context, const struct talk_letter *letter)
{
    (void)letter;
    ((struct one *)context)->questions++;
}

static const struct talk_topic topics[TOPICS] = {
    [TOPIC_NOTE] = { "note", on_note },
    [TOPIC_QUESTION] = { "question", on_question },
    [TOPIC_MUTE] = { "mute", on_mute },
};

static void on_answer(void *context, const struct talk_letter *answer)
{
    struct one *o = context;
    assert_int_equal(answer->body.len, 5);
    assert_memory_equal(answer->body.at, "hello", 5);
    o->answers++;
}

static void on_done(void *context, uint32_t missing)
{
    struct one *o = context;
    o->done++;
    o->missing = missing;
}

static const struct talk_asker asker = { .on_answer = on_answer, .on_done = on_done };

/* Long ones hold what looks like headers of letters. */
static void note(struct one *from, uint32_t number, size_t len)
{
    char *body = calloc(1, len);
    const uint32_t looks_like_a_length = 9999;
    assert_non_null(body);
    for (size_t at = 4; at + 4 <= len; at += 4)
        memcpy(body + at, &looks_like_a_length, 4);
    memcpy(body, &number, sizeof(number));
    talk_tell(&from->talk, TOPIC_NOTE, (struct span){ body, len });
    free(body);
}

/* --- life ---------------------------------------------------------------------------------- */

static void on_turn_end(void *context)
{
    struct scene *s = context;
    struct talk *all[] = { &s->one[0].talk, &s->one[1].talk, &s->one[2].talk, &s->younger.talk };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (!all[i]->open)
            continue;
        talk_finish_asks(all[i]);
        talk_send(all[i]);
    }
}

static void wake(struct scene *s, uint32_t number, uint32_t life)
{
    struct one *o = &s->one[number];
    *o = (struct one){ .in_order = true };
    o->crew = (struct crew){
        .generation = 0, .count = WORKERS, .members = s->members, .board = s->board
    };
    talk_open(&o->talk, &s->loop.uv, &o->crew, number, topics, TOPICS, o);
    o->talk.self.life = life;
    seat_enter(crew_seat(&o->crew, number), SEAT_SERVING);
}

/* It dies, and what it had in mind with it. */
static void die(struct scene *s, struct one *o)
{
    for (uint32_t i = 0; i < o->talk.peer_count; i++)
        writer_clear(&o->talk.peers[i]->out, 2);
    talk_close(&o->talk);
    uv_run(&s->loop.uv, UV_RUN_NOWAIT);
    talk_free(&o->talk);
    o->talk.open = false;
}

static int begin(void **state)
{
    struct scene *s = &scene;
    *s = (struct scene){ 0 };
    loop_begin(&s->loop, on_turn_end, s);
    s->board_fd = board_make();
    assert_true(s->board_fd >= 0);
    s->board = board_map(s->board_fd);
    assert_non_null(s->board);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                                    &s->members[i].inbox[TALK_READ]),
                         0);
    for (uint32_t i = 0; i < WORKERS; i++)
        wake(s, i, i + 1);
    *state = s;
    return 0;
}

static int end(void **state)
{
    struct scene *s = *state;
    for (int i = 0; i < WORKERS; i++)
        if (s->one[i].talk.open)
            die(s, &s->one[i]);
    if (s->younger.talk.open)
        die(s, &s->younger);
    loop_end(&s->loop);
    for (uint32_t i = 0; i < WORKERS; i++) {
        close(s->members[i].inbox[TALK_READ]);
        close(s->members[i].inbox[TALK_WRITE]);
    }
    board_unmap(s->board);
    close(s->board_fd);
    return 0;
}

/* --- cases --------------------------------------------------------------------------------- */

static void test_told(void **state)
{
    struct scene *s = *state;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        size_t len = i % 100 == 0 ? 200 * 1000 + i : 4 + i % 50;
        note(&s->one[0], i, len);
        bytes += len;
    }
    LOOP_UNTIL(&s->loop, s->one[1].notes == 3000 && s->one[2].notes == 3000);
    for (int i = 1; i < WORKERS; i++) {
        assert_true(s->one[i].in_order);
        assert_int_equal(s->one[i].bytes, bytes);
    }
    assert_int_equal(s->one[0].notes, 0);
}

static void test_asked(void **state)
{
    struct scene *s = *state;
    struct one *o = &s->one[1];
    talk_ask(&o->talk, TOPIC_QUESTION, SPAN("hello"), &asker, o);
    assert_int_equal(o->done, 0);
    LOOP_UNTIL(&s->loop, o->done == 1);
    assert_int_equal(o->answers, 2);
    assert_int_equal(o->missing, 0);
    assert_true(list_is_empty(&o->talk.asks) && list_is_empty(&o->talk.finished));
}

static void test_forgotten(void **state)
{
    struct scene *s = *state;
    struct one *o = &s->one[1];
    uint64_t ask = talk_ask(&o->talk, TOPIC_QUESTION, SPAN("hello"), &asker, o);
    talk_forget(&o->talk, ask);
    talk_ask(&o->talk, TOPIC_QUESTION, SPAN("hello"), &asker, o);
    LOOP_UNTIL(&s->loop, o->done == 1);
    assert_int_equal(o->answers, 2);
    assert_int_equal(s->one[0].questions, 2);
}

static void test_unknown_topic(void **state)
{
    struct scene *s = *state;
    struct one *o = &s->one[0];
    static const struct talk_asker plain = { .on_done = on_done };
    uint64_t begun = uv_hrtime();
    talk_ask(&o->talk, 99, SPAN("hello"), &plain, o);
    LOOP_UNTIL(&s->loop, o->done == 1);
    assert_int_equal(o->missing, 0);
    assert_true(uv_hrtime() - begun < (uint64_t)TALK_ANSWER_MS * 1000000);
}

/* One does not answer in time: the others count, and it is not waited for again until it is heard.
 */
static void test_silent(void **state)
{
    struct scene *s = *state;
    struct one *o = &s->one[0];
    uv_poll_stop(&s->one[2].talk.inbox);
    uint64_t begun = uv_hrtime();
    talk_ask(&o->talk, TOPIC_QUESTION, SPAN("hello"), &asker, o);
    LOOP_UNTIL(&s->loop, o->done == 1);
    assert_true(uv_hrtime() - begun >= (uint64_t)(TALK_ANSWER_MS - 5) * 1000000);
    assert_int_equal(o->answers, 1);
    assert_int_equal(o->missing, 1);
    begun = uv_hrtime();
    talk_ask(&o->talk, TOPIC_QUESTION, SPAN("hello"), &asker, o);
    LOOP_UNTIL(&s->loop, o->done == 2);
    assert_true(uv_hrtime() - begun < (uint64_t)TALK_ANSWER_MS * 1000000);
    assert_int_equal(o->missing, 1);
    uv_poll_start(&s->one[2].talk.inbox, UV_READABLE, s->one[2].talk.inbox.poll_cb);
    LOOP_UNTIL(&s->loop, !o->talk.peers[1]->silent);
    talk_ask(&o->talk, TOPIC_QUESTION, SPAN("hello"), &asker, o);
    LOOP_UNTIL(&s->loop, o->done == 3);
    assert_int_equal(o->missing, 0);
    assert_int_equal(o->answers, 4);
}

/* One leaves while it is waited for. */
static void test_leaves(void **state)
{
    struct scene *s = *state;
    struct one *o = &s->one[0];
    uint64_t begun = uv_hrtime();
    talk_ask(&o->talk, TOPIC_MUTE, SPAN("hello"), &asker, o);
    LOOP_UNTIL(&s->loop, s->one[1].questions == 1 && s->one[2].questions == 1);
    seat_enter(crew_seat(&o->crew, 1), SEAT_LEFT);
    seat_enter(crew_seat(&o->crew, 2), SEAT_LEFT);
    LOOP_UNTIL(&s->loop, o->done == 1);
    assert_true(uv_hrtime() - begun < (uint64_t)TALK_ANSWER_MS * 1000000);
    assert_int_equal(o->missing, 2);
    assert_false(talk_has_company(&o->talk, NULL));
}

/* Nothing is lost up to the limit, and past it letters are dropped whole. */
static void test_full(void **state)
{
    struct scene *s = *state;
    struct one *o = &s->one[0];
    const size_t len = 1024 * 1024;
    uint32_t n = 0;
    uv_poll_stop(&s->one[2].talk.inbox);
    for (; o->talk.dropped == 0; n++) {
        assert_true(n < 100);
        note(o, n, len);
        loop_run_ms(&s->loop, 2);
    }
    assert_true(n >= TALK_QUEUE_MAX / len);
    uv_poll_start(&s->one[2].talk.inbox, UV_READABLE, s->one[2].talk.inbox.poll_cb);
    LOOP_UNTIL(&s->loop, s->one[1].notes == n && s->one[2].notes == n - 1);
    assert_true(s->one[1].in_order && s->one[2].in_order);
}

/* Half a letter has been read by one that dies; the next one reads what comes whole. */
static void test_reader_dies(void **state)
{
    struct scene *s = *state;
    note(&s->one[0], 0, 300 * 1000);
    LOOP_UNTIL(&s->loop, s->one[1].notes == 1); /* it has read all; the other one reads anew */
    note(&s->one[0], 1, 3 * 1000 * 1000);
    LOOP_UNTIL(&s->loop, s->one[2].talk.peers[0]->in.len > 0);
    die(s, &s->one[2]);
    wake(s, 2, OTHER_LIFE);
    note(&s->one[0], 2, 10);
    note(&s->one[0], 3, 300 * 1000);
    LOOP_UNTIL(&s->loop, s->one[2].last == 3);
    assert_int_equal(s->one[2].notes, 2);
    LOOP_UNTIL(&s->loop, s->one[1].last == 3);
    assert_true(s->one[1].in_order);
}

/* One dies that has sent half a letter; the one that replaces it is understood. */
static void test_writer_dies(void **state)
{
    struct scene *s = *state;
    note(&s->one[0], 5, 3 * 1000 * 1000);
    LOOP_UNTIL(&s->loop, s->one[2].talk.peers[0]->in.len > 0);
    die(s, &s->one[0]);
    wake(s, 0, OTHER_LIFE);
    note(&s->one[0], 7, 10);
    LOOP_UNTIL(&s->loop, s->one[2].notes == 1 && s->one[1].notes == 1);
    assert_int_equal(s->one[2].last, 7);
}

/* A worker of the next generation finds the old ones, and they find it. */
static void test_generations(void **state)
{
    struct scene *s = *state;
    struct one *y = &s->younger;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                                &s->young.inbox[TALK_READ]),
                     0);
    *y = (struct one){ .in_order = true };
    y->crew = (struct crew){ .generation = 1, .count = 1, .members = &s->young, .board = s->board };
    crew_inherit_elders(&y->crew, &s->one[0].crew);
    assert_int_equal(y->crew.elder_count, WORKERS);
    seat_enter(crew_seat(&y->crew, 0), SEAT_SERVING);
    talk_open(&y->talk, &s->loop.uv, &y->crew, 0, topics, TOPICS, y);
    y->talk.self.life = OTHER_LIFE;
    talk_ask(&y->talk, TOPIC_QUESTION, SPAN("hello"), &asker, y);
    LOOP_UNTIL(&s->loop, y->done == 1);
    assert_int_equal(y->answers, WORKERS);
    talk_ask(&s->one[1].talk, TOPIC_QUESTION, SPAN("hello"), &asker, &s->one[1]);
    LOOP_UNTIL(&s->loop, s->one[1].done == 1);
    assert_int_equal(s->one[1].answers, WORKERS);
    assert_int_equal(y->questions, 1);
    die(s, y);
    for (uint32_t i = 0; i < WORKERS; i++)
        close(y->crew.elders[i].inbox);
    free(y->crew.elders);
    close(s->young.inbox[TALK_READ]);
    close(s->young.inbox[TALK_WRITE]);
    /* It has gone without a word, and nobody reads its inbox. */
    talk_ask(&s->one[1].talk, TOPIC_QUESTION, SPAN("hello"), &asker, &s->one[1]);
    LOOP_UNTIL(&s->loop, s->one[1].done == 2);
    assert_int_equal(s->one[1].answers, WORKERS + 2);
    assert_int_equal(s->one[1].missing, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_told, begin, end),
        cmocka_unit_test_setup_teardown(test_asked, begin, end),
        cmocka_unit_test_setup_teardown(test_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(test_unknown_topic, begin, end),
        cmocka_unit_test_setup_teardown(test_silent, begin, end),
        cmocka_unit_test_setup_teardown(test_leaves, begin, end),
        cmocka_unit_test_setup_teardown(test_full, begin, end),
        cmocka_unit_test_setup_teardown(test_reader_dies, begin, end),
        cmocka_unit_test_setup_teardown(test_writer_dies, begin, end),
        cmocka_unit_test_setup_teardown(test_generations, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
