/* The header is one of C, too. */
#include <marconi_c.h>

size_t size_of_options_in_c(void) {
    marconi_options const none = {0};
    return sizeof none;
}
