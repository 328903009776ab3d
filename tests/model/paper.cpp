#include <marconi/model/bytes.hpp>
#include <marconi/model/flops.hpp>
#include <marconi/model/presets.hpp>

#include <support/catch.hpp>

using namespace marconi;
using namespace marconi::model;

TEST_CASE("the paper's 7B model costs what the paper says") {
    auto const cost = find_preset("paper-7b").footprint({.flavour = cost::paper});
    CHECK(cost.kv_bytes_per_token() == byte_count{65'536});
    CHECK(cost.checkpoint_bytes(token_count{1}) == byte_count{26'787'840});
}
