#include "test/lib/random_calls.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

/*
 * How a call is written: words with one space between them, "^" in a word is a space, and
 *   $s $l $e $h $z $x $p $g  a key for a string, list, set, hash, sorted set, stream, HyperLogLog,
 *                            geo set; mostly of that type
 *   $k    any key            $#e   a number and so many keys (any of the letters above)
 *   $v    a value            $m    a member or field          $i  a small integer, also negative
 *   $c    a count from 1     $f    a number with a fraction   $t  seconds, many
 *   $o    a bit's offset     $+    the next stream id         $-  an older stream id
 *   $y    longitude and latitude
 *   ( ... )   once to three times      [ ... ]   or not      {a|b}   one of these
 */
struct form {
    const char *words;
    enum differ_rule rule;
};

#define BY(name, text)                                                                             \
    {                                                                                              \
        .words = (text), .rule = DIFFER_##name                                                     \
    }
#define SAME(text) BY(SAME, text)
#define SET(text) BY(SET, text)
#define PAIRS(text) BY(PAIRS, text)
#define DEEP(text) BY(DEEP, text)
#define NEAR(text) BY(NEAR, text)
#define SHAPE(text) BY(SHAPE, text)

/* clang-format off */
static const struct form forms[] = {
    /* strings and bits */
    SAME("SET $s $v"), SAME("SET $s $v EX $t"), SAME("SET $s $v {NX|XX} [ GET ]"), SAME("SET $s $v KEEPTTL"),
    SAME("SET $s $i"), SAME("SET $s $f"), SAME("GET $s"), SAME("GETSET $s $v"), SAME("GETDEL $s"),
    SAME("GETEX $s PERSIST"), SAME("GETEX $s EX $t"), SAME("APPEND $s $v"), SAME("STRLEN $s"),
    SAME("GETRANGE $s $i $i"), SAME("SETRANGE $s $c $v"), SAME("INCR $s"), SAME("DECRBY $s $i"),
    SAME("INCRBYFLOAT $s $f"), SAME("SETNX $s $v"), SAME("SETEX $s $t $v"), SAME("PSETEX $s 99999999 $v"),
    SAME("MGET ( $s $k )"), SAME("MSET ( $s $v $k $v )"), SAME("MSET ( $s $v )"), SAME("MSETNX ( $s $v )"),
    SAME("LCS $s $s"), SAME("LCS $s $s {LEN|IDX}"), SAME("SETBIT $s $o {0|1}"), SAME("GETBIT $s $o"),
    SAME("BITCOUNT $s [ $i $i {BIT|BYTE} ]"), SAME("BITPOS $s {0|1} [ $i ]"),
    SAME("BITOP {AND|OR|XOR} $s ( $s $s )"), SAME("BITOP NOT $s $s"), SAME("BITFIELD $s ( INCRBY i5 $o $i )"),
    SAME("BITFIELD $s OVERFLOW {SAT|FAIL|WRAP} SET u8 $o $c GET u4 $o"), SAME("BITFIELD_RO $s GET u7 $o"),
    /* lists */
    SAME("{LPUSH|RPUSH} $l ( $v $m )"), SAME("{LPUSH|RPUSH} $l ( $i )"), SAME("{LPUSHX|RPUSHX} $l $v"), SAME("{LPOP|RPOP} $l [ $c ]"),
    SAME("LLEN $l"), SAME("LINDEX $l $i"), SAME("LINSERT $l {BEFORE|AFTER} $m $v"), SAME("LRANGE $l $i $i"),
    SAME("LRANGE $l 0 -1"), SAME("LREM $l $i $m"), SAME("LSET $l $i $v"), SAME("LTRIM $l 0 20"), SAME("LTRIM $l $i -1"),
    SAME("LPOS $l $m [ COUNT $c ] [ RANK $i ]"), SAME("LMOVE $l $l {LEFT|RIGHT} {LEFT|RIGHT}"), SAME("RPOPLPUSH $l $l"),
    SAME("LMPOP $#l {LEFT|RIGHT} [ COUNT $c ]"), SAME("LMPOP $#k {LEFT|RIGHT}"),
    /* sets */
    SAME("SADD $e ( $m $m )"), SAME("SADD $e ( $i )"), SAME("SREM $e ( $m )"), SAME("SCARD $e"), SAME("SISMEMBER $e $m"),
    SAME("SMISMEMBER $e ( $m )"), SET("SMEMBERS $e"), SET("SPOP $e 100000"), SET("SRANDMEMBER $e 100000"),
    SAME("SMOVE $e $e $m"), SET("SINTER ( $e )"), SET("{SUNION|SDIFF} ( $e )"), SET("{SINTER|SUNION|SDIFF} $e $k"),
    SAME("{SINTERSTORE|SUNIONSTORE|SDIFFSTORE} $e ( $e )"), SAME("{SINTERSTORE|SUNIONSTORE|SDIFFSTORE} $k $k $e"),
    SAME("SINTERCARD $#e [ LIMIT $c ]"), DEEP("SSCAN $e 0 COUNT 100000"),
    /* hashes */
    SAME("HSET $h ( $m $v )"), SAME("HSET $h $m $i"), SAME("HSETNX $h $m $v"), SAME("HMSET $h ( $m $v )"), SAME("HGET $h $m"),
    SAME("HMGET $h ( $m )"), PAIRS("HGETALL $h"), SET("{HKEYS|HVALS} $h"), SAME("HDEL $h ( $m )"), SAME("HLEN $h"),
    SAME("HEXISTS $h $m"), SAME("HSTRLEN $h $m"), SAME("HINCRBY $h $m $i"), SAME("HINCRBYFLOAT $h $m $f"),
    SET("HRANDFIELD $h 100000"),
    /* sorted sets */
    SAME("ZADD $z ( $f $m )"), SAME("ZADD $z {NX|XX|GT|LT} CH ( $i $m )"), SAME("ZADD $z INCR $f $m"), SAME("ZINCRBY $z $f $m"),
    SAME("ZREM $z ( $m )"), SAME("ZCARD $z"), SAME("ZSCORE $z $m"), SAME("ZMSCORE $z ( $m )"), SAME("{ZRANK|ZREVRANK} $z $m"),
    SAME("ZCOUNT $z $i +inf"), SAME("ZRANGE $z 0 -1 WITHSCORES"), SAME("ZRANGE $z $i $i [ REV ]"),
    SAME("ZRANGE $z -inf $i BYSCORE [ LIMIT 1 $c ]"), SAME("ZREVRANGEBYSCORE $z +inf $i WITHSCORES"),
    SAME("{ZPOPMIN|ZPOPMAX} $z [ $c ]"), SAME("ZREMRANGEBYRANK $z $i $i"), SAME("ZREMRANGEBYSCORE $z $i $i"),
    SAME("ZMPOP $#z {MIN|MAX} [ COUNT $c ]"), SAME("{ZUNION|ZINTER|ZDIFF} $#z WITHSCORES"),
    SAME("{ZUNION|ZINTER} 2 $z $e WEIGHTS $i $i AGGREGATE {SUM|MIN|MAX} WITHSCORES"), SAME("ZINTERCARD $#z [ LIMIT $c ]"),
    SAME("{ZUNIONSTORE|ZINTERSTORE|ZDIFFSTORE} $z $#z"), SAME("{ZUNIONSTORE|ZINTERSTORE} $z 2 $e $k WEIGHTS $i $f"),
    SAME("ZRANGESTORE $z $z $i $i [ REV ]"), SAME("ZRANGESTORE $z $k $i +inf BYSCORE"), SAME("ZLEXCOUNT $z - +"),
    DEEP("ZSCAN $z 0 COUNT 100000"), SET("ZRANDMEMBER $z 100000"),
    /* geo */
    SAME("GEOADD $g ( $y $m )"), SAME("GEOPOS $g ( $m )"), SAME("GEODIST $g $m $m km"), SAME("GEOHASH $g ( $m )"),
    SAME("GEOSEARCH $g FROMLONLAT $y BYRADIUS 2000 km {ASC|DESC} WITHDIST"), SAME("GEOSEARCH $g FROMMEMBER $m BYBOX 3000 3000 km ASC COUNT $c"),
    SAME("GEOSEARCHSTORE $z $g FROMLONLAT $y BYRADIUS 3000 km [ STOREDIST ]"), SAME("GEORADIUS $g $y 2000 km {STORE|STOREDIST} $z"),
    SAME("GEORADIUSBYMEMBER $g $m 2000 km [ STORE $g ]"),
    /* HyperLogLog */
    SAME("PFADD $p ( $m $v )"), SAME("PFCOUNT ( $p )"), SAME("PFCOUNT $p $k"), SAME("PFMERGE $p ( $p )"), SAME("PFMERGE $k $p"),
    /* streams */
    SAME("XADD $x $+ ( $m $v )"), SAME("XADD $x MAXLEN 10 $+ $m $v"), SAME("XADD $x $- $m $v"), SAME("XLEN $x"), SAME("XRANGE $x - + [ COUNT $c ]"),
    SAME("XREVRANGE $x + $-"), SAME("XDEL $x ( $- )"), SAME("XTRIM $x {MAXLEN|MINID} $c"), SAME("XREAD [ COUNT $c ] STREAMS $x $-"), SAME("XREAD [ COUNT $c ] STREAMS $x $x $k $- $- $-"),

    SAME("XGROUP CREATE $x grp {0|$} MKSTREAM"), SAME("XGROUP {CREATECONSUMER|DELCONSUMER} $x grp {c1|c2}"),
    SAME("XREADGROUP GROUP grp {c1|c2} COUNT $c STREAMS $x >"), SAME("XREADGROUP GROUP grp c1 STREAMS $x 0"), SAME("XACK $x grp ( $- )"),
    SAME("XPENDING $x grp"), SHAPE("XPENDING $x grp - + 100"), SAME("XCLAIM $x grp c2 0 ( $- ) [ JUSTID ]"), SAME("XINFO GROUPS $x"),
    SAME("XINFO STREAM $x"), SAME("XSETID $x $+"), SAME("XGROUP DESTROY $x grp"),
    /* keys */
    SAME("DEL $k"), SAME("DEL ( $k )"), SAME("UNLINK ( $k )"), SAME("EXISTS ( $k $k )"), SAME("TOUCH ( $k )"), SAME("TYPE $k"), SAME("EXPIRE $k $t"),
    SAME("PEXPIRE $k 99999999 {NX|XX}"), SAME("EXPIRE $k -1"), SAME("EXPIREAT $k 9999999999 [ {GT|LT} ]"), NEAR("TTL $k"), NEAR("PTTL $k"),
    SAME("PERSIST $k"), SAME("RENAME $k $k"), SAME("RENAMENX $k $k"), SAME("COPY $k $k [ REPLACE ]"), SET("KEYS {*|k*|*1|nosuch}"), SAME("DBSIZE"),
    SAME("SORT $l ALPHA [ DESC ] [ LIMIT 1 $c ]"), SAME("SORT {$l|$e|$z} ALPHA STORE $l"), SAME("SORT $k ALPHA"), SAME("SORT $l STORE $k"),
    SAME("SORT {$l|$e|$z} BY k*1 GET ks* GET # [ DESC ] [ LIMIT 1 $c ] [ STORE $l ]"), SAME("SORT {$l|$e|$k} ALPHA GET # GET kh*->1 [ {STORE|LIMIT|DESC} ]"),
    SAME("MSET ks-5 2 ks1 7 ks2 abc ks3 5 ks4 5"), SAME("HSET kh3 1 $v 2 $i"), SAME("SORT_RO {$l|$e} BY kh*->2 GET ks*"),
    /* scripts */
    SAME("EVAL return^redis.call('GET',KEYS[1]) 1 $s"),
    SAME("EVAL local^v=redis.call('GET',KEYS[1])^if^v^then^redis.call('SET',KEYS[2],v)^end^return^v 2 $s $s"),
    SAME("EVAL local^a={}^for^i,k^in^ipairs(KEYS)^do^a[i]=redis.call('TYPE',k).ok^end^return^a $#k"),
    SAME("EVAL local^n=0^for^i,k^in^ipairs(KEYS)^do^n=n+redis.call('SADD',k,ARGV[1])^end^return^n $#e $m"),
    SAME("EVAL return^redis.pcall('RPUSH',KEYS[2],redis.pcall('LPOP',KEYS[1])) 2 $l $l"),
    SAME("EVAL redis.call('DEL',KEYS[2])^return^redis.call('HSET',KEYS[1],ARGV[1],ARGV[2]) 2 $h $k $m $v"),
    SAME("EVAL_RO return^{redis.call('EXISTS',KEYS[1]),redis.call('TYPE',KEYS[2])} 2 $k $k"),
};
/* clang-format on */

/* --- chance -------------------------------------------------------------------------------- */

static uint32_t pick(struct random_calls *r, uint32_t below)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * 0x2545F4914F6CDD1DULL) >> 33) % below;
}

void random_calls_start(struct random_calls *r, uint64_t seed)
{
    *r = (struct random_calls){ .state = seed * 0x9E3779B97F4A7C15ULL + 1, .stream_id = 1 };
    for (int i = 0; i < 8; i++)
        (void)pick(r, 2);
}

/* --- words --------------------------------------------------------------------------------- */

static void put(struct random_call *c, const char *bytes, size_t len)
{
    REQUIRE(c->used + len <= sizeof(c->bytes));
    memcpy(c->bytes + c->used, bytes, len);
    c->used += len;
}

/* Ends the word that was put from there on. */
static void end_word(struct random_call *c, size_t from)
{
    REQUIRE(c->argc < RANDOM_ARGS_MAX);
    c->argv[c->argc++] = (struct span){ c->bytes + from, c->used - from };
}

static void put_word(struct random_call *c, const char *bytes, size_t len)
{
    size_t from = c->used;
    put(c, bytes, len);
    end_word(c, from);
}

static void put_number(struct random_call *c, long long n)
{
    char text[24];
    put_word(c, text, (size_t)snprintf(text, sizeof(text), "%lld", n));
}

/* Five keys for each type; of these two in one slot, and one with bytes that are no text. */
static const char key_types[] = "slehzxpgk";

struct span random_calls_key(uint32_t number)
{
    static char names[RANDOM_KEYS][24];
    char type = key_types[number / 5];
    int n = number % 5 < 2    ? snprintf(names[number], 24, "{tag}%c%u", type, number % 5)
            : number % 5 == 2 ? snprintf(names[number], 24, "%c\r\n%c{}\xff", type, 0)
                              : snprintf(names[number], 24, "k%c%u", type, number % 5);
    return (struct span){ names[number], (size_t)n };
}

static void put_key(struct random_calls *r, struct random_call *c, char type)
{
    uint32_t number = pick(r, RANDOM_KEYS);
    const char *at = strchr(key_types, type);
    if (type != 'k' && pick(r, 12) != 0)
        number = (uint32_t)(at - key_types) * 5 + pick(r, 5);
    struct span name = random_calls_key(number);
    put_word(c, name.at, name.len);
}

static void put_value(struct random_calls *r, struct random_call *c)
{
    static const char odd[] = "\0\r\n$-1\r\n\xff\xfe";
    size_t from = c->used;
    uint32_t kind = pick(r, 12);
    if (kind < 3) {
        put_number(c, (long long)pick(r, 2000) - 1000);
        return;
    }
    if (kind == 3)
        put(c, odd, sizeof(odd) - 1);
    uint32_t len = kind == 4 ? pick(r, 3000) : kind == 5 ? 0 : 1 + pick(r, 12);
    for (uint32_t i = 0; i < len; i++)
        put(c, &"abcdefgh \n"[pick(r, 10)], 1);
    end_word(c, from);
}

static void put_member(struct random_calls *r, struct random_call *c)
{
    static const char odd[] = "m\0\r\n\x80";
    char text[24];
    uint32_t n = pick(r, 16);
    if (n < 6)
        put_number(c, n);
    else if (n == 6)
        put_word(c, odd, sizeof(odd) - 1);
    else
        put_word(c, text, (size_t)snprintf(text, sizeof(text), "member%u", n));
}

static void put_place(struct random_calls *r, struct random_call *c)
{
    char text[24];
    put_word(c, text, (size_t)snprintf(text, sizeof(text), "%u.5", pick(r, 20)));
    put_word(c, text, (size_t)snprintf(text, sizeof(text), "%u.25", 30 + pick(r, 20)));
}

static void put_stream_id(struct random_calls *r, struct random_call *c, bool next)
{
    char text[32];
    if (next)
        r->stream_id++;
    uint64_t id = next ? r->stream_id : r->stream_id - pick(r, 40) % r->stream_id;
    put_word(c, text, (size_t)snprintf(text, sizeof(text), "%llu-1", (unsigned long long)id));
}

static void put_token(struct random_calls *r, struct random_call *c, const char *token)
{
    char text[24];
    switch (token[0]) {
    case '#': {
        uint32_t count = 1 + pick(r, 4);
        put_number(c, count);
        while (count-- > 0)
            put_key(r, c, token[1]);
        return;
    }
    case 'v':
        put_value(r, c);
        return;
    case 'm':
        put_member(r, c);
        return;
    case 'i':
        put_number(c, (long long)pick(r, 13) - 5);
        return;
    case 'c':
        put_number(c, 1 + pick(r, 9));
        return;
    case 't':
        put_number(c, 10000 + pick(r, 90000));
        return;
    case 'o':
        put_number(c, pick(r, 200));
        return;
    case 'f':
        put_word(c, text,
                 (size_t)snprintf(text, sizeof(text), "%d.%s", (int)pick(r, 40) - 20,
                                  pick(r, 2) != 0 ? "5" : "25"));
        return;
    case 'y':
        put_place(r, c);
        return;
    case '+':
    case '-':
        put_stream_id(r, c, token[0] == '+');
        return;
    default:
        put_key(r, c, token[0]);
    }
}

/* --- forms --------------------------------------------------------------------------------- */

/* One of the words between the braces. */
static struct span choose(struct random_calls *r, struct span word)
{
    uint32_t count = 1, chosen;
    for (size_t i = 0; i < word.len; i++)
        count += word.at[i] == '|';
    chosen = pick(r, count);
    struct span one = { word.at + 1, 0 };
    for (;; one.at++) {
        if (chosen == 0)
            break;
        chosen -= *one.at == '|';
    }
    while (one.at[one.len] != '|' && one.at[one.len] != '}')
        one.len++;
    return one;
}

static void expand_word(struct random_calls *r, struct random_call *c, struct span word)
{
    if (word.at[0] == '{')
        word = choose(r, word);
    if (word.at[0] == '$' && word.len > 1) {
        put_token(r, c, word.at + 1);
        return;
    }
    size_t from = c->used;
    for (size_t i = 0; i < word.len; i++)
        put(c, word.at[i] == '^' ? " " : &word.at[i], 1);
    end_word(c, from);
}

/* Expands words up to the end or the closing bracket; gives what is behind it. */
static const char *expand(struct random_calls *r, struct random_call *c, const char *at)
{
    while (*at != '\0') {
        size_t len = strcspn(at, " ");
        const char *next = at + len + (at[len] == ' ');
        if (len == 1 && (*at == ')' || *at == ']'))
            return next;
        if (len == 1 && (*at == '(' || *at == '[')) {
            uint32_t times = *at == '(' ? 1 + pick(r, 3) : pick(r, 2);
            const char *end = strstr(next, *at == '(' ? " )" : " ]") + 2;
            while (times-- > 0)
                (void)expand(r, c, next);
            next = end + (*end == ' ');
        } else {
            expand_word(r, c, (struct span){ at, len });
        }
        at = next;
    }
    return at;
}

/* Makes a call wrong, most likely: an argument is lost, doubled, or something else. None of the
   words makes a call block, or a key expire soon. */
static void spoil(struct random_calls *r, struct random_call *c)
{
    static const char *const words[] = { "", "x", "-1", "0", "LIMIT", "STORE", "COUNT", "GET" };
    uint32_t at = 1 + pick(r, c->argc - 1), kind = pick(r, 3);
    const char *word = words[pick(r, ARRAY_LEN(words))];
    struct span *arg = &c->argv[at];
    size_t behind = (c->argc - at - 1) * sizeof(*arg);
    if (kind == 0) {
        memmove(arg, arg + 1, behind);
        c->argc--;
    } else if (kind == 1 && c->argc < RANDOM_ARGS_MAX) {
        memmove(arg + 1, arg, behind + sizeof(*arg));
        c->argc++;
    } else {
        *arg = (struct span){ word, strlen(word) };
    }
}

void random_calls_next(struct random_calls *r, struct random_call *out)
{
    const struct form *form = &forms[pick(r, ARRAY_LEN(forms))];
    out->rule = form->rule;
    out->argc = 0;
    out->used = 0;
    (void)expand(r, out, form->words);
    /* What takes all would take a random one, and a set without BY has no order. */
    bool random = strstr(form->words, "100000") != NULL || strstr(form->words, " BY ") != NULL;
    if (out->argc > 1 && !random && pick(r, 8) == 0)
        spoil(r, out);
}
