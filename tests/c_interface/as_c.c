/* The header is one of C, too. */
#include <marconi_c.h>

size_t size_of_options_in_c(void) {
    marconi_options const none = {0};
    return sizeof none;
}

marconi_request defaults_in_c(void) {
    marconi_request const like_most = MARCONI_REQUEST_DEFAULTS;
    return like_most;
}
