#include "proxy/talk_topics.h"

#include "proxy/admin_gather.h"
#include "proxy/survey.h"

const struct talk_topic talk_topics[TALK_TOPICS] = {
    [TALK_ADMIN_PART] = { "admin_part", admin_on_part_asked },
    [TALK_SURVEY] = { "survey", survey_on_asked },
};
