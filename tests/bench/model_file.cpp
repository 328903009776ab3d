#include <replay/model_file.hpp>

#include <bench/temporary_file.hpp>
#include <marconi/core/error.hpp>
#include <marconi/core/footprint.hpp>
#include <marconi/core/types.hpp>
#include <support/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <string>

using namespace marconi;
using namespace marconi::replay;

namespace {

std::string model_complaint(std::string const& text) {
    temporary_file const file{text};
    try {
        (void)read_model(file.path());
        return {};
    } catch (invalid_argument const& e) {
        std::string const says = e.what();
        std::string const place = "model " + file.path();
        CHECK(says.starts_with(place));
        return says.substr(std::min(says.size(), place.size()));
    }
}

} // namespace

TEST_CASE("a model of one's own, by its bytes and FLOPs") {
    temporary_file const file{R"({"flops_per_token": 1.5e10, "flops_per_pair": 100,
        "kv_bytes_per_token": 65536, "state_bytes": 5000,
        "windows": [{"tokens": 512, "bytes_per_token": 256, "flops_per_pair": 8},
                    {"tokens": 64, "flops_per_pair": 0}]})"};
    footprint const model = read_model(file.path());
    CHECK(model.kv_bytes_per_token() == byte_count{65'536});
    CHECK(model.checkpoint_bytes(token_count{100}) == byte_count{5'000 + 100 * 256});
    CHECK(model.checkpoint_bytes(token_count{1'000}) == byte_count{5'000 + 512 * 256});
    CHECK(model.flops.up_to(token_count{10}).value() == 1.5e11 + 100 * 100 + 100 * 8);

    temporary_file const plain{R"({"flops_per_token": 2e9, "kv_bytes_per_token": 10})"};
    CHECK_FALSE(read_model(plain.path()).has_checkpoints());
    temporary_file const recurrent{R"({"flops_per_token": 2e9, "state_bytes": 10})"};
    CHECK_FALSE(read_model(recurrent.path()).has_kv());
    CHECK(is_model_file("here/model.json"));
    CHECK_FALSE(is_model_file("jamba-1.5-mini"));
}

TEST_CASE("a model file that says nothing, or too much, is refused") {
    CHECK(model_complaint("") == ": is empty; expected a JSON object");
    CHECK(model_complaint(R"({"flops)") == ": is not JSON: it ends early");
    CHECK(model_complaint(R"({"windows": [}])") == ": is not JSON: error at byte 14 of 15");
    CHECK(model_complaint(R"({"state_bytes": 1e999})") ==
          ": is not JSON: a number in it is out of range");
    CHECK(model_complaint(std::string((std::size_t{1} << 20) + 1, ' ')) ==
          ": is longer than 1 MiB");
    CHECK(model_complaint("[]") == ": expected a JSON object");
    CHECK(model_complaint(R"({"flops": 1})") ==
          ": 'flops' is not known; expected flops_per_token, flops_per_pair, kv_bytes_per_token, "
          "state_bytes, windows");
    CHECK(model_complaint(R"({"flops_per_token": 1})") ==
          ": 'kv_bytes_per_token' is missing or 0, and so is state_bytes: nothing to keep");
    CHECK(model_complaint(R"({"kv_bytes_per_token": 1})") ==
          ": 'flops_per_token' is missing or 0; expected the FLOPs that a token takes");
    CHECK(model_complaint(R"({"kv_bytes_per_token": -1})") ==
          ": 'kv_bytes_per_token' is -1; expected a whole number from 0 to 281474976710656");
    CHECK(model_complaint(R"({"kv_bytes_per_token": 1, "flops_per_token": "much"})") ==
          ": 'flops_per_token' is a string; expected a number from 0 to 1e24");
    CHECK(model_complaint(R"({"kv_bytes_per_token": 1, "flops_per_token": 1e25})") ==
          ": 'flops_per_token' is 1e+25; expected a number from 0 to 1e24");
    CHECK(model_complaint(R"({"windows": 3})") ==
          ": 'windows' is not an array of at most 1,000 objects");
    CHECK(model_complaint(R"({"windows": [3]})") == ", windows: expected a JSON object");
    CHECK(model_complaint(R"({"windows": [{"bytes_per_token": 3}]})") ==
          ", windows: 'tokens' is missing or 0; expected at least 1");
    std::size_t const deep = 500'000;
    CHECK(model_complaint(R"({"state_bytes": )" + std::string(deep, '[') + std::string(deep, ']') +
                          "}") ==
          ": 'state_bytes' is an array; expected a whole number from 0 to 281474976710656");
    CHECK_THROWS_WITH(read_model("/no/such.json"),
                      "model '/no/such.json' cannot be opened: No such file or directory");
    CHECK_THROWS_WITH(read_model("/tmp"), "model /tmp: cannot be read");
}
