/* See unfilter.h. What is worth vectors stands in unfilter_rows.h, which is compiled for each kind of machine. */
#include "unfilter.h"

#include <stdlib.h>

static uint8_t paeth(int left, int up, int corner) {
    int by_left = abs(up - corner), by_up = abs(left - corner), by_corner = abs(left + up - 2 * corner);
    if (by_left <= by_up && by_left <= by_corner) return (uint8_t)left;
    return (uint8_t)(by_up <= by_corner ? up : corner);
}

/* Pixels of one or two bytes, which are seldom large. */
static void narrow_row(const uint8_t *row, uint8_t *cells, const uint8_t *above, size_t size, size_t pixel_bytes) {
    const int filter = *row++;
    if (filter == NO_FILTER) {
        memcpy(cells, row, size);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        int left = i >= pixel_bytes ? cells[i - pixel_bytes] : 0, corner = i >= pixel_bytes ? above[i - pixel_bytes] : 0;
        int up = above[i], predicted;
        switch (filter) {
        case SUB: predicted = left; break;
        case UP: predicted = up; break;
        case AVERAGE: predicted = (left + up) >> 1; break;
        default: predicted = paeth(left, up, corner);
        }
        cells[i] = (uint8_t)(row[i] + predicted);
    }
}

#define TARGET
#define NAMED(name) name##_anywhere
#define EIGHT_ROWS 0
#include "unfilter_rows.h"
#undef TARGET
#undef NAMED
#undef EIGHT_ROWS
#if HAVE_AVX2
#include <immintrin.h>

#include "unfilter_avx2.h"
#define EIGHT_ROWS 1
#define TARGET __attribute__((target("avx2,bmi,bmi2")))
#define NAMED(name) name##_avx2
#include "unfilter_rows.h"
#undef TARGET
#undef NAMED
#endif

void unfilter_rows(const uint8_t *rows, size_t stride, uint8_t *cells, size_t pitch, const uint8_t *above, uint32_t count,
                   uint32_t width, size_t pixel_bytes) {
    if (pixel_bytes < 3) {
        for (uint32_t row = 0; row < count; row++, rows += stride, above = cells, cells += pitch)
            narrow_row(rows, cells, above, width * pixel_bytes, pixel_bytes);
        return;
    }
#if HAVE_AVX2
    if (core_has_avx2()) {
        (pixel_bytes == 3 ? rows_of_3_avx2 : rows_of_4_avx2)(rows, stride, cells, pitch, above, count, width);
        return;
    }
#endif
    (pixel_bytes == 3 ? rows_of_3_anywhere : rows_of_4_anywhere)(rows, stride, cells, pitch, above, count, width);
}
