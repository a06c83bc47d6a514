#include "proxy/script_news.h"

#include "proxy/local.h"
#include "proxy/talk_topics.h"
#include "proxy/worker.h"

/* Of EVAL only the script counts, and not its keys and arguments. */
static void tell_script(struct worker *w, struct span body)
{
    struct writer letter;
    writer_init(&letter, 2);
    write_array(&letter, 3);
    write_bulk_text(&letter, "SCRIPT");
    write_bulk_text(&letter, "LOAD");
    write_bulk(&letter, body);
    talk_tell(&w->talk, TALK_SCRIPTS, writer_span(&letter));
    writer_close(&letter);
}

void script_news_see(struct worker *w, const struct command *cmd, const struct argv *argv)
{
    if (!scripts_see(&w->scripts, cmd, argv) || w->talk.peer_count == 0)
        return;
    if (strncmp(cmd->name, "eval", 4) == 0)
        tell_script(w, argv_get(argv, 1));
    else
        talk_tell(&w->talk, TALK_SCRIPTS, local_request(argv));
}

void script_news_read(struct worker *w, struct span requests)
{
    struct arg_room room = { 0 };
    struct argv argv;
    const char *error;
    size_t used;
    while (requests.len > 0) {
        struct request_parser parser = { 0 };
        const struct command *container;
        bool whole = request_parse(&parser, &request_limits_default, &room, requests.at,
                                   requests.len, &argv, &used, &error) == REQUEST_ARGS;
        request_parser_reset(&parser);
        if (!whole)
            break;
        const struct command *cmd = command_resolve(w->commands, &argv, &container);
        if (cmd != NULL && command_arity_ok(cmd, argv.count))
            (void)scripts_see(&w->scripts, cmd, &argv);
        requests = (struct span){ requests.at + used, requests.len - used };
    }
    arg_room_close(&room);
}

void script_news_on_letter(void *context, const struct talk_letter *letter)
{
    script_news_read(context, letter->body);
}
