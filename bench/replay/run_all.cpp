#include "run_all.hpp"

#include "run.hpp"

#include <marconi/memory/layout.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

namespace marconi::replay {
namespace {

struct task {
    policy_name policy;
    capacity asked;
    byte_count size; ///< what `asked` comes to
};

void expect_a_page(byte_count size, footprint const& model, options const& chosen) {
    memory::page_options const cut{.block_tokens = token_count{chosen.block_tokens}};
    (void)memory::whole_pages(size, memory::page_layout{model, cut});
}

/// Whether any cache is to have a share of what an infinite one holds.
bool has_shares(options const& chosen) {
    return std::ranges::any_of(chosen.policies, &policy_name::has_limit) &&
           std::ranges::any_of(chosen.capacities, [](capacity const& c) { return !c.bytes; });
}

/// `infinite` is what an infinite cache holds.
std::vector<task> tasks_of(options const& chosen, footprint const& model, byte_count infinite) {
    std::vector<task> tasks;
    for (policy_name const& p : chosen.policies)
        if (!p.has_limit()) tasks.push_back({p, {}, {}});
    for (capacity const& c : chosen.capacities)
        for (policy_name const& p : chosen.policies) {
            if (!p.has_limit()) continue;
            byte_count const size = c.of(infinite);
            expect_a_page(size, model, chosen);
            tasks.push_back({p, c, size});
        }
    return tasks;
}

/// Results in the order of the tasks, some of which run at the same time.
std::vector<result> run_tasks(std::vector<task> const& tasks, std::size_t jobs,
                              std::function<result(task const&)> const& run) {
    std::vector<result> results(tasks.size());
    std::atomic<std::size_t> next{0};
    std::exception_ptr failure;
    std::mutex failing;
    auto const work = [&] {
        for (std::size_t i; (i = next++) < tasks.size();) {
            try {
                results[i] = run(tasks[i]);
            } catch (...) {
                std::lock_guard const hold{failing};
                if (!failure) failure = std::current_exception();
                next = tasks.size();
            }
        }
    };
    {
        std::vector<std::jthread> threads;
        try {
            for (std::size_t i = 1; i < std::min(jobs, tasks.size()); ++i)
                threads.emplace_back(work);
        } catch (std::system_error const&) { // no more threads: those that there are do the rest
        }
        work();
    }
    if (failure) std::rethrow_exception(failure);
    return results;
}

} // namespace

void check_caches(options const& chosen) {
    footprint const model = footprint_of(chosen);
    if (std::ranges::none_of(chosen.policies, &policy_name::has_limit)) return;
    for (capacity const& c : chosen.capacities)
        if (c.bytes) expect_a_page(*c.bytes, model, chosen);
}

std::vector<result> run_all(trace const& requests, options const& chosen, progress& shown,
                            std::string const& which) {
    footprint const model = footprint_of(chosen);
    auto const limited =
        static_cast<std::size_t>(std::ranges::count_if(chosen.policies, &policy_name::has_limit));
    std::size_t const runs = (has_shares(chosen) ? 1 : 0) + chosen.policies.size() - limited +
                             limited * chosen.capacities.size();
    shown.begin(which.empty() ? "requests" : "requests of " + which,
                runs * requests.requests.size());
    byte_count infinite;
    if (has_shares(chosen)) { // of the same size, whatever else is chosen
        options plain = chosen;
        plain.before_answer = 0;
        plain.prompts_only = false;
        infinite =
            byte_count{run_one(requests, {.kind = "infinite"}, {}, model, plain, shown).peak_bytes};
    }
    return run_tasks(tasks_of(chosen, model, infinite), chosen.jobs, [&](task const& t) {
        result r = run_one(requests, t.policy, t.size, model, chosen, shown);
        if (t.policy.has_limit() && !t.asked.bytes) r.capacity_share = t.asked.share;
        return r;
    });
}

} // namespace marconi::replay
