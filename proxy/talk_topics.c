#include "proxy/talk_topics.h"

#include "proxy/admin_gather.h"
#include "proxy/config_sets.h"
#include "proxy/monitor.h"
#include "proxy/news.h"
#include "proxy/pubsub.h"
#include "proxy/script_news.h"
#include "proxy/survey.h"

const struct talk_topic talk_topics[TALK_TOPICS] = {
    [TALK_ADMIN_PART] = { "admin_part", admin_on_part_asked },
    [TALK_SURVEY] = { "survey", survey_on_asked },
    [TALK_MONITOR_OFF] = { "monitor off", monitor_on_off },
    [TALK_MONITOR_LINE] = { "monitor line", monitor_on_line },
    [TALK_CONFIG] = { "config", config_sets_on_letter },
    [TALK_SCRIPTS] = { "scripts", script_news_on_letter },
    [TALK_NEWS] = { "news", news_on_asked },
    [TALK_SUBSCRIBED] = { "subscribed", pubsub_on_subscribed },
    [TALK_PUBLISHED] = { "published", publish_on_asked },
};
