/* The mean structural similarity of two pictures of 8 bits a channel, uniform windows: metrics/ssim.py says what it is. The
   loss of each window is that of the reference to the last bit: the sums over a window are integers, and the order of the
   operations on floats is the same there and here. */
#ifndef IMGDIFF_SSIM_H
#define IMGDIFF_SSIM_H

#include "core.h"

/* Sides of windows whose sums fit 32 bits. */
enum { SMALLEST_SIDE = 3, LARGEST_SIDE = 11 };

/* What the loss of a window, 0..2, is counted in: 2^-29. */
#define SSIM_UNITS 0x1p29f

typedef struct {
    const uint8_t *pixels[2]; /* height * width * channels */
    uint32_t width, height, channels; /* 1: gray; 4: RGBA, every pixel opaque */
    uint32_t side;            /* of a window: odd, and at most as large as the picture */
    uint32_t first, last;     /* the rows of the windows' centres */
    const uint8_t *ignore;    /* height * width, not 0 where no window counts; or NULL */
    float *heat;              /* height * width: half the loss, written where it is not 0; or NULL */
    uint64_t total;           /* result: the loss of all windows that count */
} Ssim;

/* Returns false where there is no memory. */
bool ssim_measure(Ssim *job);

#endif
