/* Filtered rows turned into pixels: PNG Specification (Third Edition), section 9. */
#ifndef IMGDIFF_UNFILTER_H
#define IMGDIFF_UNFILTER_H

#include "core.h"

enum { NO_FILTER = 0, SUB = 1, UP = 2, AVERAGE = 3, PAETH = 4, LAST_FILTER = PAETH };

/* Unfilter `count` rows.

   rows, stride: the first one, which begins with its filter, and how far apart they are. Up to 16 bytes behind the last
       row are read.
   cells, pitch: where they go, and how far apart. Pixels of three bytes become four, the last of which is 255. Up to 32
       bytes behind each row are written.
   above: the row above the first one, unfiltered; zeros where there is none.
   pixel_bytes: 1, 2, 3 or 4. */
void unfilter_rows(const uint8_t *rows, size_t stride, uint8_t *cells, size_t pitch, const uint8_t *above, uint32_t count,
                   uint32_t width, size_t pixel_bytes);

#endif
