#include <contracts/store.hpp>
#include <gpu/device_access.hpp>
#include <gpu/emulated/runtime.hpp>

#include <marconi/gpu/basic_device_store.hpp>
#include <marconi/memory/concepts.hpp>

#include <support/catch.hpp>

using device_store = marconi::gpu::basic_device_store<emulated::emulated_launcher>;

static_assert(marconi::memory::ordered_store<device_store>);

TEST_CASE("a device store keeps the stores' contract") {
    emulated::restart(1);
    contracts::store_suite<device_store>();
}
