#pragma once

// MARCONI_UNDER_ASAN: whether AddressSanitizer watches, in the words of either compiler.

#if defined(__SANITIZE_ADDRESS__)
#define MARCONI_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MARCONI_UNDER_ASAN 1
#endif
#endif
#if !defined(MARCONI_UNDER_ASAN)
#define MARCONI_UNDER_ASAN 0
#endif
