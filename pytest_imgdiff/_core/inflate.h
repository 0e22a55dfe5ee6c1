/* A zlib stream (RFC 1950, RFC 1951) that is cut into IDAT chunks, inflated some bytes at a time.

   What it accepts is accepted by zlib as well; where zlib is laxer than libdeflate, it refuses. */
#ifndef IMGDIFF_INFLATE_H
#define IMGDIFF_INFLATE_H

#include "core.h"

enum {
    INFLATE_HISTORY = 32768, /* bytes that have to stand before what is written next */
    INFLATE_BEYOND = 512,    /* bytes beyond the limit that may be written to */
};

/* The data of one IDAT chunk; its CRC follows it in the file. */
typedef struct {
    const uint8_t *data;
    uint32_t length;
} Segment;

typedef struct Inflater Inflater;

/* Returns NULL where there is no memory. The segments have to outlive the inflater. */
Inflater *inflate_new(const Segment *segments, size_t count);
void inflate_free(Inflater *inflater);

/* Write from `out` until `limit` is reached, or the stream's end.

   Returns the end of what was written, which may lie up to INFLATE_BEYOND bytes behind the limit; NULL where the stream
   is damaged. INFLATE_HISTORY bytes before `out` are those that were written before, as far as there are any. */
uint8_t *inflate_some(Inflater *inflater, uint8_t *out, const uint8_t *limit);

/* Whether the stream has ended, nothing follows its checksum, that is `adler`, and every chunk's CRC is right. */
bool inflate_has_ended(Inflater *inflater, uint32_t adler);

#endif
