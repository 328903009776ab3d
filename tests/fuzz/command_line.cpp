// Lines as the arguments of marconi_replay: there is a result, or a message and an exit code; a
// result is within its ranges, and a policy's name is what it prints.

#include <replay/options.hpp>
#include <replay/run.hpp>
#include <replay/sizes.hpp>

#include <marconi/core/error.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace marconi::replay;

void require(bool truth, char const* what) {
    if (truth) return;
    std::printf("wrong: %s\n", what);
    std::fflush(stdout);
    std::abort();
}

void check(options const& o) {
    require(!o.traces.empty() || !o.synthetic.empty() || o.list_models, "there is a trace");
    require(o.sessions >= 1 && o.sessions <= most_sessions, "sessions");
    require(o.block_tokens >= 1 && o.block_tokens <= 256, "block_tokens");
    require(o.checkpoint_grid >= 1 && o.jobs >= 1 && o.limit >= 1, "a count");
    require(!o.policies.empty() && !o.capacities.empty(), "the lists");
    for (policy_name const& p : o.policies) {
        require(!p.alpha || (std::isfinite(*p.alpha) && *p.alpha >= 0), "alpha");
        require(parse_policy(p.text()) == p, "a policy's name");
    }
    for (capacity const& c : o.capacities) {
        require(c.bytes || (c.share > 0 && c.share <= 1), "a share");
        std::uint64_t const bytes = c.of(marconi::byte_count{1'000'000}).value();
        require(bytes >= 1 && bytes <= std::uint64_t{1} << 63, "a capacity");
        require(!format_bytes(bytes).empty(), "a capacity in words");
    }
    try {
        (void)footprint_of(o);
    } catch (marconi::invalid_argument const&) { // no such model
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::vector<std::string> arguments{"marconi_replay", ""};
    for (std::size_t i = 0; i < size; ++i)
        if (data[i] == '\n')
            arguments.emplace_back();
        else if (data[i] != 0) // the system ends arguments there
            arguments.back() += static_cast<char>(data[i]);
    if (arguments.back().empty()) arguments.pop_back();
    std::vector<char const*> argv;
    for (std::string const& a : arguments)
        argv.push_back(a.c_str());
    std::ostringstream out, err;
    command_line const line =
        parse_command_line(static_cast<int>(argv.size()), argv.data(), out, err);
    if (line.chosen)
        check(*line.chosen);
    else
        require(line.exit_code == 0 ? !out.str().empty() : !err.str().empty(), "a message");
    return 0;
}
