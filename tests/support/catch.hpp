#pragma once

// Catch2 2.13 (Debian 12) and Catch2 3 under one name. Both print what is in a pair, or a map.

#define CATCH_CONFIG_ENABLE_PAIR_STRINGMAKER

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
