#include "proxy/talk_topics.h"

#include "proxy/survey.h"

const struct talk_topic talk_topics[TALK_TOPICS] = {
    [TALK_SURVEY] = { "survey", survey_on_asked },
};
