#include "exit_code.hpp"

#include <marconi/core/error.hpp>

#include <exception>
#include <new>
#include <ostream>

namespace marconi::replay {

int exit_code_of(std::function<int()> const& work, char const* program, int failed,
                 std::ostream& err) {
    auto const ends = [&](int code, char const* why) {
        err << program << ": " << why << '\n';
        return code;
    };
    try {
        return work();
    } catch (std::bad_alloc const&) {
        return ends(failed, "out of memory");
    } catch (invalid_argument const& e) {
        return ends(exit_code::refused, e.what());
    } catch (std::exception const& e) {
        return ends(failed, e.what());
    }
}

} // namespace marconi::replay
