#include "net/tls_choice.h"

#include "net/tls.h"

const struct option_choice tls_verify_choices[] = {
    { "name", TLS_VERIFY_NAME },
    { "chain", TLS_VERIFY_CHAIN },
    { "no", TLS_VERIFY_NONE },
    { NULL, 0 },
};
