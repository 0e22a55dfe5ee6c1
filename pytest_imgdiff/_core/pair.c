/* See pair.h. Both files go through the same bands of rows, which stay in cache; rows that are stored alike, and refer
   to no row that is not, are neither unfiltered twice nor compared. */
#include "pair.h"

#include "unfilter.h"

enum {
    TOGETHER = 16, /* rows of the second picture that are unfiltered before another look at whether it is alike again */
};

bool check_png(const uint8_t *file, size_t size, uint32_t *width, uint32_t *height) {
    PngReader reader;
    if (!png_open(&reader, file, size, 1)) return false;
    *width = reader.header.width;
    *height = reader.header.height;
    /* A palette may lack the colour of an index: only unfiltered rows tell. */
    const bool look = reader.header.colour == PALETTE && reader.header.colours < 256;
    bool sound = true;
    while (sound && reader.first + reader.count < *height) {
        sound = png_next_band(&reader);
        if (!sound || !look) continue;
        png_unfilter(&reader, 0, reader.count, cell_row(&reader, -1));
        for (uint32_t row = 0; sound && row < reader.count; row++) sound = png_indices_fit(&reader.header, cell_row(&reader, row));
        png_keep_last_rows(&reader);
    }
    png_close(&reader);
    return sound;
}

bool decode_png(const uint8_t *file, size_t size, uint32_t width, uint32_t height, uint32_t top, uint32_t bottom,
                uint8_t *rgba) {
    PngReader reader;
    if (!png_open(&reader, file, size, 1)) return false;
    const PngHeader *h = &reader.header;
    const size_t row_bytes = 4 * (size_t)width;
    bool sound = h->width == width && h->height == height;
    while (sound && reader.first + reader.count < height) {
        sound = png_next_band(&reader);
        if (!sound) break;
        png_unfilter(&reader, 0, reader.count, cell_row(&reader, -1));
        for (uint32_t row = 0; sound && row < reader.count; row++) {
            const uint32_t place = reader.first + row;
            if (h->colour == PALETTE) sound = png_indices_fit(h, cell_row(&reader, row));
            if (sound && place >= top && place < bottom) png_finish_row(h, cell_row(&reader, row), rgba + place * row_bytes);
        }
        png_keep_last_rows(&reader);
    }
    png_close(&reader);
    return sound;
}

/* What is known while two pictures are compared. */
typedef struct {
    Pair *pair;
    PngReader readers[2];
    bool same_form;
    bool settled;       /* the rows above are the same, unfiltered, hidden colour included */
    uint32_t wanted;    /* rows of the first picture up to this one are written, alike or not */
    uint64_t left;      /* bytes that may still be written */
    uint8_t *finished[2]; /* a row of each as RGBA */
} Work;

static bool take_bytes(Work *work) {
    const uint64_t bytes = 4 * (uint64_t)work->pair->width;
    if (work->left < bytes) work->pair->within = false;
    if (!work->pair->within) return false;
    work->left -= bytes;
    return true;
}

static void keep_row(Work *work, uint32_t place, const uint8_t *cells) {
    Pair *pair = work->pair;
    if (pair->kept[place] || !take_bytes(work)) return;
    png_finish_row(&work->readers[0].header, cells, pair->pixels[0] + 4 * (size_t)pair->width * place);
    pair->kept[place] = 1;
}

/* Take a row in which the two differ. */
static void add_unlike(Work *work, uint32_t row) {
    Pair *pair = work->pair;
    const PngReader *one = &work->readers[0];
    const uint32_t place = one->first + row;
    pair->unlike[place] = 1;
    if (take_bytes(work)) memcpy(pair->pixels[1] + 4 * (size_t)pair->width * place, work->finished[1], 4 * (size_t)pair->width);
    if (pair->near == KEEP_ALL) return;
    const uint32_t near = (uint32_t)pair->near;
    for (uint32_t back = place < near ? place : near; back; back--) keep_row(work, place - back, cell_row(one, (int64_t)row - back));
    work->wanted = place + 1 + near;
}

/* Compare a row of both that may differ; `second` holds the unfiltered one of the second picture. */
static void compare_row(Work *work, uint32_t row, const uint8_t *second) {
    const PngHeader *headers[2] = {&work->readers[0].header, &work->readers[1].header};
    const uint8_t *cells[2] = {cell_row(&work->readers[0], row), second};
    work->settled = work->same_form && !memcmp(cells[0], cells[1], headers[0]->width * headers[0]->cell_bytes);
    if (work->settled) return;
    for (int side = 0; side < 2; side++) png_finish_row(headers[side], cells[side], work->finished[side]);
    if (memcmp(work->finished[0], work->finished[1], 4 * (size_t)headers[0]->width)) add_unlike(work, row);
}

static bool rows_alike(const Work *work, uint32_t row) {
    const PngReader *one = &work->readers[0], *two = &work->readers[1];
    return work->same_form && !memcmp(filtered_row(one, row), filtered_row(two, row), one->header.stride);
}

static bool refers_to_none_above(const Work *work, uint32_t row) {
    return filtered_row(&work->readers[0], row)[0] <= SUB;
}

/* Whether all rows of the band are alike; then the first one's are unfiltered as far as anybody may ask for them. */
static bool pass_alike_band(Work *work) {
    PngReader *one = &work->readers[0], *two = &work->readers[1];
    if (!work->same_form || !work->settled || work->pair->near == KEEP_ALL || one->first < work->wanted) return false;
    if (one->header.colour == PALETTE || memcmp(one->rows, two->rows, one->count * one->header.stride)) return false;
    uint32_t start = one->count > one->kept_rows ? one->count - one->kept_rows : 0;
    while (start && !refers_to_none_above(work, start)) start--;
    png_unfilter(one, start, one->count - start, cell_row(one, (int64_t)start - 1));
    return true;
}

static bool compare_band(Work *work) {
    Pair *pair = work->pair;
    PngReader *one = &work->readers[0], *two = &work->readers[1];
    const uint8_t *above_second = cell_row(two, -1);
    uint32_t wanted = work->wanted; /* as far as the bands above want rows, and then those of this one */
    png_unfilter(one, 0, one->count, cell_row(one, -1));
    if (one->header.colour == PALETTE)
        for (uint32_t row = 0; row < one->count; row++)
            if (!png_indices_fit(&one->header, cell_row(one, row))) return false;
    for (uint32_t row = 0; row < one->count;) {
        if (rows_alike(work, row) && (work->settled || refers_to_none_above(work, row))) {
            work->settled = true;
            above_second = cell_row(one, row);
            row++;
            continue;
        }
        uint32_t count = 1;
        while (count < TOGETHER && row + count < one->count && !(rows_alike(work, row + count) && refers_to_none_above(work, row + count)))
            count++;
        png_unfilter(two, row, count, above_second);
        for (uint32_t end = row + count; row < end; row++) {
            if (two->header.colour == PALETTE && !png_indices_fit(&two->header, cell_row(two, row))) return false;
            compare_row(work, row, cell_row(two, row));
        }
        above_second = cell_row(two, (int64_t)row - 1);
    }
    for (uint32_t row = 0; row < one->count; row++) {
        const uint32_t place = one->first + row;
        if (pair->unlike[place]) wanted = place + 1 + (pair->near == KEEP_ALL ? 0 : (uint32_t)pair->near);
        if (pair->near == KEEP_ALL || place < wanted) keep_row(work, place, cell_row(one, row));
    }
    return true;
}

static bool compare_bands(Work *work) {
    PngReader *one = &work->readers[0], *two = &work->readers[1];
    while (one->first + one->count < work->pair->height) {
        if (!png_next_band(one) || !png_next_band(two)) return false;
        if (!pass_alike_band(work) && !compare_band(work)) return false;
        png_keep_last_rows(one);
        if (work->settled) /* the second one's rows were not unfiltered, and are the same */
            memcpy(cell_row(two, -1), cell_row(one, -1), one->header.width * one->header.cell_bytes);
        else
            png_keep_last_rows(two);
    }
    return true;
}

bool compare_pngs(Pair *pair, const uint8_t *const files[2], const size_t sizes[2]) {
    Work work = {.pair = pair, .settled = true, .left = pair->most};
    pair->within = true;
    bool found = false;
    const uint32_t kept_rows = pair->near > 1 ? (uint32_t)pair->near : 1;
    if (!png_open(&work.readers[0], files[0], sizes[0], kept_rows)) return false;
    if (png_open(&work.readers[1], files[1], sizes[1], 1)) {
        const PngHeader *one = &work.readers[0].header, *two = &work.readers[1].header;
        uint8_t *rows = core_allocate(8 * (size_t)pair->width);
        bool right = one->width == pair->width && two->width == pair->width && one->height == pair->height &&
                     two->height == pair->height;
        if (rows && right && png_read_together(&work.readers[0], &work.readers[1])) {
            work.finished[0] = rows;
            work.finished[1] = rows + 4 * (size_t)pair->width;
            work.same_form = png_same_form(one, two);
            found = compare_bands(&work);
        }
        core_free(rows);
        png_close(&work.readers[1]);
    }
    png_close(&work.readers[0]);
    return found;
}
