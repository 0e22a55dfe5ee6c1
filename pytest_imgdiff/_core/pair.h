/* What a file holds, and in which rows two files differ. */
#ifndef IMGDIFF_PAIR_H
#define IMGDIFF_PAIR_H

#include "png.h"

/* Whether this is one whole picture; nothing is kept of it. */
bool check_png(const uint8_t *file, size_t size, uint32_t *width, uint32_t *height);

/* Write the rows from `top` up to `bottom` of a picture as RGBA, each at its place in `rgba`, and check the whole file.
   Nothing is written where the picture is not `width` x `height`. */
bool decode_png(const uint8_t *file, size_t size, uint32_t width, uint32_t height, uint32_t top, uint32_t bottom,
                uint8_t *rgba);

enum { KEEP_ALL = -1 };

/* Two pictures of one size, read side by side.

   near: the first one's rows that are written: those that differ, and so many on either side; KEEP_ALL: all.
   most: how many bytes may be written of both. Where it is exceeded, writing stops, and `within` is false.
   pixels: (height, width) RGBA of each; of the second one only rows that differ are written.
   unlike, kept: (height); 1 where rows differ, and where the first one's row was written. */
typedef struct {
    uint32_t width, height;
    int near;
    uint64_t most;
    uint8_t *pixels[2];
    uint8_t *unlike, *kept;
    bool within;
} Pair;

bool compare_pngs(Pair *pair, const uint8_t *const files[2], const size_t sizes[2]);

#endif
