/* Evidence that a person would see a difference, in one block: what pytest_imgdiff/perceived/evidence.py says and gives,
   bit for bit. It is compiled without contraction of a * b + c (-ffp-contract=off), which would round once less. */
#include "methods.h"

#include <math.h>

enum { MARGIN = 24, TILE = 64, TILE_MARGIN = 6, REACH = 4, CHROMA_REACH = 3, LOW_REACH = 8, EDGES_NEAR = 13 };

static const float SEEN = 0.02f, NOISE = (float)(0.02 * 0.02), EVIDENT_COLOUR = 0.016f, EVIDENT_FADE = 0.0085f, FLAT = 2e-4f,
                   FADE = 0.6f, FADED = 0.7f, COHERENT = 0.7f;

/* `_COLOURS` and the Gaussians `_NEAR`, `_CHROMA` and `_LOW` of the reference. */
static const float SPACE[3][3] = {{0.288715482f, 0.566643178f, 0.110583179f},
                                  {0.442835212f, -0.203723684f, -0.239111528f},
                                  {0.127122045f, -0.314163238f, 0.187041193f}};
static const float NEAR[REACH + 1] = {0.266559988f, 0.213444546f, 0.109586082f, 0.0360749699f, 0.00761441933f};
static const float CHROMA[CHROMA_REACH + 1] = {0.399050266f, 0.242036223f, 0.0540055819f, 0.00443304796f};
static const float LOW[LOW_REACH + 1] = {0.159675941f, 0.14739947f,  0.115948528f,  0.0777226239f, 0.0443958677f,
                                         0.0216097888f, 0.0089633707f, 0.00316814543f, 0.000954227056f};

typedef struct {
    const float *x, *y, *z;
} Vectors;

typedef struct {
    const uint8_t *pixels[2];
    size_t height, width, channels;
    int depth; /* bytes of a sample: 1 and 2 of integers, 4 and 8 of floats */
    size_t top, bottom, left, right;
    int shifts;
} Block;

typedef struct {
    float *contrast, *unexplained, *colour;
} Found;

/* The means of a tile: of the products of each picture with itself and of both, and of each picture's channels. */
enum { STILL, RIGHT, DOWN, DIAGONAL, OTHER, MEAN, MOMENTS = MEAN + 3 };
enum { CROSS = 10, CROSS_MEANS = CROSS, PRODUCTS = CROSS + 9, MEANS = PRODUCTS + 6 };

/* Three rows of each. energy, variance: of each picture, by the kind: 1 is half a pixel to the right, 2 down, 3 both. */
typedef struct {
    float *means[MEANS][3];
    float *energy[2][4][3], *variance[2][4][3];
} Tile;

typedef struct {
    const float *energy, *variance, *product;
    float part;
} Shift;

/* What is asked for in half the resolution. */
typedef struct {
    size_t rows, columns, stride;
} Halves;

typedef struct {
    size_t rows, columns, stride, half_stride; /* of the block with its margin */
    size_t tiles;                              /* in a row of the block */
    float *sides[2][3], *soft[2][3], *apart;
    uint8_t *asked; /* by tile */
    Tile tile;
    float *memory;
    size_t taken, size;
} Work;

/* Memory for so many floats, aligned; what is read behind a row by no lane that counts is there as well. */
static float *take(Work *work, size_t count) {
    float *found = work->memory + work->taken;
    work->taken += (count + 31) / 16 * 16;
    if (work->taken > work->size) __builtin_trap();
    return found;
}

static uint8_t *take_bytes(Work *work, size_t count) { return (uint8_t *)take(work, (count + 3) / 4); }

static float sample(const uint8_t *from, int depth) {
    if (depth == 1) return (float)*from * (float)(1.0 / 255);
    if (depth == 2) {
        uint16_t value;
        memcpy(&value, from, 2);
        return (float)value * (float)(1.0 / 65535);
    }
    if (depth == 4) {
        float value;
        memcpy(&value, from, 4);
        return value;
    }
    double value;
    memcpy(&value, from, 8);
    return (float)value;
}

#define TARGET
#define NAMED(name) name##_anywhere
#include "visible_kernels.h"
#undef TARGET
#undef NAMED
#if HAVE_AVX2
#define TARGET __attribute__((target("avx2")))
#define NAMED(name) name##_avx2
#include "visible_kernels.h"
#undef TARGET
#undef NAMED
#endif

static size_t larger(size_t one, size_t two) { return one > two ? one : two; }

/* False: there is no memory. */
static bool look_at(const Block *block, const Found *found) {
    const size_t height = block->bottom - block->top, width = block->right - block->left;
    Work work = {.rows = height + 2 * MARGIN, .columns = width + 2 * MARGIN};
    work.stride = (work.columns + 31) / 16 * 16;
    work.half_stride = (work.columns / 2 + 31) / 16 * 16;
    work.tiles = (width + TILE - 1) / TILE;
    const size_t tiles = work.tiles * ((height + TILE - 1) / TILE);
    const size_t row = larger(work.stride, 2 * TILE + 64), plane = work.rows * work.stride;
    const size_t half = (work.rows / 2 + 2) * work.half_stride;
    const size_t shifting = (PRODUCTS * 9 + MEANS * 3 + 48 + 16) * (2 * TILE + 64), colouring = 14 * half + 100 * row;
    work.size = 11 * plane + tiles + 64 + larger(larger(shifting, colouring), 64 * row);
    work.memory = core_allocate(work.size * sizeof(float) + 64);
    if (!work.memory) return false;
    for (int side = 0; side < 2; side++)
        for (int channel = 0; channel < 3; channel++) {
            work.sides[side][channel] = take(&work, plane);
            if (channel) work.soft[side][channel] = take(&work, plane);
        }
    work.apart = take(&work, plane);
    work.asked = take_bytes(&work, tiles);
    memset(work.asked, 0, tiles);
#if HAVE_AVX2
    if (core_has_avx2())
        look_avx2(block, &work, found);
    else
#endif
        look_anywhere(block, &work, found);
    core_free(work.memory);
    return true;
}

PyDoc_STRVAR(look_doc,
             "look(first, second, height, width, channels, depth, top, bottom, left, right, shifts) -> (contrast,\n"
             "unexplained, colour): bytearrays of float32, a plane of the block each; None where there is no memory.\n\n"
             "first, second: (height, width, channels), 3 or 4 channels. depth: the bytes of a sample; 1 and 2 are integers,\n"
             "4 and 8 floats. top, bottom, left, right: the block, from even numbers on. shifts: whether they may explain.");

static PyObject *core_look(PyObject *module, PyObject *args) {
    (void)module;
    const char *pixels[2];
    Py_ssize_t sizes[2], height, width, channels, top, bottom, left, right;
    int depth, shifts;
    if (!PyArg_ParseTuple(args, "y#y#nnninnnnp:look", &pixels[0], &sizes[0], &pixels[1], &sizes[1], &height, &width, &channels,
                          &depth, &top, &bottom, &left, &right, &shifts))
        return NULL;
    const Py_ssize_t most = 1 << 24;
    if (height < 1 || width < 1 || height > most || width > most || (channels != 3 && channels != 4) ||
        (depth != 1 && depth != 2 && depth != 4 && depth != 8) || top < 0 || top >= bottom || bottom > height || left < 0 ||
        left >= right || right > width || top % 2 || left % 2 || sizes[0] != height * width * channels * depth ||
        sizes[1] != sizes[0]) {
        PyErr_SetString(PyExc_ValueError, "that is no block of two pictures of one size");
        return NULL;
    }
    const size_t size = (size_t)(bottom - top) * (size_t)(right - left) * sizeof(float);
    PyObject *const planes[3] = {new_bytes(size), new_bytes(size), new_bytes(size)};
    bool seen = planes[0] && planes[1] && planes[2];
    if (seen) {
        const Block block = {.pixels = {(const uint8_t *)pixels[0], (const uint8_t *)pixels[1]},
                             .height = (size_t)height,
                             .width = (size_t)width,
                             .channels = (size_t)channels,
                             .depth = depth,
                             .top = (size_t)top,
                             .bottom = (size_t)bottom,
                             .left = (size_t)left,
                             .right = (size_t)right,
                             .shifts = shifts};
        const Found found = {(float *)(void *)bytes_of(planes[0]), (float *)(void *)bytes_of(planes[1]),
                             (float *)(void *)bytes_of(planes[2])};
        Py_BEGIN_ALLOW_THREADS
        seen = look_at(&block, &found);
        Py_END_ALLOW_THREADS
    }
    PyObject *result = seen ? Py_BuildValue("(OOO)", planes[0], planes[1], planes[2]) : declined();
    for (int i = 0; i < 3; i++) Py_XDECREF(planes[i]);
    return result;
}

PyMethodDef VISIBLE_METHODS[] = {
    {"look", core_look, METH_VARARGS, look_doc},
    {NULL, NULL, 0, NULL},
};
