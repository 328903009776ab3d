#include "commands.hpp"
#include "measure.hpp"

#include <marconi/core/error.hpp>

#include <replay/report_file.hpp>
#include <replay/synthetic.hpp>
#include <replay/text_table.hpp>
#include <replay/trace_reader.hpp>

#include <nlohmann/json.hpp>

#include <iostream>
#include <memory>
#include <utility>

namespace tiny {
namespace {

namespace replay = marconi::replay;

/// Large enough that a prefill is mostly matrix products, small enough for a CPU to do hundreds; a
/// checkpoint weighs about as much as 100 tokens of KV.
model_shape const serving_shape{.layers = "MMMAMMSMMMAM",
                                .vocabulary = 1024,
                                .width = 128,
                                .mlp_width = 256,
                                .heads = 8,
                                .kv_heads = 4,
                                .head_dim = 32,
                                .window = 16,
                                .mamba_heads = 8,
                                .mamba_head_dim = 32,
                                .mamba_state = 16};

/// How far an estimate is from what was measured.
std::string off_by(double estimate, double measured) {
    double const share = measured > 0 ? estimate / measured - 1 : 0;
    return (share < 0 ? "-" : "+") + replay::format_fixed(100 * std::abs(share), 0) + " %";
}

void print_table(std::vector<measured_policy> const& results, std::ostream& to) {
    auto const share = [](auto part, auto whole) {
        return replay::format_share(static_cast<double>(part) / static_cast<double>(whole));
    };
    replay::text_table table;
    table.add_text("Time to first token in ms, by wall clock and by CPU time of the process; off: "
                   "how far marconi_replay's estimate by FLOPs is off.");
    table.add({"", "capacity", "tokens", "in replay", "FLOPs", "wall mean", "P50", "P95", "P99",
               "off P50", "P95", "CPU mean", "P50", "P95", "P99", "off P50", "P95"});
    for (measured_policy const& m : results) {
        replay::text_table::row row{
            m.policy, m.capacity_bytes ? replay::format_bytes(*m.capacity_bytes) : "-",
            share(m.resumed_tokens, m.input_tokens), share(m.replay_resumed_tokens, m.input_tokens),
            share(m.flops_saved, m.flops_asked)};
        for (auto const* t : {&m.wall, &m.cpu}) {
            for (double const ms :
                 {t->measured.mean, t->measured.p50, t->measured.p95, t->measured.p99})
                row.push_back(replay::format_fixed(ms, 1));
            row.push_back(off_by(t->by_flops.p50, t->measured.p50));
            row.push_back(off_by(t->by_flops.p95, t->measured.p95));
        }
        table.add(row);
    }
    table.print(to);
}

void print_json(std::vector<measured_policy> const& results, std::ostream& to) {
    using json = nlohmann::ordered_json;
    auto const times = [](measured_policy::times const& t) {
        percentiles const& p = t.measured;
        return json{{"mean", p.mean},
                    {"p50", p.p50},
                    {"p95", p.p95},
                    {"p99", p.p99},
                    {"estimated_by_tokens", {{"p50", t.by_tokens.p50}, {"p95", t.by_tokens.p95}}},
                    {"estimated_by_flops", {{"p50", t.by_flops.p50}, {"p95", t.by_flops.p95}}}};
    };
    for (measured_policy const& m : results)
        to << json{{"trace", m.trace},
                   {"policy", m.policy},
                   {"capacity_bytes", m.capacity_bytes ? json(*m.capacity_bytes) : json(nullptr)},
                   {"requests", m.requests},
                   {"input_tokens", m.input_tokens},
                   {"resumed_tokens", m.resumed_tokens},
                   {"replay_resumed_tokens", m.replay_resumed_tokens},
                   {"flops_asked", m.flops_asked},
                   {"flops_saved", m.flops_saved},
                   {"wall_ms", times(m.wall)},
                   {"cpu_ms", times(m.cpu)},
                   {"ttft_ms", m.ttft_ms}}
                  .dump(-1, ' ', false, json::error_handler_t::replace)
           << '\n';
}

struct serve_command {
    measure_options options{
        .shape = serving_shape,
        .policies = {"none", "vllm+", "sglang+", "lru", "marconi", "gdsf", "learned"},
        .capacity = {}};
    std::string trace_file, synthetic, capacity = "10%", memory = "in-place", format = "table", out;
    std::uint64_t requests = 300, seed = 1;
    std::uint32_t shrink = 8, sessions = 100;

    command define(CLI::App& app, std::shared_ptr<serve_command> self) {
        CLI::App* const sub = app.add_subcommand(
            "serve", "Replays a trace, one request at a time, and reports the time to first token "
                     "by the clock, policy by policy");
        sub->add_option("--trace", trace_file,
                        "Trace file in any form that marconi_replay reads, - for standard input")
            ->type_name("FILE");
        sub->add_option("--synthetic", synthetic, "Synthetic trace: chat, agent, fewshot or mixed")
            ->type_name("KIND");
        sub->add_option("--seed", seed, "Seed of the synthetic trace")->capture_default_str();
        sub->add_option("--sessions", sessions, "Sessions in the synthetic trace")
            ->capture_default_str();
        sub->add_option("--requests", requests, "At most this many, from the first on")
            ->check(CLI::PositiveNumber)
            ->capture_default_str();
        sub->add_option("--shrink", shrink, "Keep one token in this many, so that the CPU keeps up")
            ->check(CLI::Range(1u, 1u << 20))
            ->capture_default_str();
        sub->add_option("--policy", options.policies,
                        "none, vllm+, sglang+, lru, marconi, marconi:ALPHA, gdsf (the library's "
                        "default), learned; separated by commas")
            ->delimiter(',');
        sub->add_option("--capacity", capacity,
                        "Capacity of each: a size, or a share of what an infinite cache would hold")
            ->capture_default_str();
        sub->add_option("--mode", memory, "Where KV is while a request runs: copy, in-place")
            ->check(CLI::IsMember({"copy", "in-place"}))
            ->capture_default_str();
        sub->add_option("--block-tokens", options.block_tokens, "Tokens per KV block")
            ->check(CLI::Range(1u, 256u))
            ->capture_default_str();
        sub->add_option("--chunk", options.chunk, "Most prompt tokens in one step")
            ->check(CLI::PositiveNumber)
            ->capture_default_str();
        sub->add_option("--passes", options.passes,
                        "Passes over the whole trace; a request's time is the median")
            ->check(CLI::PositiveNumber)
            ->capture_default_str();
        sub->add_option("--format", format, "table, or json for the plot script")
            ->check(CLI::IsMember({"table", "json"}))
            ->capture_default_str();
        sub->add_option("--out", out, "Write to FILE, not to standard output")->type_name("FILE");
        define_model(*sub, options.shape);
        return {sub, [self] { return self->run(); }};
    }

    [[nodiscard]] replay::trace read() const {
        if (trace_file.empty() == synthetic.empty())
            throw marconi::error{"give either --trace or --synthetic"};
        if (!trace_file.empty()) return replay::read_trace(trace_file, requests);
        return replay::make_synthetic({.kind = replay::parse_workload(synthetic),
                                       .seed = seed,
                                       .sessions = sessions,
                                       .limit = requests});
    }

    int run() {
        options.memory = memory == "copy" ? kv_memory::copy : kv_memory::in_place;
        options.capacity = replay::parse_capacity(capacity);
        auto const target = out.empty() ? std::nullopt : std::optional{out};
        if (!trace_file.empty()) replay::expect_out_is_no_input(target, {trace_file});
        replay::trace const trace = shrunk(read(), shrink, options.shape.vocabulary);
        replay::report_file file{target, std::cout};
        std::vector<measured_policy> results;
        {
            replay::progress shown{std::cerr, replay::progress::is_terminal()};
            shown.begin("requests", trace.requests.size() * options.passes);
            results = measure(trace, options, shown);
        }
        if (format == "json")
            print_json(results, file.stream());
        else
            print_table(results, file.stream());
        file.finish();
        return 0;
    }
};

} // namespace

command define_serve(CLI::App& app) {
    auto const made = std::make_shared<serve_command>();
    return made->define(app, made);
}

} // namespace tiny
