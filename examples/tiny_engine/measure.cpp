#include "measure.hpp"

#include "contender.hpp"

#include <replay/percentile.hpp>
#include <replay/run.hpp>
#include <replay/ttft.hpp>

#include <algorithm>
#include <iterator>
#include <new>
#include <numeric>

namespace tiny {

namespace replay = marconi::replay;
using marconi::token_count;

replay::trace shrunk(replay::trace const& whole, std::uint32_t shrink, std::size_t vocabulary) {
    replay::trace made{.name = whole.name, .requests = {}};
    auto const size = static_cast<std::int64_t>(vocabulary);
    for (replay::request const& r : whole.requests) {
        replay::request& to = made.requests.emplace_back(replay::request{
            .session = r.session, .turn = r.turn, .seconds = r.seconds, .tokens = {}});
        for (std::size_t i = 0; i < r.tokens.size(); i += shrink)
            to.tokens.push_back(static_cast<std::int32_t>((r.tokens[i] % size + size) % size));
        to.prompt_tokens = (r.prompt_tokens + shrink - 1) / shrink;
    }
    return made;
}

namespace {

/// milliseconds = fixed + each * amount, fitted for the smallest relative errors.
struct line {
    double fixed = 0, each = 0;

    line(std::vector<double> const& amounts, std::vector<double> const& milliseconds) {
        double n = 0, x = 0, y = 0, xx = 0, xy = 0;
        for (std::size_t i = 0; i < amounts.size(); ++i) {
            double const weight = 1 / (amounts[i] * amounts[i]);
            n += weight;
            x += weight * amounts[i];
            y += weight * milliseconds[i];
            xx += weight * amounts[i] * amounts[i];
            xy += weight * amounts[i] * milliseconds[i];
        }
        double const spread = n * xx - x * x;
        each = spread > 0 ? (n * xy - x * y) / spread : y / x;
        fixed = spread > 0 ? (y - each * x) / n : 0;
        if (fixed < 0) { // what grows faster than the amount is no fixed cost
            fixed = 0;
            each = xy / xx;
        }
    }
    [[nodiscard]] double at(double amount) const { return fixed + each * amount; }
};

percentiles of(std::vector<double> samples) {
    double const sum = std::accumulate(samples.begin(), samples.end(), 0.0);
    return {.mean = sum / static_cast<double>(std::max<std::size_t>(1, samples.size())),
            .p50 = replay::percentile(samples, 50),
            .p95 = replay::percentile(samples, 95),
            .p99 = replay::percentile(samples, 99)};
}

replay::policy_name const none{.kind = "none"};

/// All passes of all policies over one trace.
class measurement {
public:
    measurement(replay::trace const& requests, measure_options const& options,
                replay::progress& shown)
        : trace_{requests},
          requests_{requests.requests},
          options_{options},
          shown_{shown},
          runs_{options.shape, 7},
          policies_{options.policies} {
        for (replay::request const& r : requests_)
            longest_ = std::max(longest_, r.tokens.size() + 1);
        chosen_.block_tokens = options.block_tokens;
        without_ = static_cast<std::size_t>(
            std::ranges::find(policies_, none.kind, &replay::policy_name::kind) -
            policies_.begin());
        if (without_ == policies_.size()) policies_.push_back(none);
    }

    std::vector<measured_policy> run() {
        capacity_ = options_.capacity.of(marconi::byte_count{
            replayed({.kind = "infinite"}, replay::ttft_curve::h100).peak_bytes});
        taken_.assign(policies_.size(), std::vector<std::vector<first_token>>(requests_.size()));
        for (std::uint32_t pass = 0; pass < options_.passes; ++pass)
            run_pass();
        std::vector<measured_policy> results;
        for (std::size_t p = 0; p < options_.policies.size(); ++p)
            results.push_back(sum_up(p));
        return results;
    }

private:
    void run_pass() {
        engine_options const set_up{.memory = options_.memory,
                                    .chunk = options_.chunk,
                                    .batch = 1,
                                    .longest = longest_,
                                    .block_tokens = options_.block_tokens};
        auto const all = contenders(set_up);
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            for (std::size_t p = 0; p < all.size(); ++p) {
                std::size_t const turn = (p + i) % all.size();
                taken_[turn][i].push_back(all[turn]->serve(requests_[i]));
            }
            shown_.advance(1);
        }
    }

    [[nodiscard]] std::vector<std::unique_ptr<contender>> contenders(engine_options const& set_up) {
        std::vector<std::unique_ptr<contender>> all;
        for (replay::policy_name const& policy : policies_)
            try {
                all.push_back(make_contender(policy, runs_, capacity_,
                                             {.block_tokens = token_count{options_.block_tokens}},
                                             set_up));
            } catch (std::bad_alloc const&) {
                throw marconi::error{"no memory for " + policy.text() + " with " +
                                     replay::format_bytes(capacity_.value()) + ", beside " +
                                     std::to_string(all.size()) +
                                     " other policies; try a smaller --capacity, or fewer of them"};
            }
        return all;
    }

    /// A request's median over the passes.
    template <class Field>
    [[nodiscard]] std::vector<double> medians(std::size_t policy, Field field) const {
        std::vector<double> made;
        for (auto const& passes : taken_[policy]) {
            std::vector<double> values;
            for (first_token const& took : passes)
                values.push_back(took.*field);
            made.push_back(replay::percentile(values, 50));
        }
        return made;
    }

    measured_policy sum_up(std::size_t p) {
        marconi::flop_curve const& flops = runs_.footprint().flops;
        measured_policy m{.trace = trace_.name, .policy = policies_[p].text()};
        if (policies_[p].has_limit()) m.capacity_bytes = capacity_.value();
        m.requests = requests_.size();
        for (std::size_t i = 0; i < requests_.size(); ++i) {
            std::size_t const resumed = taken_[p][i].front().resumed;
            m.input_tokens += requests_[i].prompt_tokens;
            m.resumed_tokens += resumed;
            m.flops_asked += flops.up_to(token_count{requests_[i].prompt_tokens}).value();
            m.flops_saved += flops.up_to(token_count{resumed}).value();
        }
        m.ttft_ms = medians(p, &first_token::wall);
        m.wall.measured = of(m.ttft_ms);
        m.cpu.measured = of(medians(p, &first_token::cpu));
        estimate(m, policies_[p]);
        return m;
    }

    void estimate(measured_policy& m, replay::policy_name const& policy) const {
        replay::result const by_tokens = replayed(policy, replay::ttft_curve::a100x4);
        replay::result const by_flops = replayed(policy, replay::ttft_curve::h100);
        m.replay_resumed_tokens = by_tokens.resumed_tokens;
        put_on_line(m.wall, &first_token::point::wall, by_tokens, by_flops);
        put_on_line(m.cpu, &first_token::point::cpu, by_tokens, by_flops);
    }

    /// marconi_replay's own times are those of other machines. Each is a line over tokens or FLOPs,
    /// so these can be read off it and put on this machine's line, which is fitted to every chunk
    /// of the prefills without a cache.
    void put_on_line(measured_policy::times& to, double first_token::point::*clock,
                     replay::result const& by_tokens, replay::result const& by_flops) const {
        namespace curve = replay::ttft;
        std::vector<double> tokens, flops, times;
        for (auto const& passes : taken_[without_])
            for (std::size_t step = 0; step < passes.front().steps.size(); ++step) {
                token_count const done{passes.front().steps[step].tokens};
                std::vector<double> values;
                for (first_token const& took : passes)
                    values.push_back(took.steps[step].*clock);
                tokens.push_back(static_cast<double>(done.value()));
                flops.push_back(runs_.footprint().flops.up_to(done).value());
                times.push_back(replay::percentile(values, 50));
            }
        line const over_tokens{tokens, times};
        line const over_flops{flops, times};
        auto const tokens_at = [&](double ms) {
            return over_tokens.at((ms - curve::a100x4_overhead_ms) / curve::a100x4_ms_a_token);
        };
        auto const flops_at = [&](double ms) {
            return over_flops.at((ms - curve::h100_overhead_ms) / 1000 *
                                 curve::h100_peak_flops_a_second * curve::h100_utilisation);
        };
        to.by_tokens = {.p50 = tokens_at(by_tokens.ttft_p50_ms),
                        .p95 = tokens_at(by_tokens.ttft_p95_ms)};
        to.by_flops = {.p50 = flops_at(by_flops.ttft_p50_ms),
                       .p95 = flops_at(by_flops.ttft_p95_ms)};
    }

    [[nodiscard]] replay::result replayed(replay::policy_name const& policy,
                                          replay::ttft_curve curve) const {
        replay::options chosen = chosen_;
        chosen.ttft = curve;
        return replay::run_one(trace_, policy, capacity_, runs_.footprint(), chosen);
    }

    replay::trace const& trace_;
    std::vector<replay::request> const& requests_;
    measure_options const& options_;
    replay::progress& shown_;
    model runs_;
    std::vector<replay::policy_name> policies_; ///< those asked for, and "none"
    std::size_t without_ = 0;                   ///< where "none" is
    std::size_t longest_ = 0;
    replay::options chosen_;
    marconi::byte_count capacity_;
    /// By policy and request, one for each pass.
    std::vector<std::vector<std::vector<first_token>>> taken_;
};

} // namespace

std::vector<replay::known_policy> served_policies() {
    std::vector<replay::known_policy> served;
    std::ranges::copy_if(
        replay::known_policies, std::back_inserter(served), [](replay::known_policy const& p) {
            return p.kind != "oracle" && p.kind != "infinite" && p.kind != "marconi-artifact";
        });
    return served;
}

replay::policy_name parse_served_policy(std::string_view text) {
    return replay::parse_policy(text, served_policies());
}

std::vector<measured_policy> measure(replay::trace const& requests, measure_options const& options,
                                     replay::progress& shown) {
    return measurement{requests, options, shown}.run();
}

} // namespace tiny
