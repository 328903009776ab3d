#include "thoughts.hpp"

namespace marconi::replay {

void add_thoughts(trace& to, std::uint32_t count) {
    std::int32_t thought = 0;
    for (request& r : to.requests)
        r.tokens.insert(r.tokens.begin() + r.prompt_tokens, count, --thought);
}

} // namespace marconi::replay
