#pragma once

// The command line that the programs of random histories share: [--steps N] [--seed S] [--config
// NAME], the steps being spread over the configurations whose names begin with NAME.

#include <support/histories/setup.hpp>
#include <support/whole_number.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace histories {

struct arguments {
    std::uint64_t seed = 1;
    std::string config;
    std::vector<setup> chosen;
    std::uint64_t each = 0; ///< steps
};

inline arguments parse(int argc, char** argv, std::uint64_t steps) {
    arguments a;
    for (int i = 1; i < argc; i += 2) {
        std::string const name = argv[i];
        if (i + 1 == argc || (name != "--steps" && name != "--seed" && name != "--config")) {
            std::fprintf(stderr, "usage: %s [--steps N] [--seed S] [--config NAME]\n", argv[0]);
            std::exit(2);
        }
        using marconi::tests::whole_number;
        if (name == "--steps") steps = whole_number("--steps", argv[i + 1], 1);
        if (name == "--seed") a.seed = whole_number("--seed", argv[i + 1]);
        if (name == "--config") a.config = argv[i + 1];
    }
    for (setup& s : setups())
        if (s.name.starts_with(a.config)) a.chosen.push_back(std::move(s));
    if (a.chosen.empty()) {
        std::fprintf(stderr, "no configuration is called %s\n", a.config.c_str());
        std::exit(2);
    }
    a.each = steps / a.chosen.size() + 1;
    std::printf("%zu configurations, %llu steps each, seed %llu\n", a.chosen.size(),
                static_cast<unsigned long long>(a.each), static_cast<unsigned long long>(a.seed));
    std::fflush(stdout);
    return a;
}

} // namespace histories
