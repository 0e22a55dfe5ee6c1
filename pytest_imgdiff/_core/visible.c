/* Evidence that a person would see a difference, in one block: what pytest_imgdiff/metrics/evidence.py says and gives,
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

/* A kind of structural evidence: the least share and contrast of its pixels, how many make it, and whether more than
   just enough counts as such; else it counts up to 2. They are those of pytest_imgdiff/metrics/visible.py. */
typedef struct {
    float share, contrast;
    uint32_t pixels;
    bool strong;
} Kind;

enum { KINDS = 6, LONE_KINDS = 2 };
static const Kind STRUCTURE[KINDS] = {{0.4f, 0.045f, 3, true},     {0.6f, 0.3f, 1, true},  {0.25f, 0.045f, 50, false},
                                      {0.55f, 0.02f, 100, false}, {0.13f, 0.1f, 1, false}, {0.2f, 0.03f, 30, false}};
static const float COUNTED = 0.1f, AT_MOST = 2.0f;

static float strength(const Kind *kind, float share, float contrast) {
    const float x = share / kind->share, y = contrast / kind->contrast, least = x < y ? x : y;
    if (kind->strong) return least <= 1.0f ? least : 1.0f + (x - 1.0f) * (y - 1.0f);
    return least < AT_MOST ? least : AT_MOST;
}

/* A half float, which is neither negative nor infinite. */
static float from_half(const uint8_t *from) {
    uint16_t half;
    memcpy(&half, from, 2);
    const uint32_t bits = (uint32_t)half << 13;
    float value;
    memcpy(&value, &bits, 4);
    return value * 0x1p112f;
}

/* The largest values so far of one kind in one cluster: a heap, whose first one is the smallest. */
static void keep(float *heap, uint32_t *filled, uint32_t most, float value) {
    uint32_t at;
    if (*filled < most) {
        for (at = (*filled)++; at && heap[(at - 1) / 2] > value; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
        heap[at] = value;
        return;
    }
    if (!(value > heap[0])) return;
    at = 0;
    for (uint32_t child = 1; child < most; child = 2 * at + 1) {
        if (child + 1 < most && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= value) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = value;
}

typedef struct {
    const uint8_t *labels, *unexplained, *contrast;
    size_t size, count;
    float *strengths, *lone;
    int64_t *strongest;
} Clusters;

ALWAYS_INLINE int32_t label_of(const Clusters *clusters, size_t pixel) {
    int32_t label;
    memcpy(&label, clusters->labels + 4 * pixel, 4);
    return label;
}

/* False: there is no memory, or a label that is no cluster's. */
static bool weigh(const Clusters *clusters) {
    const size_t count = clusters->count;
    uint32_t *sizes = core_allocate(count * sizeof *sizes), *filled = core_allocate(count * KINDS * sizeof *filled);
    size_t *begins = core_allocate(count * sizeof *begins);
    float *best = core_allocate(count * sizeof *best), *heaps = NULL;
    bool sound = sizes && filled && begins && best;
    if (sound) {
        memset(sizes, 0, count * sizeof *sizes);
        memset(filled, 0, count * KINDS * sizeof *filled);
    }
    for (size_t i = 0; sound && i < clusters->size; i++) {
        const int32_t label = label_of(clusters, i);
        if (!label) continue;
        sound = label > 0 && (size_t)label < count;
        if (sound) sizes[label]++;
    }
    size_t needed = 1;
    for (size_t i = 0; sound && i < count; i++) {
        begins[i] = needed;
        for (int kind = 0; kind < KINDS; kind++) needed += sizes[i] < STRUCTURE[kind].pixels ? sizes[i] : STRUCTURE[kind].pixels;
        best[i] = -1;
        clusters->strongest[i] = -1;
    }
    if (sound) heaps = core_allocate(needed * sizeof *heaps);
    sound = sound && heaps;
    for (size_t i = 0; sound && i < clusters->size; i++) {
        const int32_t label = label_of(clusters, i);
        if (!label) continue;
        const float share = from_half(clusters->unexplained + 2 * i), contrast = from_half(clusters->contrast + 2 * i);
        if (share * contrast > best[label]) {
            best[label] = share * contrast;
            clusters->strongest[label] = (int64_t)i;
        }
        float *heap = heaps + begins[label];
        for (int number = 0; number < KINDS; number++) {
            const Kind *kind = &STRUCTURE[number];
            uint32_t *full = &filled[(size_t)label * KINDS + (size_t)number];
            const uint32_t most = sizes[label] < kind->pixels ? sizes[label] : kind->pixels;
            /* Most pixels are too weak, which is known without a division. */
            float least = *full < most ? COUNTED : heap[0];
            if (kind->strong && least > 1.0f) least = 1.0f;
            least *= 0.999f;
            if (share >= least * kind->share && contrast >= least * kind->contrast) {
                const float value = strength(kind, share, contrast);
                if (value > COUNTED) keep(heap, full, most, value);
            }
            heap += most;
        }
    }
    for (size_t i = 0; sound && i < count; i++) {
        const float *heap = heaps + begins[i];
        float found[2] = {0, 0};
        for (int number = 0; number < KINDS; number++) {
            const uint32_t pixels = STRUCTURE[number].pixels;
            float *most = &found[number >= KINDS - LONE_KINDS];
            if (filled[i * KINDS + (size_t)number] == pixels && heap[0] > *most) *most = heap[0];
            heap += sizes[i] < pixels ? sizes[i] : pixels;
        }
        clusters->strengths[i] = found[0];
        clusters->lone[i] = found[1];
    }
    core_free(sizes);
    core_free(filled);
    core_free(begins);
    core_free(best);
    core_free(heaps);
    return sound;
}

PyDoc_STRVAR(weigh_doc,
             "weigh(labels, unexplained, contrast, count) -> (strengths, lone, strongest), or None where there is no\n"
             "memory.\n\n"
             "labels: int32, the number of each pixel's cluster, below count; 0 where it has none. unexplained, contrast:\n"
             "float16 of each pixel. strengths, lone: bytearrays of float32, of each cluster as `metrics.visible` weighs it,\n"
             "in any surroundings and in those that stand still. strongest: of int64, the first pixel with the largest\n"
             "product of share and contrast; -1 where there is no pixel.");

static PyObject *core_weigh(PyObject *module, PyObject *args) {
    (void)module;
    const char *planes[3];
    Py_ssize_t sizes[3], count;
    if (!PyArg_ParseTuple(args, "y#y#y#n:weigh", &planes[0], &sizes[0], &planes[1], &sizes[1], &planes[2], &sizes[2], &count))
        return NULL;
    if (count < 1 || count > INT32_MAX || sizes[0] % 4 || sizes[1] != sizes[0] / 2 || sizes[2] != sizes[1]) {
        PyErr_SetString(PyExc_ValueError, "those are no clusters of one picture");
        return NULL;
    }
    PyObject *const found[3] = {new_bytes(4 * (size_t)count), new_bytes(4 * (size_t)count), new_bytes(8 * (size_t)count)};
    bool sound = found[0] && found[1] && found[2];
    if (sound) {
        const Clusters clusters = {
            (const uint8_t *)planes[0],        (const uint8_t *)planes[1],        (const uint8_t *)planes[2],
            (size_t)sizes[0] / 4,              (size_t)count,                     (float *)(void *)bytes_of(found[0]),
            (float *)(void *)bytes_of(found[1]), (int64_t *)(void *)bytes_of(found[2])};
        Py_BEGIN_ALLOW_THREADS
        sound = weigh(&clusters);
        Py_END_ALLOW_THREADS
    }
    PyObject *result = sound ? Py_BuildValue("(OOO)", found[0], found[1], found[2]) : declined();
    for (int i = 0; i < 3; i++) Py_XDECREF(found[i]);
    return result;
}

PyMethodDef VISIBLE_METHODS[] = {
    {"look", core_look, METH_VARARGS, look_doc},
    {"weigh", core_weigh, METH_VARARGS, weigh_doc},
    {NULL, NULL, 0, NULL},
};
