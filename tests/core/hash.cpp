#include <marconi/core/hash.hpp>

#include <support/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

using namespace marconi;

TEST_CASE("every bit that goes in changes about half of those that come out") {
    // Over 256 inputs, the number of times that one bit changes another is within five standard
    // deviations (of 8 each) of half of them.
    int turned[64][64] = {};
    for (std::uint64_t x = 1; x <= 256; ++x) {
        std::uint64_t const from = x * 0x9E3779B97F4A7C15u;
        for (int in = 0; in < 64; ++in) {
            std::uint64_t const changed = mix(from) ^ mix(from ^ std::uint64_t{1} << in);
            for (int out = 0; out < 64; ++out)
                turned[in][out] += static_cast<int>(changed >> out & 1);
        }
    }
    int least = 256, most = 0;
    for (auto const& outs : turned)
        for (int times : outs) {
            least = times < least ? times : least;
            most = times > most ? times : most;
        }
    CHECK(least >= 128 - 5 * 8);
    CHECK(most <= 128 + 5 * 8);
}

TEST_CASE("a hash is of all bytes, of these alone, and of the seed") {
    // On the heap and without a byte to spare, so that a sanitizer sees one that is read past it.
    for (std::size_t count = 0; count <= 25; ++count) {
        CAPTURE(count);
        std::vector<std::byte> bytes(count);
        for (std::size_t i = 0; i < count; ++i)
            bytes[i] = std::byte(i + 1);
        std::uint64_t const hash = hash_bytes(7, bytes.data(), count);
        CHECK(hash_bytes(8, bytes.data(), count) != hash);
        std::vector<std::byte> longer = bytes;
        longer.resize(count + 16, std::byte{99});
        CHECK(hash_bytes(7, longer.data(), count) == hash);
        for (std::byte& one : bytes) {
            one ^= std::byte{0x80};
            CHECK(hash_bytes(7, bytes.data(), count) != hash);
            one ^= std::byte{0x80};
        }
    }
}

TEST_CASE("words that change places have another hash") {
    std::uint64_t const one[] = {1, 2, 3}, other[] = {2, 1, 3};
    CHECK(hash_bytes(7, one, sizeof one) != hash_bytes(7, other, sizeof other));
    // Nor does a word undo one before it.
    std::uint64_t const twice[] = {5, 5}, none[] = {6, 6};
    CHECK(hash_bytes(7, twice, sizeof twice) != hash_bytes(7, none, sizeof none));
}

TEST_CASE("no two seeds are alike, in neither half") {
    std::set<std::uint32_t> high, low;
    for (int i = 0; i < 100; ++i) {
        std::uint64_t const seed = random_seed();
        high.insert(static_cast<std::uint32_t>(seed >> 32));
        low.insert(static_cast<std::uint32_t>(seed));
    }
    // Of 100 numbers of 32 bits two are the same once in a million runs, three never.
    CHECK(high.size() >= 99);
    CHECK(low.size() >= 99);
}
