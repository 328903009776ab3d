// The C functions over pages in a CUDA device's memory.

#include "on_device.hpp"

#include <marconi/gpu.cuh>

#define MARCONI_C_PAGES c_interface::on_device<marconi::gpu::kernel_launcher>
#include "marconi_c.cpp"
