#include "thoughts.hpp"

#include "line_source.hpp"

#include <string>

namespace marconi::replay {

void add_thoughts(trace& to, std::uint32_t count, std::uint64_t most_tokens) {
    std::uint64_t tokens = 0;
    for (request const& r : to.requests)
        tokens += r.tokens.size() + count;
    if (tokens > most_tokens)
        throw trace_error{to.name + ": with " + std::to_string(count) +
                          " more tokens a request has " + std::to_string(tokens) +
                          " tokens; the limit is " + std::to_string(most_tokens)};
    std::int32_t thought = 0;
    for (request& r : to.requests)
        r.tokens.insert(r.tokens.begin() + r.prompt_tokens, count, --thought);
}

} // namespace marconi::replay
