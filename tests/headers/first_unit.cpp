#include "make_report.hpp"

#include <support/catch.hpp>

two_units::report two_units::first() { return make_report(); }

TEST_CASE("all headers link in two translation units, which see the same") {
    two_units::report const a = two_units::first();
    two_units::report const b = two_units::second();
    CHECK(a.copy_function == b.copy_function);
    CHECK(a.presets_function == b.presets_function);
    CHECK(a.presets == 23);
    CHECK(b.presets == a.presets);
    CHECK(a.kv_bytes_of_7b == 65'536);
    CHECK(b.kv_bytes_of_7b == a.kv_bytes_of_7b);
    CHECK(a.resumed_at == 64);
    CHECK(b.resumed_at == a.resumed_at);
}
