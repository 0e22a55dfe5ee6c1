/* What all files of the core share. The core needs GCC or Clang and a little-endian machine with 64 bits; elsewhere it
   does not compile, and the package is installed without it. */
#ifndef IMGDIFF_CORE_H
#define IMGDIFF_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__) && !defined(__clang__)
#error "the core needs GCC or Clang"
#elif __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || SIZE_MAX < UINT64_MAX
#error "the core needs a little-endian machine with 64 bits"
#endif

/* CORE_PORTABLE leaves AVX2 out, as on other machines: the tests run both. */
#if defined(__x86_64__) && !defined(CORE_PORTABLE)
#define HAVE_AVX2 1
#else
#define HAVE_AVX2 0
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Every allocation of the core. With CORE_FAULTS it fails when core_allocations_left reaches 0 (tests only). */
void *core_allocate(size_t size);
void core_free(void *memory);
#if defined(CORE_FAULTS)
extern long core_allocations_left;
#endif

/* Whether the machine runs what is compiled for AVX2 (and BMI2 and carry-less products, which come with it). */
bool core_has_avx2(void);

/* Called once, before anything else. */
void checksums_set_up(void);

/* CRC-32 (PNG Specification, third edition, annex D) of more bytes; begin with `before` = 0. */
uint32_t crc32_of(uint32_t before, const uint8_t *bytes, size_t count);

/* Adler-32 (RFC 1950) of more bytes; begin with `before` = 1. */
uint32_t adler32_of(uint32_t before, const uint8_t *bytes, size_t count);

ALWAYS_INLINE uint32_t load_be32(const uint8_t *bytes) {
    uint32_t value;
    memcpy(&value, bytes, 4);
    return __builtin_bswap32(value);
}

ALWAYS_INLINE uint32_t load32(const uint8_t *bytes) {
    uint32_t value;
    memcpy(&value, bytes, 4);
    return value;
}

ALWAYS_INLINE uint64_t load64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, 8);
    return value;
}

ALWAYS_INLINE void store32(uint8_t *bytes, uint32_t value) { memcpy(bytes, &value, 4); }

#endif
