/* CRC-32 and Adler-32, by wide instructions where the machine has them. */
#include "core.h"

#if HAVE_AVX2
#include <cpuid.h>
#include <immintrin.h>
#endif

static uint32_t crc_table[8][256];
static bool has_avx2;

bool core_has_avx2(void) { return has_avx2; }

#if HAVE_AVX2
/* Intel SDM, volume 1, section 14.7.1: the processor has AVX2, and the system saves its registers. Not
   __builtin_cpu_supports: for Windows, Clang leaves its symbols undefined. */
static bool machine_has_avx2(void) {
    unsigned int a, b, c, d, enabled, high;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    const unsigned int wanted = bit_OSXSAVE | bit_AVX | bit_PCLMUL;
    if ((c & wanted) != wanted) return false;
    __asm__("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
    if ((enabled & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    return (b & bit_AVX2) && (b & bit_BMI) && (b & bit_BMI2);
}
#endif

void checksums_set_up(void) {
#if HAVE_AVX2
    has_avx2 = machine_has_avx2();
#endif
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xEDB88320u ^ (crc >> 1) : crc >> 1;
        crc_table[0][i] = crc;
    }
    for (int byte = 1; byte < 8; byte++)
        for (int i = 0; i < 256; i++) {
            uint32_t crc = crc_table[byte - 1][i];
            crc_table[byte][i] = crc_table[0][crc & 255] ^ (crc >> 8);
        }
}

/* Eight bytes at a time by tables. `crc` is inverted, here and in crc_folded. */
static uint32_t crc_by_tables(uint32_t crc, const uint8_t *bytes, size_t count) {
    for (; count >= 8; bytes += 8, count -= 8) {
        uint64_t word = load64(bytes) ^ crc;
        crc = 0;
        for (int byte = 0; byte < 8; byte++) crc ^= crc_table[7 - byte][(word >> (8 * byte)) & 255];
    }
    while (count--) crc = crc_table[0][(crc ^ *bytes++) & 255] ^ (crc >> 8);
    return crc;
}

#if HAVE_AVX2
#define CLMUL __attribute__((target("pclmul,sse4.1")))

/* Multiply the 128 bits so far by a power of x, and add the next 128 bits. */
CLMUL static inline __m128i folded(__m128i sum, __m128i powers, const uint8_t *next) {
    __m128i low = _mm_clmulepi64_si128(sum, powers, 0x00), high = _mm_clmulepi64_si128(sum, powers, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), _mm_loadu_si128((const __m128i *)next));
}

/* Folding by carry-less products: V. Gopal et al., Fast CRC Computation Using PCLMULQDQ, Intel 2009. */
CLMUL static uint32_t crc_folded(uint32_t crc, const uint8_t *bytes, size_t count) {
    const __m128i by_512 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i by_64 = _mm_set_epi64x(0, 0x0163cd6124);
    const __m128i polynomial = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i low_32 = _mm_setr_epi32(~0, 0, ~0, 0);
    __m128i sums[4];
    for (int i = 0; i < 4; i++) sums[i] = _mm_loadu_si128((const __m128i *)bytes + i);
    sums[0] = _mm_xor_si128(sums[0], _mm_cvtsi32_si128((int)crc));
    for (bytes += 64, count -= 64; count >= 64; bytes += 64, count -= 64)
        for (int i = 0; i < 4; i++) sums[i] = folded(sums[i], by_512, bytes + 16 * i);
    __m128i sum = sums[0];
    for (int i = 1; i < 4; i++) {
        uint8_t next[16];
        _mm_storeu_si128((__m128i *)next, sums[i]);
        sum = folded(sum, by_128, next);
    }
    for (; count >= 16; bytes += 16, count -= 16) sum = folded(sum, by_128, bytes);
    sum = _mm_xor_si128(_mm_srli_si128(sum, 8), _mm_clmulepi64_si128(sum, by_128, 0x10));
    sum = _mm_xor_si128(_mm_srli_si128(sum, 4), _mm_clmulepi64_si128(_mm_and_si128(sum, low_32), by_64, 0x00));
    /* Barrett reduction to 32 bits. */
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(sum, low_32), polynomial, 0x10);
    sum = _mm_xor_si128(sum, _mm_clmulepi64_si128(_mm_and_si128(quotient, low_32), polynomial, 0x00));
    return crc_by_tables((uint32_t)_mm_extract_epi32(sum, 1), bytes, count);
}
#endif

uint32_t crc32_of(uint32_t before, const uint8_t *bytes, size_t count) {
#if HAVE_AVX2
    if (has_avx2 && count >= 64) return ~crc_folded(~before, bytes, count);
#endif
    return ~crc_by_tables(~before, bytes, count);
}

/* The most bytes whose sums fit 32 bits: 5552 by RFC 1950; here a multiple of the blocks below. */
enum { ADLER_MOST = 5536, ADLER_BLOCK = 32, ADLER_MODULUS = 65521 };

/* The same sums as the definition's, a block of bytes at a time, which compilers turn into vectors. */
ALWAYS_INLINE uint32_t adler_by_blocks(uint32_t before, const uint8_t *bytes, size_t count) {
    uint32_t a = before & 0xFFFF, b = before >> 16;
    while (count) {
        size_t part = count < ADLER_MOST ? count : ADLER_MOST, at = 0;
        for (; at + ADLER_BLOCK <= part; at += ADLER_BLOCK) {
            uint32_t sum = 0, weighted = 0;
            for (uint32_t i = 0; i < ADLER_BLOCK; i++) {
                sum += bytes[at + i];
                weighted += (uint32_t)(uint16_t)((ADLER_BLOCK - i) * bytes[at + i]);
            }
            b += ADLER_BLOCK * a + weighted;
            a += sum;
        }
        for (; at < part; at++) {
            a += bytes[at];
            b += a;
        }
        a %= ADLER_MODULUS;
        b %= ADLER_MODULUS;
        bytes += part;
        count -= part;
    }
    return b << 16 | a;
}

#if HAVE_AVX2
__attribute__((target("avx2"))) static uint32_t adler_avx2(uint32_t before, const uint8_t *bytes, size_t count) {
    const __m256i weights = _mm256_setr_epi8(32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14,
                                             13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1);
    uint32_t a = before & 0xFFFF, b = before >> 16;
    while (count >= ADLER_BLOCK) {
        size_t part = (count < ADLER_MOST ? count : ADLER_MOST) / ADLER_BLOCK * ADLER_BLOCK;
        __m256i sums = _mm256_setzero_si256(), sums_before = sums, weighted = sums;
        for (size_t at = 0; at < part; at += ADLER_BLOCK) {
            __m256i block = _mm256_loadu_si256((const __m256i *)(bytes + at));
            sums_before = _mm256_add_epi32(sums_before, sums);
            sums = _mm256_add_epi32(sums, _mm256_sad_epu8(block, _mm256_setzero_si256()));
            weighted = _mm256_add_epi32(
                weighted, _mm256_madd_epi16(_mm256_maddubs_epi16(block, weights), _mm256_set1_epi16(1)));
        }
        uint32_t lanes[3][8], totals[3] = {0, 0, 0};
        _mm256_storeu_si256((__m256i *)lanes[0], sums);
        _mm256_storeu_si256((__m256i *)lanes[1], sums_before);
        _mm256_storeu_si256((__m256i *)lanes[2], weighted);
        for (int which = 0; which < 3; which++)
            for (int lane = 0; lane < 8; lane++) totals[which] += lanes[which][lane];
        b = (b + (uint32_t)part * a + ADLER_BLOCK * totals[1] + totals[2]) % ADLER_MODULUS;
        a = (a + totals[0]) % ADLER_MODULUS;
        bytes += part;
        count -= part;
    }
    return adler_by_blocks(b << 16 | a, bytes, count);
}
#endif

uint32_t adler32_of(uint32_t before, const uint8_t *bytes, size_t count) {
#if HAVE_AVX2
    if (has_avx2) return adler_avx2(before, bytes, count);
#endif
    return adler_by_blocks(before, bytes, count);
}
