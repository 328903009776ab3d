#include "commands.hpp"
#include "measure.hpp"
#include "program.hpp"

#include <marconi/core/error.hpp>

#include <replay/report_file.hpp>
#include <replay/synthetic.hpp>
#include <replay/text_table.hpp>
#include <replay/trace_reader.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>
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
    measure_options options{.shape = serving_shape, .policies = {}, .capacity = {}};
    std::string trace_file, synthetic, capacity = "10%", memory = "in-place", format = "table", out;
    std::vector<std::string> policies{"none",    "vllm+", "sglang+", "lru",
                                      "marconi", "gdsf",  "learned"};
    std::uint64_t requests = 300, seed = 1;
    std::uint32_t shrink = 8, sessions = 100;

    command define(CLI::App& app, std::shared_ptr<serve_command> self) {
        CLI::App* const sub = app.add_subcommand(
            "serve", "Replays a trace, one request at a time, and reports the time to first token "
                     "by the clock, policy by policy");
        define_trace(*sub);
        define_caches(*sub);
        add_number(*sub, "--passes", options.passes,
                   "Passes over the whole trace; a request's time is the median", 1, 1000);
        sub->add_option("--format", format, "table, or json for the plot script")
            ->check(CLI::IsMember({"table", "json"}))
            ->capture_default_str();
        sub->add_option("--out", out, "Write to FILE, not to standard output")->type_name("FILE");
        define_model(*sub, options.shape);
        return {sub, [self](std::ostream& to, std::ostream& err) { return self->run(to, err); }};
    }

    void define_trace(CLI::App& sub) {
        auto* const file = sub.add_option("--trace", trace_file,
                                          "Trace file in any form that marconi_replay reads, - for "
                                          "standard input")
                               ->type_name("FILE");
        auto* const made = sub.add_option("--synthetic", synthetic,
                                          "Synthetic trace: chat, agent, fewshot or mixed")
                               ->type_name("KIND")
                               ->excludes(file);
        add_number(sub, "--seed", seed, "Seed of the synthetic trace", 0, replay::any)->needs(made);
        add_number(sub, "--sessions", sessions, "Sessions in the synthetic trace", 1,
                   replay::most_sessions)
            ->needs(made);
        add_number(sub, "--requests", requests, "At most this many, from the first on", 1,
                   replay::any);
        add_number(sub, "--shrink", shrink, "Keep one token in this many, so that the CPU keeps up",
                   1, 1 << 20);
    }

    void define_caches(CLI::App& sub) {
        // The default is in the text, since CLI11 would print its separators too.
        sub.add_option("--policy", policies,
                       "none, vllm+, sglang+, lru, marconi, marconi:ALPHA, gdsf (the library's "
                       "default), learned; separated by commas "
                       "[none,vllm+,sglang+,lru,marconi,gdsf,learned]")
            ->type_name("NAME");
        sub.add_option("--capacity", capacity,
                       "Capacity of each: a size, or a share of what an infinite cache would hold")
            ->type_name("SIZE")
            ->capture_default_str();
        sub.add_option("--mode", memory, "Where KV is while a request runs: copy, in-place")
            ->check(CLI::IsMember({"copy", "in-place"}))
            ->capture_default_str();
        add_number(sub, "--block-tokens", options.block_tokens, "Tokens per KV block", 1, 256);
        add_number(sub, "--chunk", options.chunk, "Most prompt tokens in one step", 1,
                   replay::trace_reader::longest_request);
    }

    void interpret() {
        options.memory = memory == "copy" ? kv_memory::copy : kv_memory::in_place;
        options.capacity = replay::parse_capacity(capacity);
        for (std::string const& name : replay::listed(policies, "policy")) {
            replay::policy_name const policy = parse_served_policy(name);
            if (std::ranges::find(options.policies, policy) == options.policies.end())
                options.policies.push_back(policy); // once, however often it is named
        }
        // What is wrong with the shape is said before a trace is read.
        (void)options.shape.spec().footprint();
        if (trace_file.empty() && synthetic.empty())
            throw marconi::invalid_argument{"no trace; expected --trace FILE or --synthetic KIND"};
    }

    [[nodiscard]] replay::trace read(replay::progress& shown) const {
        if (!trace_file.empty())
            return replay::read_trace(trace_file, requests, replay::most_trace_tokens, shown);
        return replay::make_synthetic({.kind = replay::parse_workload(synthetic),
                                       .seed = seed,
                                       .sessions = sessions,
                                       .limit = requests},
                                      replay::most_trace_tokens, shown);
    }

    int run(std::ostream& standard, std::ostream& err) {
        interpret();
        auto const target = out.empty() ? std::nullopt : std::optional{out};
        if (!trace_file.empty()) replay::expect_out_is_no_input(target, {trace_file});
        replay::report_file file{target, standard};
        std::vector<measured_policy> results;
        {
            replay::progress shown{err, replay::progress::is_terminal()};
            replay::trace const trace = shrunk(read(shown), shrink, options.shape.vocabulary);
            shown.begin("requests", trace.requests.size() * options.passes);
            results = measure(trace, options, shown);
        }
        if (format == "json")
            print_json(results, file.stream());
        else
            print_table(results, file.stream());
        file.finish();
        return exit_code::good;
    }
};

} // namespace

command define_serve(CLI::App& app) {
    auto const made = std::make_shared<serve_command>();
    return made->define(app, made);
}

} // namespace tiny
