/* A PNG file, checked and read some rows at a time.

   Taken are still pictures of 8 bits a sample that are not interlaced and have no transparent colour (tRNS) but that of
   a palette. Whatever else there is, and whatever is damaged or unusual, is declined: the reference in Python decides.
   What is taken here, the reference takes as well. */
#ifndef IMGDIFF_PNG_H
#define IMGDIFF_PNG_H

#include "inflate.h"

enum { GRAY = 0, RGB = 2, PALETTE = 3, GRAY_ALPHA = 4, RGBA = 6 };

typedef struct {
    uint32_t width, height;
    int colour;
    size_t pixel_bytes; /* of a stored pixel */
    size_t stride;      /* of a stored row, its filter among them */
    size_t cell_bytes;  /* of a pixel that is unfiltered: RGB has room for alpha, which is full */
    uint32_t colours;   /* of the palette */
    uint8_t palette[256][4];
    Segment *segments;
    size_t segment_count;
} PngHeader;

/* Check every chunk but the CRCs of IDAT, which inflating checks. False: declined; there is nothing to free then. */
bool png_parse(PngHeader *header, const uint8_t *file, size_t size);
void png_forget(PngHeader *header);

/* Whether two pictures whose stored rows are equal have equal pixels. */
bool png_same_form(const PngHeader *one, const PngHeader *other);

/* Reads a picture's rows in bands, and unfilters them. */
typedef struct {
    PngHeader header;
    uint32_t band_rows; /* of each band but the last */
    uint32_t first, count; /* the rows of the band under way */
    const uint8_t *rows;   /* `count` filtered rows, `stride` apart */
    Inflater *inflater;
    uint8_t *memory, *begin;
    size_t behind; /* bytes that were inflated beyond the band */
    uint32_t adler;
    uint8_t *cell_memory, *cells; /* unfiltered rows of the band, `pitch` apart; before them `kept_rows` of the band above */
    size_t pitch;
    uint32_t kept_rows;
} PngReader;

/* Begin with a file. False: declined; there is nothing to close then.

   `kept_rows`: so many unfiltered rows of the band above stay where they can be read, one at least. */
bool png_open(PngReader *reader, const uint8_t *file, size_t size, uint32_t kept_rows);
void png_close(PngReader *reader);

/* Make two readers have bands of the same rows; before the first band. */
bool png_read_together(PngReader *one, PngReader *other);

/* Inflate the next band and check its filters. With the last band the whole file is checked. False: damaged. */
bool png_next_band(PngReader *reader);

ALWAYS_INLINE const uint8_t *filtered_row(const PngReader *reader, uint32_t row) {
    return reader->rows + row * reader->header.stride;
}

/* The place of an unfiltered row of the band; -1 is the one above, and so on. */
ALWAYS_INLINE uint8_t *cell_row(const PngReader *reader, int64_t row) {
    return reader->cells + row * (int64_t)reader->pitch;
}

/* Unfilter `count` rows of the band from `first` on. `above`: the row above the first one, unfiltered. */
void png_unfilter(PngReader *reader, uint32_t first, uint32_t count, const uint8_t *above);

/* Whether each index of an unfiltered row has a colour in the palette. */
bool png_indices_fit(const PngHeader *header, const uint8_t *cells);

/* Write an unfiltered row as RGBA, without the colour that full transparency hides. */
void png_finish_row(const PngHeader *header, const uint8_t *cells, uint8_t *rgba);

/* Have the last unfiltered rows of the band stand above the next one. */
void png_keep_last_rows(PngReader *reader);

#endif
