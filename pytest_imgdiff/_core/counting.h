/* What differs in two PNG files, counted while they are read: no whole picture is held. */
#ifndef IMGDIFF_COUNTING_H
#define IMGDIFF_COUNTING_H

#include "pixels.h"

/* Asked: `perceptual`, with the options of `rule` and its heat, `tolerance` with `levels` as its heat, `sums`. Heat is
   width * height zeros, or NULL.

   unlike: (height) zeros, 1 where a row differs. The other results are those of the kernels in pixels.h. */
typedef struct {
    uint32_t width, height;
    bool perceptual, tolerance, sums;
    Perceptual rule;
    unsigned limit;
    uint8_t *levels;
    unsigned threads;
    uint8_t *unlike;
    uint64_t unequal, beyond;
    Sums total;
} Counting;

/* False: declined. Besides damaged files, and pictures of another size, those are declined that are not opaque where
   they may differ, and whose rows are so long that bands of them fill no cache. */
bool count_pngs(Counting *counting, const uint8_t *const files[2], const size_t sizes[2]);

#endif
