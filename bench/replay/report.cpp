#include "report.hpp"

#include "sizes.hpp"
#include "text_table.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ostream>
#include <utility>
#include <vector>

namespace marconi::replay {

namespace {

using nlohmann::ordered_json;

template <class Value>
ordered_json or_null(std::optional<Value> const& value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json to_json(result const& r) {
    return {
        {"trace", r.trace},
        {"policy", r.policy},
        {"capacity_bytes", or_null(r.capacity_bytes)},
        {"requests", r.requests},
        {"input_tokens", r.input_tokens},
        {"resumed_tokens", r.resumed_tokens},
        {"token_hit_rate", r.token_hit_rate},
        {"request_hit_rate", r.request_hit_rate},
        {"flops_asked", r.flops_asked},
        {"flops_saved", r.flops_saved},
        {"alpha", or_null(r.alpha)},
        {"evictions", r.evictions},
        {"peak_bytes", r.peak_bytes},
        {"nodes", r.nodes},
        {"checkpoints", r.checkpoints},
        {"ttft_p50_ms", r.ttft_p50_ms},
        {"ttft_p95_ms", r.ttft_p95_ms},
        {"request_us_p50", r.request_us_p50},
        {"request_us_p99", r.request_us_p99},
        {"seconds", r.seconds},
        {"model", r.model},
        {"cost", r.cost},
        {"block_tokens", r.block_tokens},
        {"checkpoint_grid", r.checkpoint_grid},
        {"whole_prompt", r.whole_prompt},
        {"ttft", r.ttft},
        {"capacity_share", or_null(r.capacity_share)},
        {"thoughts", r.thoughts},
        {"before_answer", r.before_answer},
        {"prompts_only", r.prompts_only},
        {"limit", or_null(r.limit)},
        {"seed", or_null(r.seed)},
        {"sessions", or_null(r.sessions)},
        {"ttft_percentiles_ms", r.ttft_percentiles_ms},
    };
}

/// Trace names come from file names, which need not be UTF-8.
std::string dumped(ordered_json const& value) {
    return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void write_json(std::span<result const> results, std::ostream& to) {
    for (result const& r : results)
        to << dumped(to_json(r)) << '\n';
}

std::string csv_cell(ordered_json const& value) {
    if (value.is_null()) return "";
    if (value.is_array()) { // its values with blanks between them
        std::string cell;
        for (auto const& one : value)
            cell.append(cell.empty() ? "" : " ").append(dumped(one));
        return cell;
    }
    if (!value.is_string()) return dumped(value);
    std::string const& text = value.get_ref<std::string const&>();
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (char const c : text)
        quoted.append(c == '"' ? 2 : 1, c);
    return quoted + "\"";
}

void write_csv(std::span<result const> results, std::ostream& to) {
    ordered_json const names = to_json({});
    char const* separator = "";
    for (auto const& [name, value] : names.items())
        to << std::exchange(separator, ",") << name;
    to << '\n';
    for (result const& r : results) {
        separator = "";
        for (auto const& value : to_json(r))
            to << std::exchange(separator, ",") << csv_cell(value);
        to << '\n';
    }
}

std::string capacity_text(result const& r) {
    if (!r.capacity_bytes) return "no limit";
    std::string const text = "capacity " + format_bytes(*r.capacity_bytes);
    return r.capacity_share ? text + ", " + format_share(*r.capacity_share) + " of infinite" : text;
}

bool same_group(result const& a, result const& b) {
    return a.trace == b.trace && a.capacity_bytes == b.capacity_bytes &&
           a.capacity_share == b.capacity_share;
}

double saved_share(result const& r) {
    return r.flops_asked > 0 ? r.flops_saved / r.flops_asked : 0;
}

/// A policy that knows the future is out of the others' reach.
bool competes(result const& r) { return !r.policy.starts_with("oracle"); }

text_table::row table_row(result const& r, bool best) {
    return {r.policy,
            r.alpha ? format_fixed(*r.alpha, 2) : "-",
            format_share(r.token_hit_rate),
            format_share(r.request_hit_rate),
            format_share(saved_share(r)) + (best ? " *" : "  "),
            format_count(r.evictions),
            format_bytes(r.peak_bytes),
            format_count(r.nodes),
            format_count(r.checkpoints),
            format_fixed(r.ttft_p50_ms, 0) + " ms",
            format_fixed(r.ttft_p95_ms, 0) + " ms",
            format_fixed(r.request_us_p50, 1),
            format_fixed(r.request_us_p99, 1),
            format_fixed(r.seconds, 2)};
}

void add_group(std::span<result const* const> group, text_table& to) {
    result const& first = *group.front();
    to.add_text(first.trace + ", " + capacity_text(first) + ": " + format_count(first.requests) +
                " requests, " + format_count(first.input_tokens) + " input tokens, " +
                format_flops(first.flops_asked) + " asked");
    to.add({"policy", "alpha", "token hits", "request hits", "FLOPs saved  ", "evictions", "peak",
            "nodes", "checkpoints", "TTFT p50", "p95", "us/request p50", "p99", "seconds"});
    double best = 0;
    for (result const* r : group)
        if (competes(*r)) best = std::max(best, r->flops_saved);
    for (result const* r : group)
        to.add(
            table_row(*r, group.size() > 1 && best > 0 && competes(*r) && r->flops_saved == best));
}

void write_table(std::span<result const> results, std::ostream& to) {
    // Groups in the order in which they first appear.
    std::vector<std::vector<result const*>> groups;
    for (result const& r : results) {
        auto const found = std::ranges::find_if(
            groups, [&](auto const& group) { return same_group(*group.front(), r); });
        (found == groups.end() ? groups.emplace_back() : *found).push_back(&r);
    }
    text_table table;
    for (auto const& group : groups) {
        if (&group != &groups.front()) table.add_text("");
        add_group(group, table);
    }
    if (!groups.empty())
        table.add_text("\n* saves the most at its capacity; TTFT is estimated, see --ttft");
    table.print(to);
}

} // namespace

void write_report(report_format format, std::span<result const> results, std::ostream& to) {
    switch (format) {
    case report_format::table:
        write_table(results, to);
        break;
    case report_format::csv:
        write_csv(results, to);
        break;
    case report_format::json:
        write_json(results, to);
        break;
    }
}

} // namespace marconi::replay
