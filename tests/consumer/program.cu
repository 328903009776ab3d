// A store on a CUDA device, if there is one. To build this takes none.

#include <marconi/gpu.cuh>

#include <cstdio>

using namespace marconi::literals;

int main() {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::printf("no CUDA device\n");
        return 0;
    }
    marconi::footprint const model{.kv_layers = {{.key_bytes = 8, .value_bytes = 8}}};
    marconi::gpu::device_store const store{model, 1_MiB, {.block_tokens = 16_tokens}};
    std::printf("%llu pages on a device\n",
                static_cast<unsigned long long>(store.pages().capacity()));
    return 0;
}
