// Random histories in which memory, or a copy, fails in the middle of calls: at the first chance,
// then at the second, and so on until the call succeeds. After each failure everything must be as
// it was, but for victims already evicted.
//
//   marconi_faults [--steps N] [--seed S] [--config NAME]

#include <support/histories/arguments.hpp>
#include <support/histories/run.hpp>
#include <support/no_memory.hpp>

#include <array>
#include <cstdio>
#include <new>
#include <string>

namespace {

using histories::call;
using histories::contest;

struct totals {
    std::array<std::uint64_t, call::kinds> memory{}, copies{}; // by kind of call
    std::uint64_t stranded = 0;                                // histories
};

/// While one lives, the copy after `allowed` others fails.
class few_copies {
public:
    few_copies(histories::journal& of, std::uint64_t allowed) : of_{of} {
        of.copies_left = allowed;
    }
    ~few_copies() { of_.copies_left.reset(); }
    few_copies(few_copies const&) = delete;
    few_copies& operator=(few_copies const&) = delete;

private:
    histories::journal& of_;
};

/// Makes calls of a cache fail.
class adversary {
public:
    adversary(std::uint64_t seed, totals& counts)
        : decide_{histories::random_decisions(seed ^ 0xFA17u)}, counts_{counts} {}

    void operator()(contest& on, std::function<void()> const& it) {
        bool const copies = decide_(3) == 0;
        if (decide_(4) != 0) return it();
        // A failure that a call can do without ends the series, so later ones begin later.
        for (std::size_t allowed = decide_(2) ? 0 : decide_(24); fails(on, it, allowed, copies);
             ++allowed) {
            ++(copies ? counts_.copies : counts_.memory)[on.playing()];
            on.undone();
        }
    }

    void begin_step() { did_without_ = false; }
    /// In this step memory failed, and the call succeeded all the same.
    [[nodiscard]] bool did_without() const { return did_without_; }

private:
    bool fails(contest& on, std::function<void()> const& it, std::size_t allowed, bool copies) {
        if (copies) {
            few_copies const some{on.notes(), allowed};
            try {
                it();
            } catch (histories::failing_store::copy_failed const&) {
                return true;
            }
            return false;
        }
        testing::no_memory const none{allowed, 1};
        try {
            it();
        } catch (std::bad_alloc const&) {
            return true;
        }
        did_without_ |= none.was_asked();
        return false;
    }

    histories::decisions decide_;
    totals& counts_;
    bool did_without_ = false;
};

/// Where a merge found no memory two nodes are left that should be one. The reference knows no such
/// thing; what remains to be seen is that nothing else is wrong and that all of it can go.
std::string end_stranded(contest& on) {
    if (auto const faults = marconi::cache::audit(on.cache()); !faults.empty())
        return "audit: " + faults.front();
    on.close_all();
    if (auto const faults = marconi::cache::audit(on.cache()); !faults.empty())
        return "audit, without leases: " + faults.front();
    while (on.cache().evict(marconi::byte_count{1}) > marconi::byte_count{}) {
    }
    on.cache().clear();
    auto const left = on.cache().holds();
    return left.nodes == 0 && left.used == marconi::byte_count{} ? "" : "something is left";
}

std::optional<histories::failure> run(histories::setup const& s, std::uint64_t seed,
                                      std::uint64_t steps, totals& counts) {
    contest on{s};
    adversary against{histories::seed_for(s, seed), counts};
    on.notes().spare = testing::spare_memory;
    on.caller = std::ref(against);
    histories::generator next{s, on, histories::random_decisions(histories::seed_for(s, seed))};
    histories::history played;
    auto const play = [&](call c) {
        played.push_back(std::move(c));
        against.begin_step();
        on.play(played.back());
    };
    try {
        for (std::uint64_t i = 0; i < steps; ++i)
            play(next.next());
        for (call& c : histories::generator::ending(on.right()))
            play(std::move(c));
    } catch (std::exception const& e) {
        std::string what = e.what();
        if (against.did_without()) {
            what = end_stranded(on);
            ++counts.stranded;
        }
        if (!what.empty()) return histories::failure{what, std::move(played)};
    }
    return std::nullopt;
}

} // namespace

int main(int argc, char** argv) {
    histories::arguments const a = histories::parse(argc, argv, 60'000);
    totals counts;
    for (histories::setup const& s : a.chosen)
        for (std::uint64_t left = a.each, seed = a.seed; left > 0; ++seed) {
            std::uint64_t const steps = std::min<std::uint64_t>(left, 100);
            left -= steps;
            if (auto const found = run(s, seed, steps, counts)) {
                std::printf("seed %llu: %s", static_cast<unsigned long long>(seed),
                            found->to_code(s).c_str());
                return 1;
            }
        }
    std::printf("failures survived, by call: memory / copies\n");
    auto const print = [&](call::kind kind, char const* name) {
        std::printf("%12llu / %llu  %s\n", static_cast<unsigned long long>(counts.memory[kind]),
                    static_cast<unsigned long long>(counts.copies[kind]), name);
        return counts.memory[kind] != 0;
    };
    bool all = print(call::match, "match and plan");
    all &= print(call::acquire, "acquire");
    all &= print(call::restore, "restore");
    all &= print(call::commit, "commit");
    all &= print(call::reserve, "reserve");
    all &= print(call::evict_of, "evict of a scope");
    all &= print(call::forget_unused, "forget unused");
    all &= print(call::clear, "clear");
    all &= print(call::clear_all, "clear all");
    all &= print(call::forget, "forget");
    for (auto const kind : {call::restore, call::commit, call::reserve})
        all &= counts.copies[kind] != 0;
    std::printf("%12llu  histories that a merge without memory ended\n",
                static_cast<unsigned long long>(counts.stranded));
    return all || !a.config.empty() ? 0 : 1;
}
