/* What the metrics `perceptual`, `pixel_match`, `diffimg` and `mse` count in two RGBA pictures of one size and 8 bits a
   channel. All results are those of the reference in Python (metrics/), to the last bit: the order of the
   operations on floats is the same there and here. */
#ifndef IMGDIFF_PIXELS_H
#define IMGDIFF_PIXELS_H

#include "core.h"

typedef struct {
    const uint32_t *pixels[2]; /* height rows, RGBA from the lowest byte */
    uint32_t width, height;
    size_t pitch;         /* pixels from one row to the next */
    uint32_t first, last; /* the rows that are judged; those beside them are neighbours */
    double threshold;
    bool oklab;               /* else YIQ */
    bool opaque;              /* every pixel of both */
    bool ignore_antialiasing;
    uint8_t *heat; /* width * height, set where a pixel counts; or NULL */
    uint64_t counted, antialiased; /* results; each call adds to them */
    uint8_t *scratch;
} Perceptual;

/* Prepare a job whose width is set. Returns false where there is no memory. */
bool perceptual_open(Perceptual *job);
void perceptual_close(Perceptual *job);

/* Judge the rows. `oklab_set_up` has to have been called before, for OKLab. */
void perceptual_judge(Perceptual *job);
void oklab_set_up(void);

/* How many pixels have a channel that differs by more than `limit`. `heat` gets the largest difference of each of them. */
uint64_t beyond_tolerance(const uint32_t *one, const uint32_t *two, size_t count, unsigned limit, uint8_t *heat);

typedef struct {
    uint64_t absolute[4]; /* by channel */
    uint64_t squared;     /* of all channels */
} Sums;

Sums sums_of_differences(const uint32_t *one, const uint32_t *two, size_t count);

/* How many pixels are not equal. */
size_t count_unequal(const uint32_t *one, const uint32_t *two, size_t count);

/* Whether every pixel is fully opaque. */
bool pixels_are_opaque(const uint32_t *pixels, size_t count);

/* The most pixels with a heat in any square window of so many pixels a side inside the picture; -1: no memory. */
int64_t most_in_window(const uint8_t *heat, uint32_t width, uint32_t height, uint32_t side);

/* A box of pixels that belong together; right and bottom lie outside. */
typedef struct {
    int32_t left, top, right, bottom;
    uint64_t area;
    uint8_t peak;
} RegionBox;

/* The regions of a heat, as regions.py finds them, in no order; the caller frees them. Returns how many there are; -1 where
   there is no memory, or there are so many that they are sooner joined all at once. */
int64_t find_regions(const uint8_t *heat, uint32_t width, uint32_t height, uint32_t distance, RegionBox **found);

#endif
