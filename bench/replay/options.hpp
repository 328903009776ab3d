#pragma once

// The command line of marconi_replay as a plain struct.

#include "policy_name.hpp"
#include "sizes.hpp"
#include "synthetic.hpp"
#include "ttft.hpp"

#include <cstdint>
#include <iosfwd>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace marconi::replay {

enum class cost_model { paper, shape };
enum class report_format { table, csv, json };

struct options {
    // What is replayed: files first, then synthetic traces.
    std::vector<std::string> traces; // paths; "-" is standard input
    std::vector<workload> synthetic;
    std::uint64_t seed = 1;
    std::uint32_t sessions = 100;
    std::uint64_t limit = std::numeric_limits<std::uint64_t>::max(); // requests of each trace
    std::uint32_t thoughts = 0; // tokens that begin each output, and no later input repeats

    // What is done.
    bool describe = false;
    bool list_models = false;

    // The caches: every policy at every capacity.
    std::vector<policy_name> policies; // "marconi" without an alpha is tuned
    std::vector<capacity> capacities;
    std::string model = "paper-7b"; // a preset's name, or a file; not looked up here
    cost_model cost = cost_model::shape;
    std::uint32_t block_tokens = 16;   // 1 to 256
    std::uint32_t checkpoint_grid = 1; // at least 1
    bool whole_prompt = false;
    std::uint32_t before_answer = 0; // see policy::branch_and_tail
    bool prompts_only = false;       // outputs are not committed
    ttft_curve ttft = ttft_curve::h100;

    // How.
    std::uint32_t jobs = 1; // at least 1; as many as the machine has cores by default
    report_format format = report_format::table;
    std::optional<std::string> out; // a file; nothing: standard output
};

/// As the command line names them.
[[nodiscard]] std::string name_of(cost_model kind);
[[nodiscard]] std::string name_of(ttft_curve kind);

/// The options, or the exit code with which the program ends at once: --help was asked for and
/// printed to `out`, or something was wrong and printed to `err`.
struct command_line {
    std::optional<options> chosen;
    int exit_code = 0;
};

[[nodiscard]] command_line parse_command_line(int argc, char const* const* argv, std::ostream& out,
                                              std::ostream& err);

} // namespace marconi::replay
