#include <replay/sizes.hpp>

#include <marconi/core/error.hpp>
#include <marconi/core/units.hpp>
#include <support/catch.hpp>

#include <string>

using namespace marconi;
using namespace marconi::replay;
using namespace marconi::literals;

TEST_CASE("sizes in bytes") {
    CHECK(parse_capacity("100B").bytes == 100_B);
    CHECK(parse_capacity("5GB").bytes == 5_GB);
    CHECK(parse_capacity("5GiB").bytes == 5_GiB);
    CHECK(parse_capacity("512MB").bytes == 512_MB);
    CHECK(parse_capacity("1.5GB").bytes == 1500_MB);
    CHECK(parse_capacity(".5KiB").bytes == 512_B);
    CHECK(parse_capacity("2 TB").bytes == 2000_GB);
    CHECK(parse_capacity("3kib").bytes == 3_KiB);
    CHECK(parse_capacity("0.0000000012GB").bytes == 1_B);
}

TEST_CASE("shares of what an infinite cache holds") {
    capacity const tenth = parse_capacity("10%");
    CHECK_FALSE(tenth.bytes);
    CHECK(tenth.share == 0.1);
    CHECK(tenth.of(5_GB) == 500_MB);
    CHECK(tenth.of(1_B) == 1_B); // never nothing
    CHECK(parse_capacity("100%").of(7_B) == 7_B);
    CHECK(parse_capacity("2.5 %").of(1000_B) == 25_B);
    CHECK(parse_capacity("5GB").of(1_B) == 5_GB);
}

TEST_CASE("nonsense is no size") {
    auto const [text, expected] = GENERATE(table<char const*, char const*>({
        {"", "a size such as 5GB, 512MiB or 10%"},
        {"GB", "a size such as 5GB, 512MiB or 10%"},
        {"5XB", "a size such as 5GB, 512MiB or 10%"},
        {"-5GB", "a size such as 5GB, 512MiB or 10%"},
        {"1.2.3GB", "a size such as 5GB, 512MiB or 10%"},
        {"1e9B", "a size such as 5GB, 512MiB or 10%"},
        {"nanGB", "a size such as 5GB, 512MiB or 10%"},
        {"5GB5", "a size such as 5GB, 512MiB or 10%"},
        {"5", "a unit after the number: B, KB, MB, GB, TB, KiB to TiB, or %"},
        {"0GB", "at least 1 byte"},
        {"0.1B", "at least 1 byte"},
        {"0%", "above 0% and at most 100%"},
        {"101%", "above 0% and at most 100%"},
        {"99999999999TB", "at most 2^63 bytes"},
    }));
    CHECK_THROWS_WITH(parse_capacity(text),
                      std::string{"capacity is '"} + text + "'; expected " + expected);
    CHECK_THROWS_AS(parse_capacity(std::string(400, '9') + "TB"), invalid_argument);
}

TEST_CASE("numbers for people") {
    CHECK(format_bytes(0) == "0 B");
    CHECK(format_bytes(999) == "999 B");
    CHECK(format_bytes(1000) == "1.00 KB");
    CHECK(format_bytes(26'787'840) == "26.8 MB");
    CHECK(format_bytes(9'999'999) == "10.0 MB");
    CHECK(format_bytes(99'960'000) == "100 MB");
    CHECK(format_bytes(999'600'000) == "1.00 GB");
    CHECK(format_bytes(~std::uint64_t{0}) == "18.4 EB");
    CHECK(format_flops(5.14349e14) == "514 TFLOP");
    CHECK(format_flops(0) == "0 FLOP");
    CHECK(format_count(0) == "0");
    CHECK(format_count(999) == "999");
    CHECK(format_count(1'000) == "1,000");
    CHECK(format_count(1'234'567) == "1,234,567");
    CHECK(format_share(0.123) == "12.30 %");
    CHECK(format_fixed(2.5, 2) == "2.50");
}
