// tiny_engine: a small hybrid model that runs, with a prefix cache.

#include "commands.hpp"

#include <exception>
#include <iostream>

int main(int argc, char** argv) {
    CLI::App app{"A small hybrid model that runs, with a prefix cache: proves that a resumed "
                 "request is the same request, and measures the time to first token"};
    app.require_subcommand(1);
    tiny::command const commands[] = {tiny::define_prove(app), tiny::define_serve(app)};
    CLI11_PARSE(app, argc, argv);
    try {
        for (tiny::command const& c : commands)
            if (c.app->parsed()) return c.run();
        return 0;
    } catch (std::exception const& e) {
        std::cerr << "tiny_engine: " << e.what() << '\n';
        return 3;
    }
}
