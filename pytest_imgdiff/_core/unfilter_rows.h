/* Pixels of three or four bytes, unfiltered to four. unfilter.c includes this file for each kind of machine: TARGET,
   NAMED. `bytes` is 3 or 4 and known where the functions are inlined. */
#define INLINE TARGET static inline __attribute__((always_inline))

#ifndef IMGDIFF_VECTORS
#define IMGDIFF_VECTORS
typedef uint8_t Bytes16 __attribute__((vector_size(16)));
typedef uint16_t Shorts16 __attribute__((vector_size(32)));
typedef int16_t Signed16 __attribute__((vector_size(32)));
typedef uint32_t Words4 __attribute__((vector_size(16)));
#endif

/* Four pixels; 16 bytes are read. */
INLINE Bytes16 NAMED(four_pixels)(const uint8_t *row, const int bytes) {
    Bytes16 found;
    memcpy(&found, row, 16);
    if (bytes == 4) return found;
    return __builtin_shufflevector(found, (Bytes16){0}, 0, 1, 2, 16, 3, 4, 5, 16, 6, 7, 8, 16, 9, 10, 11, 16);
}

/* A row filtered by None, Sub or Up. */
INLINE void NAMED(simple_row)(const uint8_t *row, uint8_t *cells, const uint8_t *above, uint32_t width, const int bytes) {
    const int filter = *row++;
    const Words4 full = (Words4){0} + (bytes == 3 ? 0xFF000000u : 0);
    Bytes16 sum = {0};
    for (size_t x = 0; x < width; x += 4, row += 4 * bytes) {
        Bytes16 pixels = NAMED(four_pixels)(row, bytes);
        if (filter == UP) {
            Bytes16 up;
            memcpy(&up, above + 4 * x, 16);
            pixels += up;
        } else if (filter == SUB) {
            /* The sums of one, two, three and four pixels, and that of all before. */
            const Bytes16 none = {0};
            pixels += __builtin_shufflevector(pixels, none, 16, 16, 16, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
            pixels += __builtin_shufflevector(pixels, none, 16, 16, 16, 16, 16, 16, 16, 16, 0, 1, 2, 3, 4, 5, 6, 7);
            pixels += sum;
            sum = __builtin_shufflevector(pixels, pixels, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15);
        }
        pixels = (Bytes16)((Words4)pixels | full);
        memcpy(cells + 4 * x, &pixels, 16);
    }
}

INLINE Signed16 NAMED(magnitude)(Signed16 value) {
    Signed16 negative = value >> 15;
    return (value ^ negative) - negative;
}

/* Four rows of any filters at once, each a pixel behind the one above it, so that what a pixel needs of the row above
   was made one step before: four chains of additions in one vector, which would wait for one another otherwise. `count`
   is that of the rows that there are, four at most. */
INLINE void NAMED(four_rows)(const uint8_t *const rows[4], uint8_t *const cells[4], const int count, const uint8_t *above,
                             uint32_t width, const int bytes, const bool only_paeth) {
    Signed16 is_sub, is_up, is_average, is_paeth;
    for (int lane = 0; lane < 16; lane++) {
        const int filter = lane / 4 < count ? rows[lane / 4][0] : NO_FILTER;
        is_sub[lane] = (int16_t)-(filter == SUB);
        is_up[lane] = (int16_t)-(filter == UP);
        is_average[lane] = (int16_t)-(filter == AVERAGE);
        is_paeth[lane] = (int16_t)-(filter == PAETH);
    }
    const uint32_t full = bytes == 3 ? 0xFF000000u : 0;
    Signed16 left = {0}, corner = {0};
    for (int64_t step = 0; step < (int64_t)width + 3; step++) {
        const bool inside = step >= 3 && step < width;
        Words4 stored = {0};
        for (int lane = 0; lane < count; lane++)
            if (inside || (step >= lane && step - lane < width)) stored[lane] = load32(rows[lane] + 1 + (step - lane) * bytes);
        Signed16 values = __builtin_convertvector((Bytes16)stored, Signed16);
        const uint32_t above_first = step < width ? load32(above + 4 * step) : 0;
        const Words4 first = {above_first, 0, 0, 0};
        Signed16 up = __builtin_shufflevector(left, __builtin_convertvector((Bytes16)first, Signed16), 16, 17, 18, 19, 0, 1,
                                              2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
        Signed16 by_left = up - corner, by_up = left - corner, by_corner = by_left + by_up;
        by_left = NAMED(magnitude)(by_left);
        by_up = NAMED(magnitude)(by_up);
        by_corner = NAMED(magnitude)(by_corner);
        const Signed16 take_left = ~((by_left > by_up) | (by_left > by_corner)), take_up = ~(by_up > by_corner);
        Signed16 predicted = (take_left & left) | (~take_left & ((take_up & up) | (~take_up & corner)));
        if (!only_paeth)
            predicted = (predicted & is_paeth) | (left & is_sub) | (up & is_up) | (((left + up) >> 1) & is_average);
        corner = up;
        left = (values + predicted) & 255;
        if (step < 3) { /* rows that have not begun have zeros on their left */
            for (int lane = 0; lane < 16; lane++)
                if (lane / 4 > step) left[lane] = 0;
        }
        const Words4 made = (Words4)__builtin_convertvector(left, Bytes16);
        for (int lane = 0; lane < count; lane++)
            if (inside || (step >= lane && step - lane < width)) store32(cells[lane] + 4 * (step - lane), made[lane] | full);
    }
}

INLINE void NAMED(wide_rows)(const uint8_t *rows, size_t stride, uint8_t *cells, size_t pitch, const uint8_t *above,
                             uint32_t count, uint32_t width, const int bytes) {
    uint32_t row = 0;
    while (row < count) {
        const uint8_t *first = rows + row * stride;
        uint8_t *to = cells + row * pitch;
        const uint8_t *up = row ? to - pitch : above;
        if (first[0] <= UP) {
            NAMED(simple_row)(first, to, up, width, bytes);
            row++;
            continue;
        }
#if EIGHT_ROWS
        if (count - row >= 8 && width >= 8) { /* a row that is no chain is made sooner alone: three are worth the others */
            int chained = 0, paeth = 0;
            for (size_t i = 0; i < 8; i++) {
                chained += first[i * stride] > UP;
                paeth += first[i * stride] == PAETH;
            }
            if (chained >= 3) {
                if (paeth == 8)
                    eight_rows(first, stride, to, pitch, up, width, bytes, true);
                else
                    eight_rows(first, stride, to, pitch, up, width, bytes, false);
                row += 8;
                continue;
            }
        }
#endif
        const uint8_t *from[4] = {0};
        uint8_t *into[4] = {0};
        const int together = count - row < 4 ? (int)(count - row) : 4;
        bool only_paeth = true;
        for (int i = 0; i < together; i++) {
            from[i] = first + (size_t)i * stride;
            into[i] = to + (size_t)i * pitch;
            only_paeth = only_paeth && from[i][0] == PAETH;
        }
        if (together < 4)
            NAMED(four_rows)(from, into, together, up, width, bytes, false);
        else if (only_paeth)
            NAMED(four_rows)(from, into, 4, up, width, bytes, true);
        else
            NAMED(four_rows)(from, into, 4, up, width, bytes, false);
        row += (uint32_t)together;
    }
}

TARGET static void NAMED(rows_of_3)(const uint8_t *rows, size_t stride, uint8_t *cells, size_t pitch, const uint8_t *above,
                                    uint32_t count, uint32_t width) {
    NAMED(wide_rows)(rows, stride, cells, pitch, above, count, width, 3);
}

TARGET static void NAMED(rows_of_4)(const uint8_t *rows, size_t stride, uint8_t *cells, size_t pitch, const uint8_t *above,
                                    uint32_t count, uint32_t width) {
    NAMED(wide_rows)(rows, stride, cells, pitch, above, count, width, 4);
}
#undef INLINE
