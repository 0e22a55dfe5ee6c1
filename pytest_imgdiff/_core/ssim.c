/* See ssim.h. The picture is read in columns of tiles, row by row: the sums over the rows of a window are kept for each
   column of a tile. The loops over many pixels stand in ssim_rows.h, which is compiled for each kind of machine. */
#include "ssim.h"

#include "methods.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

enum {
    TILE = 1024,
    BLOCK = 64, /* windows that are measured at once */
    KEPT = 16,  /* rows: those of a window, and the one that leaves it */
    COLUMNS = TILE + LARGEST_SIDE - 1 + BLOCK, /* of a tile, and what is computed behind it and does not count */
};

/* Constants of the index: K1 and K2 of Wang et al., of sums over a window in place of means. */
typedef struct {
    uint32_t pixels;
    float luminance, contrast;
} Window;

/* What is known of the columns of a tile. */
typedef struct {
    uint16_t sums[2][COLUMNS];
    uint32_t squares[COLUMNS], products[COLUMNS]; /* of the differences; of both pictures */
    uint8_t gray[KEPT][2][COLUMNS];
    bool differs[KEPT];
} Tile;

static Window window_of(uint32_t side) {
    const uint32_t pixels = side * side;
    const double luminance = 0.01 * 255 * pixels, contrast = 0.03 * 255;
    return (Window){pixels, (float)(luminance * luminance), (float)(contrast * contrast * (pixels * (pixels - 1)))};
}

/* The row or column that lies at a place beyond the edge: the picture is mirrored there, its edge included. */
static uint32_t mirrored(int64_t place, uint32_t count) {
    return (uint32_t)(place < 0 ? -1 - place : place < count ? place : 2 * (int64_t)count - 1 - place);
}

#define TARGET
#define NAMED(name) name##_anywhere
#include "ssim_rows.h"
#undef TARGET
#undef NAMED
#if HAVE_AVX2
#define TARGET __attribute__((target("avx2")))
#define NAMED(name) name##_avx2
#include "ssim_rows.h"
#undef TARGET
#undef NAMED
#endif

bool ssim_measure(Ssim *job) {
    job->total = 0;
    Tile *tile = core_allocate(sizeof *tile);
    if (!tile) return false;
    for (uint32_t left = 0; left < job->width; left += TILE) {
        const uint32_t right = job->width - left < TILE ? job->width : left + TILE;
#if HAVE_AVX2
        if (core_has_avx2())
            measure_tile_avx2(job, tile, left, right);
        else
#endif
            measure_tile_anywhere(job, tile, left, right);
    }
    core_free(tile);
    return true;
}

PyAPI_FUNC(int) PyObject_AsReadBuffer(PyObject *, const void **, Py_ssize_t *);
PyAPI_FUNC(int) PyObject_AsWriteBuffer(PyObject *, void **, Py_ssize_t *);

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Whether so many bytes are `count` items, which is below 2^62, of one size; sets an exception where they are not. */
static bool has_items(Py_ssize_t size, uint64_t count, size_t item) {
    if ((size_t)size % item == 0 && (uint64_t)size / item == count) return true;
    PyErr_Format(PyExc_ValueError, "there are %zd bytes, not %llu times %zu", size, (unsigned long long)count, item);
    return false;
}

static PyObject *core_ssim(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *objects[2], *ignore, *heat;
    Ssim job = {0};
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "OOIIIIIIOO:ssim", &objects[0], &objects[1], &job.width, &job.height, &job.channels, &job.side,
                          &job.first, &job.last, &ignore, &heat))
        return NULL;
    if ((job.channels != 1 && job.channels != 4) || job.side < SMALLEST_SIDE || job.side > LARGEST_SIDE || job.side % 2 == 0 ||
        job.width < job.side || job.height < job.side || job.width > INT32_MAX || job.height > INT32_MAX ||
        job.first > job.last || job.last > job.height) {
        PyErr_SetString(PyExc_ValueError, "no such windows lie in such a picture");
        return NULL;
    }
    const uint64_t count = (uint64_t)job.width * job.height; /* below 2^62 */
    for (int i = 0; i < 2; i++) {
        const void *found;
        if (PyObject_AsReadBuffer(objects[i], &found, &size) || !has_items(size, count, job.channels)) return NULL;
        job.pixels[i] = found;
    }
    if (ignore != Py_None) {
        const void *found;
        if (PyObject_AsReadBuffer(ignore, &found, &size) || !has_items(size, count, 1)) return NULL;
        job.ignore = found;
    }
    if (heat != Py_None) {
        void *found;
        if (PyObject_AsWriteBuffer(heat, &found, &size) || !has_items(size, count, sizeof(float))) return NULL;
        if ((uintptr_t)found % sizeof(float)) {
            PyErr_SetString(PyExc_ValueError, "the heat has to lie at a multiple of four bytes");
            return NULL;
        }
        job.heat = found;
    }
    bool done;
    Py_BEGIN_ALLOW_THREADS
    done = ssim_measure(&job);
    Py_END_ALLOW_THREADS
    return done ? PyLong_FromUnsignedLongLong(job.total) : declined();
}

PyMethodDef SSIM_METHODS[] = {
    {"ssim", core_ssim, METH_VARARGS,
     "ssim(expected, actual, width, height, channels, side, first, last, ignore, heat) -> the loss (1 - index) of all\n"
     "windows that lie in the picture and are centred in the rows from first up to last, in units of 2 ** -29, each rounded\n"
     "down; None where there is no memory. channels: 1 of gray, 4 of opaque RGBA, which is made gray. side: of the windows,\n"
     "3, 5, 7, 9 or 11. ignore: width * height bytes, not 0 where no window counts, or None. heat: width * height float32\n"
     "that can be written to, 0 as yet, or None: half the loss of the window around each pixel of those rows."},
    {NULL, NULL, 0, NULL},
};
