// Random histories on the cache and on the reference at once.
//
//   marconi_histories [--steps N] [--seed S] [--config NAME]
//
// --steps in all, spread over the configurations whose name begins with NAME (all by default).

#include <support/histories/run.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

struct arguments {
    std::uint64_t steps = 1'100'000;
    std::uint64_t seed = 1;
    std::string config;
};

arguments parse(int argc, char** argv) {
    arguments a;
    for (int i = 1; i < argc; i += 2) {
        std::string const name = argv[i];
        if (i + 1 == argc || (name != "--steps" && name != "--seed" && name != "--config")) {
            std::fprintf(stderr, "usage: %s [--steps N] [--seed S] [--config NAME]\n", argv[0]);
            std::exit(2);
        }
        if (name == "--steps") a.steps = std::strtoull(argv[i + 1], nullptr, 10);
        if (name == "--seed") a.seed = std::strtoull(argv[i + 1], nullptr, 10);
        if (name == "--config") a.config = argv[i + 1];
    }
    return a;
}

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
    arguments const a = parse(argc, argv);
    std::vector<histories::setup> chosen;
    for (histories::setup& s : histories::setups())
        if (s.name.starts_with(a.config)) chosen.push_back(std::move(s));
    if (chosen.empty()) {
        std::fprintf(stderr, "no configuration is called %s\n", a.config.c_str());
        return 2;
    }
    std::uint64_t const each = a.steps / chosen.size() + 1;
    std::printf("%zu configurations, %llu steps each, seed %llu\n", chosen.size(),
                static_cast<unsigned long long>(each), static_cast<unsigned long long>(a.seed));
    histories::tally counts;
    for (histories::setup const& s : chosen)
        if (auto found = histories::run_history(s, a.seed, each, &counts)) {
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
