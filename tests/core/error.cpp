#include <marconi/core/error.hpp>

#include <support/catch.hpp>

#include <string>

using namespace marconi;

namespace {

template <class Value>
std::string message(Value const& value) {
    try {
        throw_invalid("argument", value, "another");
    } catch (invalid_argument const& failure) {
        return failure.what();
    }
}

} // namespace

TEST_CASE("an argument that is refused is named, with its value and what was expected") {
    CHECK(message(7) == "argument is 7; expected another");
    CHECK(message(-7L) == "argument is -7; expected another");
    CHECK(message("text") == "argument is text; expected another");
    CHECK(message(std::string{}) == "argument is ; expected another");
    // What is told apart from others by its last digits, or is nearly nothing, is told in full.
    CHECK(message(1e-9) == "argument is 1e-09; expected another");
    CHECK(message(0.1) == "argument is 0.1; expected another");
    CHECK(message(1.0000000000000002) == "argument is 1.0000000000000002; expected another");
}

TEST_CASE("a condition is looked at once, and only its failure throws") {
    int looks = 0;
    MARCONI_EXPECT(++looks > 0, "looks", looks, "at least 1");
    CHECK(looks == 1);
    CHECK_THROWS_WITH([&] { MARCONI_EXPECT(++looks < 2, "looks", looks, "at most 1"); }(),
                      "looks is 2; expected at most 1");
}

TEST_CASE("everything that the library throws on its own account is an error") {
    CHECK_THROWS_AS(throw_invalid("argument", 7, "another"), error);
    CHECK_THROWS_AS(throw contract_violation{"calls"}, error);
    CHECK_THROWS_AS(throw size_overflow{"sizes"}, error);
}
