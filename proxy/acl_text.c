/* Users as ACL LIST and ACL GETUSER of Redis 7.0 show them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "proxy/acl_private.h"

enum { HEX_LEN = 2 * SHA256_DIGEST_LENGTH };

static void hex_of(const struct acl_hash *h, char out[HEX_LEN + 1])
{
    for (size_t i = 0; i < sizeof(h->bytes); i++)
        snprintf(out + 2 * i, 3, "%02x", h->bytes[i]);
}

static void put(struct writer *w, const char *text)
{
    write_raw(w, (struct span){ text, strlen(text) });
}

/* Parts words by blanks. */
static void put_word(struct writer *w, const char *sign, const char *text)
{
    if (w->len > 0)
        put(w, " ");
    put(w, sign);
    put(w, text);
}

static void put_commands(struct writer *w, const struct acl_user *u)
{
    put_word(w, u->all_first ? "+" : "-", "@all");
    for (size_t i = 0; i < u->rule_count; i++)
        put_word(w, u->rules[i].allow ? "+" : "-", u->rules[i].text);
}

static void put_keys(struct writer *w, const struct acl_user *u)
{
    if (u->keys.all)
        put_word(w, "~", "*");
    for (size_t i = 0; i < u->keys.count; i++) {
        const struct acl_pattern *p = &u->keys.items[i];
        put_word(w, p->kinds == ACL_READ ? "%R~" : p->kinds == ACL_WRITE ? "%W~" : "~", p->text);
    }
}

static void put_channels(struct writer *w, const struct acl_user *u)
{
    if (u->channels.all)
        put_word(w, "&", "*");
    for (size_t i = 0; i < u->channels.count; i++)
        put_word(w, "&", u->channels.items[i].text);
}

char *acl_describe(const struct acl_user *u)
{
    struct writer w;
    char hex[HEX_LEN + 1];
    writer_init(&w, 2);
    put_word(&w, "user ", u->name);
    put_word(&w, u->on ? "on" : "off", "");
    if (u->no_password)
        put_word(&w, "nopass", "");
    for (size_t i = 0; i < u->hash_count; i++) {
        hex_of(&u->hashes[i], hex);
        put_word(&w, "#", hex);
    }
    put_keys(&w, u);
    if (!u->channels.all)
        put_word(&w, "resetchannels", "");
    put_channels(&w, u);
    put_commands(&w, u);
    struct span text = writer_span(&w);
    char *copy = text_copy(text.at, text.len);
    writer_close(&w);
    return copy;
}

static void write_part(struct writer *w, const char *name, const struct acl_user *u,
                       void (*part)(struct writer *, const struct acl_user *))
{
    struct writer text;
    writer_init(&text, 2);
    part(&text, u);
    write_bulk_text(w, name);
    write_bulk(w, writer_span(&text));
    writer_close(&text);
}

void acl_write_user(struct writer *w, const struct acl_user *u)
{
    char hex[HEX_LEN + 1];
    write_map(w, 6);
    write_bulk_text(w, "flags");
    write_set(w, 1 + (u->no_password ? 1 : 0));
    write_bulk_text(w, u->on ? "on" : "off");
    if (u->no_password)
        write_bulk_text(w, "nopass");
    write_bulk_text(w, "passwords");
    write_array(w, u->hash_count);
    for (size_t i = 0; i < u->hash_count; i++) {
        hex_of(&u->hashes[i], hex);
        write_bulk_text(w, hex);
    }
    write_part(w, "commands", u, put_commands);
    write_part(w, "keys", u, put_keys);
    write_part(w, "channels", u, put_channels);
    write_bulk_text(w, "selectors");
    write_array(w, 0);
}
