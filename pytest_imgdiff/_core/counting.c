/* See counting.h. Both files go through bands of rows, which stay in cache: inflated, held against each other as they
   are stored, unfiltered, counted. Bands that are alike are neither unfiltered nor counted. Each step is a task, and a
   second thread takes tasks as well; results do not depend on who does what. */
#include "methods.h" /* Python's header comes first */

#include "counting.h"
#include "png.h"
#include "unfilter.h"

#if defined(_WIN32)
#define HAVE_THREADS 0
#else
#define HAVE_THREADS 1
#include <pthread.h>
#include <signal.h>
#endif

/* Of a band as it is inflated; tests make pictures of many bands that are small. */
#if !defined(CORE_BAND_BYTES)
#define CORE_BAND_BYTES (192 << 10)
#endif

enum {
    SLOTS = 8, /* bands of each picture in memory */
    STORED_BYTES = CORE_BAND_BYTES,
    PIXEL_BYTES = CORE_BAND_BYTES / 3 * 4, /* of a band, unfiltered */
    LONGEST_ROW = 256 << 10,
    NEAR = 2,                 /* rows that the rule of anti-aliasing looks at on either side of one */
    KEPT = 2 * NEAR,          /* rows above a band that stand before it: the last NEAR of these are counted with it */
    BEYOND = 128,             /* rows may be read and written by whole vectors */
    MOST_THREADS = 8,
};

/* One picture. Of each band a slot holds the rows as they are stored, behind INFLATE_HISTORY bytes that were inflated
   before, and RGBA pixels, behind KEPT rows of the band above. */
typedef struct {
    PngHeader header;
    Inflater *inflater;
    uint32_t adler;
    size_t behind; /* bytes that were inflated beyond the last band */
    uint8_t *memory, *stored[SLOTS], *pixels[SLOTS];
    uint8_t *cells; /* unfiltered rows of pixels of one or two bytes, behind the last one of the band above */
    size_t cell_pitch;
    uint32_t inflated, unfiltered; /* bands */
    bool inflating, unfiltering;
    int64_t pending; /* the last rows of the last band, from this one on, are not unfiltered yet; -1: they are */
} Side;

typedef struct {
    Counting *counting;
    Side sides[2];
    uint32_t band_rows, bands;
    size_t pitch; /* bytes from one row of pixels to the next */
    uint8_t *alike; /* by band */
    uint8_t *done;  /* by band: it was counted */
    bool settled;   /* the rows above are the same, unfiltered, hidden colour included */
    uint32_t looked, claimed, counted; /* bands; `counted` of them from the top on are done */
    bool looking, failed;
#if HAVE_THREADS
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned waiting;
#endif
} Job;

static uint32_t band_start(const Job *job, uint32_t band) { return band * job->band_rows; }

static uint32_t band_end(const Job *job, uint32_t band) {
    const uint32_t height = job->counting->height, start = band_start(job, band);
    return height - start < job->band_rows ? height : start + job->band_rows;
}

static const uint8_t *stored_row(const Job *job, const Side *side, uint32_t row) {
    return side->stored[row / job->band_rows % SLOTS] + row % job->band_rows * side->header.stride;
}

/* The place of a row's pixels in the slot of a band; up to KEPT rows above the band have one as well. */
static uint8_t *pixel_row(const Job *job, const Side *side, uint32_t band, int64_t row) {
    return side->pixels[band % SLOTS] + (row - band_start(job, band)) * (int64_t)job->pitch;
}

/* ------------------------------------------------------------------ tasks */
static bool inflate_band(const Job *job, Side *side, uint32_t band) {
    const uint32_t rows = band_end(job, band) - band_start(job, band);
    const size_t wanted = rows * side->header.stride;
    const bool last = band + 1 == job->bands;
    uint8_t *begin = side->stored[band % SLOTS];
    if (band) {
        const uint8_t *before = side->stored[(band - 1) % SLOTS] + job->band_rows * side->header.stride;
        memcpy(begin - INFLATE_HISTORY, before - INFLATE_HISTORY, INFLATE_HISTORY + side->behind);
    }
    const uint8_t *end = inflate_some(side->inflater, begin + side->behind, begin + wanted + (last ? 1 : 0));
    if (!end || (size_t)(end - begin) < wanted) return false;
    side->behind = (size_t)(end - begin) - wanted;
    side->adler = adler32_of(side->adler, begin, wanted);
    for (uint32_t row = 0; row < rows; row++)
        if (begin[row * side->header.stride] > LAST_FILTER) return false;
    return !last || (!side->behind && inflate_has_ended(side->inflater, side->adler));
}

static bool refers_to_none_above(const Job *job, const Side *side, uint32_t row) { return *stored_row(job, side, row) <= SUB; }

/* Find whether all rows of a band have the same bytes in both files, and refer to none that have not. */
static void look_at_band(Job *job, uint32_t band) {
    const Side *one = &job->sides[0], *two = &job->sides[1];
    bool alike = false;
    if (png_same_form(&one->header, &two->header) && one->header.pixel_bytes >= 3) {
        alike = true;
        for (uint32_t row = band_start(job, band); row < band_end(job, band); row++) {
            job->settled = (job->settled || refers_to_none_above(job, one, row)) &&
                           !memcmp(stored_row(job, one, row), stored_row(job, two, row), one->header.stride);
            alike = alike && job->settled;
        }
    } else
        job->settled = false;
    job->alike[band] = alike;
}

/* Unfilter some rows of one band; the row above them is there, or they refer to none. */
static bool unfilter(const Job *job, Side *side, uint32_t band, uint32_t first, uint32_t end) {
    const PngHeader *h = &side->header;
    uint8_t *pixels = pixel_row(job, side, band, first);
    if (h->pixel_bytes >= 3) {
        unfilter_rows(stored_row(job, side, first), h->stride, pixels, job->pitch, pixels - job->pitch, end - first, h->width,
                      h->pixel_bytes);
        return true;
    }
    uint8_t *cells = side->cells + side->cell_pitch;
    unfilter_rows(stored_row(job, side, first), h->stride, cells, side->cell_pitch, side->cells, end - first, h->width,
                  h->pixel_bytes);
    for (uint32_t row = first; row < end; row++, cells += side->cell_pitch, pixels += job->pitch) {
        if (h->colour == PALETTE && !png_indices_fit(h, cells)) return false;
        png_finish_row(h, cells, pixels);
    }
    memcpy(side->cells, cells - side->cell_pitch, side->cell_pitch);
    return true;
}

/* Have the last rows of the band above, as far as they are to be unfiltered, stand before a band. */
static bool take_rows_above(const Job *job, Side *side, uint32_t band) {
    if (!band) return true;
    const uint32_t start = band_start(job, band);
    if (side->pending >= 0 && !unfilter(job, side, band - 1, (uint32_t)side->pending, start)) return false;
    side->pending = -1;
    memcpy(pixel_row(job, side, band, (int64_t)start - KEPT), pixel_row(job, side, band - 1, (int64_t)start - KEPT),
           KEPT * job->pitch);
    return true;
}

/* Unfilter what is asked for of a band: all of it, and of one that is alike no more than what bands beside it look at. */
static bool unfilter_band(const Job *job, Side *side, uint32_t band) {
    const uint32_t start = band_start(job, band), end = band_end(job, band);
    if (!job->alike[band]) return take_rows_above(job, side, band) && unfilter(job, side, band, start, end);
    /* Those above `from` may be read while the others are unfiltered. */
    uint32_t from = end - start < KEPT + NEAR ? start : end - KEPT;
    while (from >= start + NEAR && !refers_to_none_above(job, side, from)) from--;
    if (from < start + NEAR) return take_rows_above(job, side, band) && unfilter(job, side, band, start, end);
    if (band && !job->alike[band - 1]) {
        if (!take_rows_above(job, side, band)) return false;
        if (!unfilter(job, side, band, start, end - start < NEAR ? end : start + NEAR)) return false;
    }
    side->pending = from;
    return true;
}

static bool may_be_transparent(const PngHeader *h) {
    if (h->colour != PALETTE) return h->colour == RGBA || h->colour == GRAY_ALPHA;
    for (uint32_t i = 0; i < h->colours; i++)
        if (h->palette[i][3] != 255) return true;
    return false;
}

/* The rows that are counted with a band: its own but the last NEAR, which wait for those below, and those above. */
static bool rows_to_count(const Job *job, uint32_t band, uint32_t *first, uint32_t *end) {
    const uint32_t start = band_start(job, band);
    const bool last = band + 1 == job->bands, above = band && !job->alike[band - 1];
    *first = above ? start - NEAR : start;
    *end = job->alike[band] ? start : band_end(job, band) - (last ? 0 : NEAR);
    return *first < *end;
}

/* What one thread has counted. */
typedef struct {
    Perceptual rule;
    uint64_t unequal, beyond;
    Sums total;
} Tally;

static void count_row(const Job *job, Tally *tally, uint32_t row, const uint32_t *one, const uint32_t *two) {
    Counting *counting = job->counting;
    const size_t width = counting->width, unequal = count_unequal(one, two, width);
    if (!unequal) return;
    tally->unequal += unequal;
    counting->unlike[row] = 1;
    if (counting->tolerance) {
        uint8_t *levels = counting->levels ? counting->levels + row * width : NULL;
        tally->beyond += beyond_tolerance(one, two, width, counting->limit, levels);
    }
    if (counting->sums) {
        const Sums sums = sums_of_differences(one, two, width);
        for (int channel = 0; channel < 4; channel++) tally->total.absolute[channel] += sums.absolute[channel];
        tally->total.squared += sums.squared;
    }
}

/* False: not all that is looked at is opaque. */
static bool count_band(const Job *job, Tally *tally, uint32_t band) {
    Counting *counting = job->counting;
    uint32_t first, end;
    if (!rows_to_count(job, band, &first, &end)) return true;
    const uint32_t height = counting->height;
    const uint32_t top = first < NEAR ? 0 : first - NEAR, bottom = height - end < NEAR ? height : end + NEAR;
    const uint32_t *pixels[2];
    for (int i = 0; i < 2; i++) {
        const Side *side = &job->sides[i];
        pixels[i] = (const uint32_t *)pixel_row(job, side, band, top);
        if (!may_be_transparent(&side->header)) continue;
        for (uint32_t row = top; row < bottom; row++)
            if (!pixels_are_opaque((const uint32_t *)pixel_row(job, side, band, row), counting->width)) return false;
    }
    const size_t pitch = job->pitch / sizeof(uint32_t);
    for (uint32_t row = first; row < end; row++)
        count_row(job, tally, row, pixels[0] + (row - top) * pitch, pixels[1] + (row - top) * pitch);
    if (!counting->perceptual) return true;
    Perceptual *rule = &tally->rule;
    rule->pixels[0] = pixels[0];
    rule->pixels[1] = pixels[1];
    rule->pitch = pitch;
    rule->height = bottom - top;
    rule->first = first - top;
    rule->last = end - top;
    rule->heat = counting->rule.heat ? counting->rule.heat + (size_t)top * counting->width : NULL;
    perceptual_judge(rule);
    return true;
}

/* ------------------------------------------------------------------ who does what */
#if HAVE_THREADS
static void take_lock(Job *job) { pthread_mutex_lock(&job->lock); }
static void give_lock(Job *job) { pthread_mutex_unlock(&job->lock); }
static void tell(Job *job) {
    if (job->waiting) pthread_cond_broadcast(&job->changed);
}
static void wait_for_others(Job *job) {
    job->waiting++;
    pthread_cond_wait(&job->changed, &job->lock);
    job->waiting--;
}
#else
static void take_lock(Job *job) { (void)job; }
static void give_lock(Job *job) { (void)job; }
static void tell(Job *job) { (void)job; }
static void wait_for_others(Job *job) { (void)job; }
#endif

static uint32_t lesser(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Do one task, the latest step of the earliest band first. The lock is held, but for the work. False: there is none for
   now. */
static bool do_a_task(Job *job, Tally *tally) {
    Side *sides = job->sides;
    bool done;
    if (job->claimed < lesser(sides[0].unfiltered, sides[1].unfiltered)) {
        const uint32_t band = job->claimed++;
        give_lock(job);
        done = count_band(job, tally, band);
        take_lock(job);
        job->done[band] = true;
        while (job->counted < job->bands && job->done[job->counted]) job->counted++;
        job->failed |= !done;
        return true;
    }
    if (job->looked < lesser(sides[0].inflated, sides[1].inflated) && !job->looking) {
        job->looking = true;
        give_lock(job);
        look_at_band(job, job->looked);
        take_lock(job);
        job->looking = false;
        job->looked++;
        return true;
    }
    Side *chosen = NULL;
    for (int i = 0; i < 2; i++)
        if (!sides[i].unfiltering && sides[i].unfiltered < job->looked && (!chosen || sides[i].unfiltered < chosen->unfiltered))
            chosen = &sides[i];
    if (chosen) {
        chosen->unfiltering = true;
        give_lock(job);
        done = unfilter_band(job, chosen, chosen->unfiltered);
        take_lock(job);
        chosen->unfiltering = false;
        chosen->unfiltered++;
        job->failed |= !done;
        return true;
    }
    /* The slot's last band is counted, and so is the one below it, which took rows from it. */
    for (int i = 0; i < 2; i++)
        if (!sides[i].inflating && sides[i].inflated < job->bands && sides[i].inflated + 1 < job->counted + SLOTS &&
            (!chosen || sides[i].inflated < chosen->inflated))
            chosen = &sides[i];
    if (!chosen) return false;
    chosen->inflating = true;
    give_lock(job);
    done = inflate_band(job, chosen, chosen->inflated);
    take_lock(job);
    chosen->inflating = false;
    chosen->inflated++;
    job->failed |= !done;
    return true;
}

/* Do tasks until all is counted or something failed; then add what this thread has counted. */
static void work(Job *job) {
    Counting *counting = job->counting;
    Tally tally = {.rule = counting->rule};
    tally.rule.width = counting->width;
    tally.rule.opaque = true;
    const bool ready = !counting->perceptual || perceptual_open(&tally.rule);
    take_lock(job);
    job->failed |= !ready;
    while (!job->failed && job->counted < job->bands) {
        if (do_a_task(job, &tally))
            tell(job);
        else
            wait_for_others(job);
    }
    tell(job);
    counting->unequal += tally.unequal;
    counting->beyond += tally.beyond;
    counting->rule.counted += tally.rule.counted;
    counting->rule.antialiased += tally.rule.antialiased;
    for (int channel = 0; channel < 4; channel++) counting->total.absolute[channel] += tally.total.absolute[channel];
    counting->total.squared += tally.total.squared;
    give_lock(job);
    perceptual_close(&tally.rule);
}

#if HAVE_THREADS
static void *work_beside(void *job) {
    work(job);
    return NULL;
}

/* Python's handlers of signals are for threads that Python knows. */
static bool start_thread(pthread_t *thread, Job *job) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started = !pthread_create(thread, NULL, work_beside, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static bool work_together(Job *job) {
    pthread_t others[MOST_THREADS];
    unsigned started = 0;
    if (pthread_mutex_init(&job->lock, NULL)) return false;
    if (pthread_cond_init(&job->changed, NULL)) {
        pthread_mutex_destroy(&job->lock);
        return false;
    }
    unsigned wanted = job->counting->threads < MOST_THREADS ? job->counting->threads : MOST_THREADS;
    if (job->bands < SLOTS / 2) wanted = 1; /* a thread would start when the work is done */
    while (started + 1 < wanted && start_thread(&others[started], job)) started++;
    work(job);
    for (unsigned i = 0; i < started; i++) pthread_join(others[i], NULL);
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    return !job->failed;
}
#else
static bool work_together(Job *job) {
    work(job);
    return !job->failed;
}
#endif

/* ------------------------------------------------------------------ memory */
static size_t aligned(size_t size) { return (size + 63) & ~(size_t)63; }

static bool open_side(const Job *job, Side *side, const uint8_t *file, size_t size) {
    const Counting *counting = job->counting;
    side->pending = -1;
    side->adler = 1;
    if (!png_parse(&side->header, file, size)) return false;
    return side->header.width == counting->width && side->header.height == counting->height;
}

static bool have_slots(const Job *job, Side *side) {
    const PngHeader *h = &side->header;
    const uint32_t slots = lesser(job->bands, SLOTS);
    const size_t stored = aligned(INFLATE_HISTORY + job->band_rows * h->stride + INFLATE_BEYOND + BEYOND);
    const size_t pixels = aligned((KEPT + (size_t)job->band_rows) * job->pitch + BEYOND);
    const bool narrow = h->pixel_bytes < 3;
    side->cell_pitch = aligned(h->width * h->pixel_bytes + BEYOND);
    const size_t cells = narrow ? (1 + (size_t)job->band_rows) * side->cell_pitch : 0;
    side->inflater = inflate_new(h->segments, h->segment_count);
    side->memory = core_allocate(slots * (stored + pixels) + cells + 64);
    if (!side->inflater || !side->memory) return false;
    uint8_t *at = (uint8_t *)aligned((size_t)side->memory);
    for (uint32_t i = 0; i < slots; i++, at += stored) side->stored[i] = at + INFLATE_HISTORY;
    for (uint32_t i = 0; i < slots; i++, at += pixels) side->pixels[i] = at + KEPT * job->pitch;
    memset(side->pixels[0] - KEPT * job->pitch, 0, KEPT * job->pitch); /* above the first row stand zeros */
    side->cells = at;
    if (narrow) memset(side->cells, 0, side->cell_pitch);
    return true;
}

static void close_side(Side *side) {
    inflate_free(side->inflater);
    core_free(side->memory);
    png_forget(&side->header);
}

static bool have_bands(Job *job) {
    const Counting *counting = job->counting;
    const size_t stride = job->sides[0].header.stride > job->sides[1].header.stride ? job->sides[0].header.stride
                                                                                    : job->sides[1].header.stride;
    job->pitch = aligned(sizeof(uint32_t) * (size_t)counting->width + BEYOND);
    if (job->pitch > LONGEST_ROW) return false;
    size_t rows = STORED_BYTES / stride < PIXEL_BYTES / job->pitch ? STORED_BYTES / stride : PIXEL_BYTES / job->pitch;
    if (rows < KEPT) rows = KEPT;
    job->band_rows = rows < counting->height ? (uint32_t)rows : counting->height;
    job->bands = (counting->height - 1) / job->band_rows + 1;
    job->alike = core_allocate(2 * (size_t)job->bands);
    if (!job->alike) return false;
    job->done = job->alike + job->bands;
    memset(job->alike, 0, 2 * (size_t)job->bands);
    return true;
}

bool count_pngs(Counting *counting, const uint8_t *const files[2], const size_t sizes[2]) {
    Job job = {.counting = counting, .settled = true};
    bool right = open_side(&job, &job.sides[0], files[0], sizes[0]) && open_side(&job, &job.sides[1], files[1], sizes[1]);
    right = right && have_bands(&job) && have_slots(&job, &job.sides[0]) && have_slots(&job, &job.sides[1]);
    right = right && work_together(&job);
    close_side(&job.sides[0]);
    close_side(&job.sides[1]);
    core_free(job.alike);
    return right;
}

/* ------------------------------------------------------------------ as Python calls it */
static PyObject *core_count(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes[2];
    Py_ssize_t sizes[2];
    Counting counting = {0};
    int oklab, ignore, sums, tolerance;
    PyObject *heat, *levels;
    if (!PyArg_ParseTuple(args, "y#y#IIdppOiOpI:count", &bytes[0], &sizes[0], &bytes[1], &sizes[1], &counting.width,
                          &counting.height, &counting.rule.threshold, &oklab, &ignore, &heat, &tolerance, &levels, &sums,
                          &counting.threads))
        return NULL;
    const double threshold = counting.rule.threshold;
    if (!counting.width || !counting.height || !(threshold <= 1) || tolerance > 255) {
        PyErr_SetString(PyExc_ValueError, "the size is 0, the threshold above 1, or the tolerance above 255");
        return NULL;
    }
    const size_t pixels = (size_t)counting.width * counting.height;
    if (!writable_heat(heat, pixels, &counting.rule.heat) || !writable_heat(levels, pixels, &counting.levels)) return NULL;
    counting.perceptual = threshold >= 0;
    counting.rule.oklab = oklab;
    counting.rule.ignore_antialiasing = ignore;
    counting.tolerance = tolerance >= 0;
    counting.limit = tolerance < 0 ? 0 : (unsigned)tolerance;
    counting.sums = sums;
    if (counting.perceptual && oklab) oklab_set_up();
    PyObject *unlike = new_bytes(counting.height);
    if (!unlike) return declined();
    counting.unlike = bytes_of(unlike);
    memset(counting.unlike, 0, counting.height);
    bool counted;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *const files[2] = {(const uint8_t *)bytes[0], (const uint8_t *)bytes[1]};
    const size_t file_sizes[2] = {(size_t)sizes[0], (size_t)sizes[1]};
    counted = count_pngs(&counting, files, file_sizes);
    Py_END_ALLOW_THREADS
    if (!counted) {
        Py_DECREF(unlike);
        return declined();
    }
    const Sums *total = &counting.total;
    return Py_BuildValue("(NKKKK(KKKKK))", unlike, (unsigned long long)counting.unequal,
                         (unsigned long long)counting.rule.counted, (unsigned long long)counting.rule.antialiased,
                         (unsigned long long)counting.beyond, (unsigned long long)total->absolute[0],
                         (unsigned long long)total->absolute[1], (unsigned long long)total->absolute[2],
                         (unsigned long long)total->absolute[3], (unsigned long long)total->squared);
}

PyMethodDef COUNTING_METHODS[] = {
    {"count", core_count, METH_VARARGS,
     "count(expected, actual, width, height, threshold, oklab, ignore_antialiasing, heat, tolerance, levels, sums, threads)\n"
     "-> (unlike, unequal, pixels, antialiased, beyond, sums) of two PNG files of this size, of which nothing is kept;\n"
     "None where the core declines them, or they are not opaque where they may differ; heat may have been written then.\n\n"
     "threshold, oklab, ignore_antialiasing, heat: as in perceptual; a threshold below 0 asks for none. tolerance, levels:\n"
     "the limit and the heat of beyond_tolerance; one below 0 asks for none. sums: whether they are asked for. unlike: bytes,\n"
     "1 for each row in which any pixel differs. unequal: how many pixels are not equal. The others are those of the functions\n"
     "named. threads: how many work at the most."},
    {NULL, NULL, 0, NULL},
};
