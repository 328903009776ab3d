#include "tokens.hpp"

#include <marconi/index/match.hpp>

#include <support/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <random>
#include <vector>

using namespace marconi;
using testing::make_token;

TEMPLATE_LIST_TEST_CASE("common_prefix: every length to 200, every place of a difference", "",
                        testing::token_types) {
    for (std::size_t n = 0; n <= 200; ++n) {
        std::vector<TestType> a(n);
        for (std::size_t i = 0; i < n; ++i)
            a[i] = make_token<TestType>(i % 5);
        std::vector<TestType> b = a;
        REQUIRE(index::common_prefix(a.data(), b.data(), n) == n);
        for (std::size_t at = 0; at < n; ++at) {
            b[at] = make_token<TestType>(99);
            REQUIRE(index::common_prefix(a.data(), b.data(), n) == at);
            // What lies behind the first difference plays no part.
            std::swap(b[n - 1], a[at / 2]);
            std::size_t const plain = static_cast<std::size_t>(
                std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
            REQUIRE(index::common_prefix(a.data(), b.data(), n) == plain);
            std::swap(b[n - 1], a[at / 2]);
            b[at] = a[at];
        }
    }
}

TEMPLATE_LIST_TEST_CASE("common_prefix: long runs with a difference anywhere", "",
                        testing::token_types) {
    std::mt19937 random{5};
    for (int round = 0; round < 300; ++round) {
        std::size_t const n = 1 + random() % 40'000;
        std::vector<TestType> a(n);
        for (TestType& t : a)
            t = make_token<TestType>(random() % 3);
        std::vector<TestType> b = a;
        std::size_t wanted = n;
        for (std::size_t differences = random() % 4; differences > 0; --differences) {
            std::size_t const at = random() % n;
            b[at] = make_token<TestType>(7);
            wanted = std::min(wanted, at);
        }
        REQUIRE(index::common_prefix(a.data(), b.data(), n) == wanted);
    }
}

TEMPLATE_LIST_TEST_CASE("common_prefix: tokens differ by any one of their bytes", "",
                        testing::token_types) {
    for (std::size_t byte = 0; byte < sizeof(TestType); ++byte) {
        std::vector<TestType> const a(33, make_token<TestType>(1));
        std::vector<TestType> b = a;
        reinterpret_cast<unsigned char*>(&b[20])[byte] ^= 0x80u;
        CHECK(index::common_prefix(a.data(), b.data(), a.size()) == 20);
    }
}
