#include "proxy/top_keys.h"

#include <stdlib.h>

enum { TRIES = 100 };

/* --- versions --------------------------------------------------------------------------------- */

/* NOLINTBEGIN(readability-non-const-parameter): written by the atomic stores */
static void begin_change(uint32_t *version)
{
    __atomic_store_n(version, *version | 1u, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end_change(uint32_t *version)
{
    __atomic_store_n(version, *version + 1, __ATOMIC_RELEASE);
}
/* NOLINTEND(readability-non-const-parameter) */

static void copy_stable(void *to, const void *from, const uint32_t *version, size_t size)
{
    for (int i = 0; i < TRIES; i++) {
        uint32_t before = __atomic_load_n(version, __ATOMIC_ACQUIRE);
        memcpy(to, from, size);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (before % 2 == 0 && before == __atomic_load_n(version, __ATOMIC_RELAXED))
            return;
    }
}

void top_hot_copy(struct hot_keys *to, const struct hot_keys *from)
{
    copy_stable(to, from, &from->version, sizeof(*to));
    to->count = to->count < TOP_HOT ? to->count : TOP_HOT;
}

void top_big_copy(struct big_keys *to, const struct big_keys *from)
{
    copy_stable(to, from, &from->version, sizeof(*to));
    to->count = to->count < TOP_BIG ? to->count : TOP_BIG;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* FNV-1a. */
static uint64_t hash_of(struct span key)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (unsigned char)key.at[i]) * 1099511628211u;
    return h;
}

static void set_key(struct top_key *k, struct span key, uint64_t hash)
{
    size_t shown = key.len < TOP_SHOWN ? key.len : TOP_SHOWN;
    *k = (struct top_key){ .hash = hash, .len = (uint32_t)key.len };
    memcpy(k->text, key.at, shown);
}

static bool same_key(const struct top_key *a, const struct top_key *b)
{
    return a->hash == b->hash && a->len == b->len &&
           memcmp(a->text, b->text, a->len < TOP_SHOWN ? a->len : TOP_SHOWN) == 0;
}

/* --- hot -------------------------------------------------------------------------------------- */

static struct hot_key *find_hot(struct hot_keys *t, uint64_t hash, size_t len)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->v[i].key.hash == hash && t->v[i].key.len == len)
            return &t->v[i];
    return NULL;
}

/* A new key takes the place of the one with the fewest calls, and its calls. */
static struct hot_key *place_hot(struct hot_keys *t)
{
    if (t->count < TOP_HOT)
        return &t->v[t->count++];
    struct hot_key *least = &t->v[0];
    for (uint32_t i = 1; i < TOP_HOT; i++)
        if (t->v[i].calls < least->calls)
            least = &t->v[i];
    least->over = least->calls;
    return least;
}

void top_hot_see(struct hot_keys *t, struct span key, uint32_t calls)
{
    uint64_t hash = hash_of(key);
    begin_change(&t->version);
    struct hot_key *k = find_hot(t, hash, key.len);
    if (k == NULL) {
        k = place_hot(t);
        set_key(&k->key, key, hash);
    }
    k->calls += calls;
    end_change(&t->version);
}

void top_hot_age(struct hot_keys *t)
{
    uint32_t kept = 0;
    begin_change(&t->version);
    for (uint32_t i = 0; i < t->count; i++) {
        struct hot_key k = t->v[i];
        k.calls /= 2;
        k.over /= 2;
        if (k.calls > 0)
            t->v[kept++] = k;
    }
    memset(&t->v[kept], 0, (t->count - kept) * sizeof(t->v[0]));
    t->count = kept;
    end_change(&t->version);
}

void top_hot_clear(struct hot_keys *t)
{
    begin_change(&t->version);
    memset(t->v, 0, sizeof(t->v));
    t->count = 0;
    end_change(&t->version);
}

uint32_t top_hot_merge(struct hot_key *all, uint32_t count, const struct hot_key *k)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!same_key(&all[i].key, &k->key))
            continue;
        all[i].calls += k->calls;
        all[i].over += k->over;
        return count;
    }
    all[count] = *k;
    return count + 1;
}

static int by_calls(const void *a, const void *b)
{
    const struct hot_key *x = a, *y = b;
    return (x->calls < y->calls) - (x->calls > y->calls);
}

void top_hot_sort(struct hot_key *all, uint32_t count)
{
    qsort(all, count, sizeof(all[0]), by_calls);
}

/* --- big -------------------------------------------------------------------------------------- */

static uint64_t size_of(const struct big_key *k)
{
    return k->request > k->reply ? k->request : k->reply;
}

static const struct big_key *smallest(const struct big_keys *t)
{
    const struct big_key *least = &t->v[0];
    for (uint32_t i = 1; i < t->count; i++)
        if (size_of(&t->v[i]) < size_of(least))
            least = &t->v[i];
    return least;
}

uint64_t top_big_least(const struct big_keys *t)
{
    return t->count < TOP_BIG ? TOP_BIG_MIN : size_of(smallest(t));
}

static struct big_key *find_big(struct big_keys *t, uint64_t hash, size_t len)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->v[i].key.hash == hash && t->v[i].key.len == len)
            return &t->v[i];
    return NULL;
}

void top_big_see(struct big_keys *t, struct span key, uint64_t bytes, bool is_reply, uint32_t tally)
{
    uint64_t hash = hash_of(key);
    struct big_key *k = find_big(t, hash, key.len);
    if (k == NULL && bytes < top_big_least(t))
        return;
    begin_change(&t->version);
    if (k == NULL) {
        k = t->count < TOP_BIG ? &t->v[t->count++] : &t->v[smallest(t) - t->v];
        *k = (struct big_key){ .request = 0 };
        set_key(&k->key, key, hash);
    }
    uint64_t *most = is_reply ? &k->reply : &k->request;
    k->tally = bytes >= *most ? tally : k->tally;
    *most = bytes >= *most ? bytes : *most;
    end_change(&t->version);
}

void top_big_clear(struct big_keys *t)
{
    begin_change(&t->version);
    memset(t->v, 0, sizeof(t->v));
    t->count = 0;
    end_change(&t->version);
}

uint32_t top_big_merge(struct big_key *all, uint32_t count, const struct big_key *k)
{
    for (uint32_t i = 0; i < count; i++) {
        struct big_key *have = &all[i];
        if (!same_key(&have->key, &k->key))
            continue;
        have->tally = size_of(k) > size_of(have) ? k->tally : have->tally;
        have->request = k->request > have->request ? k->request : have->request;
        have->reply = k->reply > have->reply ? k->reply : have->reply;
        return count;
    }
    all[count] = *k;
    return count + 1;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = size_of(a), y = size_of(b);
    return (x < y) - (x > y);
}

void top_big_sort(struct big_key *all, uint32_t count)
{
    qsort(all, count, sizeof(all[0]), by_size);
}
