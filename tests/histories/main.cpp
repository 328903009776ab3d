// Random histories on the cache and on the reference at once.
//
//   marconi_histories [--steps N] [--seed S] [--config NAME]
//
// --steps in all, spread over the configurations whose name begins with NAME (all by default).

#include <support/histories/arguments.hpp>
#include <support/histories/run.hpp>

#include <cstdio>
#include <utility>

namespace {

/// How often each place was reached; the number of places that were not.
int print(histories::tally const& counts) {
    int unreached = 0;
    for (std::size_t i = 0; i < histories::places; ++i) {
        std::printf("%12llu  %s\n", static_cast<unsigned long long>(counts.times[i]),
                    histories::place_names[i]);
        unreached += counts.times[i] == 0;
    }
    return unreached;
}

} // namespace

int main(int argc, char** argv) {
    histories::arguments const a = histories::parse(argc, argv, 1'100'000);
    histories::tally counts;
    for (histories::setup const& s : a.chosen)
        if (auto found = histories::run_history(s, a.seed, a.each, &counts)) {
            std::printf("%s, seed %llu, step %zu: %s\n", s.name.c_str(),
                        static_cast<unsigned long long>(a.seed), found->calls.size(),
                        found->what.c_str());
            std::fflush(stdout);
            std::printf("%s", histories::shrink(s, std::move(*found)).to_code(s).c_str());
            return 1;
        }
    int const unreached = print(counts);
    std::printf("%12llu  steps in all\n", static_cast<unsigned long long>(counts.steps));
    if (a.config.empty() && unreached != 0) {
        std::printf("%d places were not reached\n", unreached);
        return 1;
    }
    return 0;
}
