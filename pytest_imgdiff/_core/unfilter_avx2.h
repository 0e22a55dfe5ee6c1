/* Eight rows of any filters at once, each a pixel behind the one above it, as four_rows of unfilter_rows.h does with four:
   two vectors of four chains, of which one works while the other waits. For unfilter.c, and AVX2. */
#define EIGHT_INLINE __attribute__((target("avx2,bmi,bmi2"))) static inline __attribute__((always_inline))

EIGHT_INLINE __m128i four_bytes(const uint8_t *from) { return _mm_cvtsi32_si128((int)load32(from)); }

/* The masks of the filters of four rows, four channels to a row. */
EIGHT_INLINE void filter_masks(const uint8_t *const rows[4], __m256i masks[PAETH + 1]) {
    for (int filter = SUB; filter <= PAETH; filter++)
        masks[filter] = _mm256_setr_epi64x(-(rows[0][0] == filter), -(rows[1][0] == filter), -(rows[2][0] == filter),
                                           -(rows[3][0] == filter));
}

EIGHT_INLINE __m256i predicted_pixels(__m256i left, __m256i up, __m256i corner, const __m256i masks[PAETH + 1],
                                      const bool only_paeth) {
    __m256i by_left = _mm256_sub_epi16(up, corner), by_up = _mm256_sub_epi16(left, corner);
    const __m256i by_corner = _mm256_abs_epi16(_mm256_add_epi16(by_left, by_up));
    by_left = _mm256_abs_epi16(by_left);
    by_up = _mm256_abs_epi16(by_up);
    const __m256i least = _mm256_min_epi16(by_corner, _mm256_min_epi16(by_left, by_up));
    __m256i found = _mm256_blendv_epi8(corner, up, _mm256_cmpeq_epi16(least, by_up));
    found = _mm256_blendv_epi8(found, left, _mm256_cmpeq_epi16(least, by_left));
    if (only_paeth) return found;
    const __m256i mean = _mm256_srli_epi16(_mm256_add_epi16(left, up), 1);
    found = _mm256_and_si256(found, masks[PAETH]);
    found = _mm256_or_si256(found, _mm256_and_si256(left, masks[SUB]));
    found = _mm256_or_si256(found, _mm256_and_si256(up, masks[UP]));
    return _mm256_or_si256(found, _mm256_and_si256(mean, masks[AVERAGE]));
}

/* One step: row `i` makes its pixel `step - i`, if there is one; `inside` says that there is one in all rows. */
EIGHT_INLINE void eight_pixels(const uint8_t *const from[8], uint8_t *const to[8], const uint8_t *above, size_t step,
                               size_t width, __m256i left[2], __m256i corner[2], const __m256i masks[2][PAETH + 1],
                               const int bytes, const bool only_paeth, const bool inside) {
    const __m128i none = _mm_setzero_si128(), full = _mm_set1_epi32(bytes == 3 ? (int)0xFF000000u : 0);
    __m128i stored[8];
    for (int i = 0; i < 8; i++)
        stored[i] = inside || (step >= (size_t)i && step - (size_t)i < width) ? four_bytes(from[i] + step * (size_t)bytes) : none;
    const __m128i first = step < width ? four_bytes(above + 4 * step) : none;
    __m256i up[2];
    up[0] = _mm256_blend_epi32(_mm256_permute4x64_epi64(left[0], 0x90), _mm256_castsi128_si256(_mm_cvtepu8_epi16(first)), 3);
    up[1] = _mm256_blend_epi32(_mm256_permute4x64_epi64(left[1], 0x90), _mm256_permute4x64_epi64(left[0], 0xFF), 3);
    for (int half = 0; half < 2; half++) {
        const __m128i *four = stored + 4 * half;
        const __m128i bytes16 = _mm_unpacklo_epi64(_mm_unpacklo_epi32(four[0], four[1]), _mm_unpacklo_epi32(four[2], four[3]));
        const __m256i found = predicted_pixels(left[half], up[half], corner[half], masks[half], only_paeth);
        corner[half] = up[half];
        left[half] = _mm256_and_si256(_mm256_add_epi16(_mm256_cvtepu8_epi16(bytes16), found), _mm256_set1_epi16(255));
    }
    if (!inside && step < 7) { /* rows that have not begun have zeros on their left */
        const long long at = (long long)step;
        left[0] = _mm256_and_si256(left[0], _mm256_setr_epi64x(-1, -(at >= 1), -(at >= 2), -(at >= 3)));
        left[1] = _mm256_and_si256(left[1], _mm256_setr_epi64x(-(at >= 4), -(at >= 5), -(at >= 6), 0));
    }
    const __m256i made = _mm256_packus_epi16(left[0], left[1]); /* rows 0, 1, 4, 5; 2, 3, 6, 7 */
    const __m128i low = _mm_or_si128(_mm256_castsi256_si128(made), full), high = _mm_or_si128(_mm256_extracti128_si256(made, 1), full);
    const uint32_t pixels[8] = {
        (uint32_t)_mm_cvtsi128_si32(low),  (uint32_t)_mm_extract_epi32(low, 1),  (uint32_t)_mm_cvtsi128_si32(high),
        (uint32_t)_mm_extract_epi32(high, 1), (uint32_t)_mm_extract_epi32(low, 2),  (uint32_t)_mm_extract_epi32(low, 3),
        (uint32_t)_mm_extract_epi32(high, 2), (uint32_t)_mm_extract_epi32(high, 3)};
    for (int i = 0; i < 8; i++)
        if (inside || (step >= (size_t)i && step - (size_t)i < width)) store32(to[i] + 4 * step, pixels[i]);
}

EIGHT_INLINE void eight_rows(const uint8_t *rows, size_t stride, uint8_t *cells, size_t pitch, const uint8_t *above,
                             size_t width, const int bytes, const bool only_paeth) {
    const uint8_t *starts[8], *from[8];
    uint8_t *to[8];
    for (size_t i = 0; i < 8; i++) { /* the places of pixel -i */
        starts[i] = rows + i * stride;
        from[i] = starts[i] + 1 - i * (size_t)bytes;
        to[i] = cells + i * pitch - 4 * i;
    }
    __m256i masks[2][PAETH + 1], left[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()}, corner[2] = {left[0], left[0]};
    filter_masks(starts, masks[0]);
    filter_masks(starts + 4, masks[1]);
    size_t step = 0;
    for (; step < 7; step++) eight_pixels(from, to, above, step, width, left, corner, masks, bytes, only_paeth, false);
    for (; step < width; step++) eight_pixels(from, to, above, step, width, left, corner, masks, bytes, only_paeth, true);
    for (; step < width + 7; step++) eight_pixels(from, to, above, step, width, left, corner, masks, bytes, only_paeth, false);
}

#undef EIGHT_INLINE
