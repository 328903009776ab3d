#include <replay/trace_reader.hpp>
#include <support/catch.hpp>

TEST_CASE("a trace is named after its file") {
    CHECK(marconi::replay::trace_name("a/b/taubench.compact.jsonl.gz") == "taubench");
}
