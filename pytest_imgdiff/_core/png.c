/* See png.h. Source: PNG Specification (Third Edition), sections 5, 9, 10 and 11. */
#include "png.h"

#include "unfilter.h"

enum {
    LARGEST_SIDE = 1000000, /* what libpng and OpenCV take */
    MOST_PIXELS = 1 << 30,
    MOST_CHUNKS = 100000,
    BAND_BYTES = 192 * 1024,
    CELLS_BEYOND = 128, /* rows may be read and written by whole vectors */
};

#define CHUNK(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
enum {
    IHDR = CHUNK('I', 'H', 'D', 'R'),
    PLTE = CHUNK('P', 'L', 'T', 'E'),
    IDAT = CHUNK('I', 'D', 'A', 'T'),
    IEND = CHUNK('I', 'E', 'N', 'D'),
    TRNS = CHUNK('t', 'R', 'N', 'S'),
    ACTL = CHUNK('a', 'c', 'T', 'L'),
    GAMA = CHUNK('g', 'A', 'M', 'A'),
    ICCP = CHUNK('i', 'C', 'C', 'P'),
    CICP = CHUNK('c', 'I', 'C', 'P'),
    EXIF = CHUNK('e', 'X', 'I', 'f'),
};

static bool is_letter(uint8_t byte) { return (byte | 32) >= 'a' && (byte | 32) <= 'z'; }

static bool parse_header(PngHeader *h, const uint8_t *data, uint32_t length) {
    static const uint8_t BYTES[7] = {1, 0, 3, 1, 2, 0, 4};
    if (length != 13) return false;
    h->width = load_be32(data);
    h->height = load_be32(data + 4);
    h->colour = data[9];
    if (data[8] != 8 || data[9] > RGBA || !BYTES[data[9]] || data[10] || data[11] || data[12]) return false;
    if (!h->width || !h->height || h->width > LARGEST_SIDE || h->height > LARGEST_SIDE) return false;
    if ((uint64_t)h->width * h->height > MOST_PIXELS) return false;
    h->pixel_bytes = BYTES[data[9]];
    h->cell_bytes = h->pixel_bytes == 3 ? 4 : h->pixel_bytes;
    h->stride = 1 + h->width * h->pixel_bytes;
    return true;
}

static bool parse_palette(PngHeader *h, const uint8_t *data, uint32_t length) {
    if (h->colours || !length || length % 3 || length > 768) return false;
    h->colours = length / 3;
    for (uint32_t i = 0; i < h->colours; i++) {
        memcpy(h->palette[i], data + 3 * i, 3);
        h->palette[i][3] = 255;
    }
    return true;
}

static bool parse_transparency(PngHeader *h, const uint8_t *data, uint32_t length) {
    if (h->colour != PALETTE || length > h->colours) return false; /* a palette has to stand before it */
    for (uint32_t i = 0; i < length; i++) {
        h->palette[i][3] = data[i];
        if (!data[i]) memset(h->palette[i], 0, 4);
    }
    return true;
}

static bool add_segment(PngHeader *h, size_t *room, const uint8_t *data, uint32_t length) {
    if (h->segment_count == *room) {
        size_t more = *room ? 4 * *room : 64;
        Segment *segments = core_allocate(more * sizeof(Segment));
        if (!segments) return false;
        if (h->segment_count) memcpy(segments, h->segments, h->segment_count * sizeof(Segment));
        core_free(h->segments);
        h->segments = segments;
        *room = more;
    }
    h->segments[h->segment_count++] = (Segment){data, length};
    return true;
}

static bool parse_chunks(PngHeader *h, const uint8_t *file, size_t size) {
    static const uint8_t SIGNATURE[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static const uint32_t ONCE[6] = {PLTE, TRNS, GAMA, ICCP, CICP, EXIF};
    unsigned seen = 0;
    size_t room = 0, at = 8;
    bool after_data = false;
    if (size < 8 || memcmp(file, SIGNATURE, 8)) return false;
    for (int chunk = 0; chunk < MOST_CHUNKS; chunk++) {
        if (size - at < 12) return false;
        uint32_t length = load_be32(file + at), kind = load_be32(file + at + 4);
        const uint8_t *name = file + at + 4, *data = file + at + 8;
        if (length > INT32_MAX || length > size - at - 12) return false;
        for (int i = 0; i < 4; i++)
            if (!is_letter(name[i])) return false;
        if ((chunk == 0) != (kind == IHDR)) return false;
        at += 12 + (size_t)length;
        if (kind == IDAT) {
            if (after_data || !add_segment(h, &room, data, length)) return false;
            continue;
        }
        if (crc32_of(0, name, (size_t)length + 4) != load_be32(data + length)) return false;
        after_data = h->segment_count > 0;
        for (int i = 0; i < 6; i++)
            if (kind == ONCE[i]) {
                if (seen & 1u << i) return false;
                seen |= 1u << i;
            }
        bool right = true;
        if (kind == IHDR)
            right = parse_header(h, data, length);
        else if (kind == PLTE) /* not behind tRNS */
            right = !after_data && !(seen & 2) && parse_palette(h, data, length);
        else if (kind == TRNS)
            right = !after_data && parse_transparency(h, data, length);
        else if (kind == IEND)
            return !length && at == size && after_data && (h->colour != PALETTE || h->colours);
        else
            right = kind != ACTL && (name[0] & 32); /* no animation, nothing unknown that is critical */
        if (!right) return false;
    }
    return false;
}

bool png_parse(PngHeader *header, const uint8_t *file, size_t size) {
    memset(header, 0, sizeof *header);
    if (parse_chunks(header, file, size)) return true;
    png_forget(header);
    return false;
}

void png_forget(PngHeader *header) {
    core_free(header->segments);
    header->segments = NULL;
}

bool png_same_form(const PngHeader *one, const PngHeader *other) {
    return one->colour == other->colour && one->width == other->width &&
           (one->colour != PALETTE ||
            (one->colours == other->colours && !memcmp(one->palette, other->palette, sizeof one->palette)));
}

static void set_band(PngReader *r, size_t stride) {
    size_t rows = BAND_BYTES / stride;
    r->band_rows = rows < 1 ? 1 : rows > r->header.height ? r->header.height : (uint32_t)rows;
}

static bool open_rows(PngReader *r) {
    const PngHeader *h = &r->header;
    size_t inflated = INFLATE_HISTORY + r->band_rows * h->stride + INFLATE_BEYOND + CELLS_BEYOND;
    r->pitch = (h->width * h->cell_bytes + CELLS_BEYOND + 63) & ~(size_t)63;
    size_t unfiltered = ((size_t)r->band_rows + r->kept_rows) * r->pitch + 2 * CELLS_BEYOND;
    core_free(r->memory);
    core_free(r->cell_memory);
    r->memory = core_allocate(inflated);
    r->cell_memory = core_allocate(unfiltered);
    if (!r->memory || !r->cell_memory) return false;
    memset(r->cell_memory, 0, 2 * CELLS_BEYOND + r->kept_rows * r->pitch); /* above the first row stand zeros */
    r->begin = r->memory + INFLATE_HISTORY;
    r->cells = r->cell_memory + CELLS_BEYOND + r->kept_rows * r->pitch;
    return true;
}

bool png_open(PngReader *r, const uint8_t *file, size_t size, uint32_t kept_rows) {
    memset(r, 0, sizeof *r);
    if (!png_parse(&r->header, file, size)) return false;
    r->adler = 1;
    r->kept_rows = kept_rows < 1 ? 1 : kept_rows;
    r->inflater = inflate_new(r->header.segments, r->header.segment_count);
    set_band(r, r->header.stride);
    if (r->inflater && open_rows(r)) return true;
    png_close(r);
    return false;
}

void png_close(PngReader *r) {
    inflate_free(r->inflater);
    core_free(r->memory);
    core_free(r->cell_memory);
    png_forget(&r->header);
    r->inflater = NULL;
    r->memory = r->cell_memory = NULL;
}

bool png_read_together(PngReader *one, PngReader *other) {
    if (one->band_rows == other->band_rows) return true;
    if (one->band_rows > other->band_rows) {
        one->band_rows = other->band_rows;
        return open_rows(one);
    }
    other->band_rows = one->band_rows;
    return open_rows(other);
}

bool png_next_band(PngReader *r) {
    const PngHeader *h = &r->header;
    const size_t before = r->count * h->stride;
    r->first += r->count;
    uint32_t left = h->height - r->first;
    r->count = left < r->band_rows ? left : r->band_rows;
    if (!r->count) return false;
    if (before) /* what comes next may refer to what was written last */
        memmove(r->memory, r->memory + before, INFLATE_HISTORY + r->behind);
    const size_t wanted = r->count * h->stride;
    const bool last = r->count == left;
    uint8_t *end = inflate_some(r->inflater, r->begin + r->behind, r->begin + wanted + (last ? 1 : 0));
    if (!end || (size_t)(end - r->begin) < wanted) return false;
    r->behind = (size_t)(end - r->begin) - wanted;
    r->rows = r->begin;
    r->adler = adler32_of(r->adler, r->rows, wanted);
    for (uint32_t row = 0; row < r->count; row++)
        if (filtered_row(r, row)[0] > LAST_FILTER) return false;
    return !last || (!r->behind && inflate_has_ended(r->inflater, r->adler));
}

void png_unfilter(PngReader *r, uint32_t first, uint32_t count, const uint8_t *above) {
    uint8_t *cells = cell_row(r, first);
    unfilter_rows(filtered_row(r, first), r->header.stride, cells, r->pitch, above, count, r->header.width,
                  r->header.pixel_bytes);
}

bool png_indices_fit(const PngHeader *h, const uint8_t *cells) {
    uint8_t largest = 0;
    for (uint32_t x = 0; x < h->width; x++) largest = cells[x] > largest ? cells[x] : largest;
    return largest < h->colours;
}

void png_finish_row(const PngHeader *h, const uint8_t *cells, uint8_t *rgba) {
    const uint32_t width = h->width;
    switch (h->colour) {
    case RGB: memcpy(rgba, cells, 4 * (size_t)width); break;
    case RGBA:
        for (uint32_t x = 0; x < width; x++) {
            uint32_t pixel = load32(cells + 4 * (size_t)x);
            store32(rgba + 4 * (size_t)x, pixel >> 24 ? pixel : 0);
        }
        break;
    case GRAY:
        for (uint32_t x = 0; x < width; x++) store32(rgba + 4 * (size_t)x, 0xFF000000u | cells[x] * 0x010101u);
        break;
    case GRAY_ALPHA:
        for (uint32_t x = 0; x < width; x++) {
            uint32_t alpha = cells[2 * (size_t)x + 1];
            store32(rgba + 4 * (size_t)x, alpha ? alpha << 24 | cells[2 * (size_t)x] * 0x010101u : 0);
        }
        break;
    default:
        for (uint32_t x = 0; x < width; x++) memcpy(rgba + 4 * (size_t)x, h->palette[cells[x]], 4);
    }
}

void png_keep_last_rows(PngReader *r) {
    /* The band may have fewer rows than are kept: then some of those kept before stay. */
    memmove(r->cells - r->kept_rows * r->pitch, cell_row(r, (int64_t)r->count - r->kept_rows), r->kept_rows * r->pitch);
}
