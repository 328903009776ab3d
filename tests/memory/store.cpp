#include <contracts/store.hpp>

#include <marconi/memory/host_store.hpp>
#include <marconi/memory/ledger_store.hpp>

#include <support/catch.hpp>

#include <tuple>

using stores = std::tuple<marconi::memory::ledger_store, marconi::memory::host_store>;

TEMPLATE_LIST_TEST_CASE("stores keep their contract", "", stores) {
    contracts::store_suite<TestType>();
}
