#include "program.hpp"

#include "commands.hpp"

#include <ostream>

namespace tiny {
namespace {

int carry_out(int argc, char const* const* argv, std::ostream& out, std::ostream& err) {
    CLI::App app{"A small hybrid model that runs, with a prefix cache: proves that a resumed "
                 "request is the same request, and measures the time to first token",
                 "tiny_engine"};
    app.require_subcommand(1);
    command const commands[] = {define_prove(app), define_serve(app)};
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& e) {
        int const code = app.exit(e, out, err) == 0 ? exit_code::good : exit_code::refused;
        return out.flush() ? code : exit_code::failed;
    }
    for (command const& c : commands)
        if (c.app->parsed()) return c.run(out, err);
    return exit_code::good;
}

} // namespace

int run_program(int argc, char const* const* argv, std::ostream& out, std::ostream& err) {
    return marconi::replay::exit_code_of([&] { return carry_out(argc, argv, out, err); },
                                         "tiny_engine", exit_code::failed, err);
}

} // namespace tiny
