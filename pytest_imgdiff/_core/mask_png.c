/* A mask as a PNG of one bit a pixel (PNG, third edition), deflated (RFC 1951) by what masks are made of: runs of one byte,
   and bytes that are those of the row above. */
#include "methods.h"

PyAPI_FUNC(int) PyObject_AsReadBuffer(PyObject *, const void **, Py_ssize_t *);

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum {
    LITERALS = 286, END_OF_BLOCK = 256, DISTANCES = 30, LONGEST_CODE = 15, CODE_LENGTHS = 19,
    SHORTEST_MATCH = 4, LONGEST_MATCH = 258, FARTHEST = 32768,
    HEADER_BITS = 3 + 5 + 5 + 4 + 3 * CODE_LENGTHS + 4 * (LITERALS + DISTANCES),
};
static const uint16_t LENGTH_BASE[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                         31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t LENGTH_EXTRA[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint8_t ORDER_OF_LENGTHS[CODE_LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

/* The rows with their filter, which is none; `stride` bytes each. */
typedef struct {
    const uint8_t *bytes;
    size_t size, stride;
} Rows;

/* A literal where `length` is 0; else so many bytes are repeated: the last one, or those of the row above. */
typedef struct {
    uint32_t length;
    bool above;
} Token;

typedef struct {
    uint8_t *at;
    uint64_t bits;
    unsigned count;
} Writer;

static void put(Writer *writer, uint64_t bits, unsigned count) {
    writer->bits |= bits << writer->count;
    writer->count += count;
    while (writer->count >= 8) {
        *writer->at++ = (uint8_t)writer->bits;
        writer->bits >>= 8;
        writer->count -= 8;
    }
}

static void put_be32(uint8_t *to, uint32_t value) { store32(to, __builtin_bswap32(value)); }

static uint32_t alike(const uint8_t *one, const uint8_t *other, size_t most) {
    uint32_t length = 0;
    most = most < LONGEST_MATCH ? most : LONGEST_MATCH;
    while (length + 8 <= most) {
        const uint64_t differs = load64(one + length) ^ load64(other + length);
        if (differs) return length + (uint32_t)__builtin_ctzll(differs) / 8;
        length += 8;
    }
    while (length < most && one[length] == other[length]) length++;
    return length;
}

static Token token_at(const Rows *rows, size_t at) {
    const uint8_t *here = rows->bytes + at;
    const size_t left = rows->size - at;
    const uint32_t run = at ? alike(here, here - 1, left) : 0;
    const uint32_t above = at >= rows->stride && rows->stride <= FARTHEST ? alike(here, here - rows->stride, left) : 0;
    const Token token = {above > run ? above : run, above > run};
    return token.length < SHORTEST_MATCH ? (Token){0, false} : token;
}

static unsigned length_symbol(uint32_t length) {
    unsigned symbol = 28;
    while (LENGTH_BASE[symbol] > length) symbol--;
    return symbol;
}

/* The length of each symbol's code (Huffman 1952): the two rarest are joined until one is left. */
static bool find_code_lengths(const uint32_t counts[LITERALS], uint8_t lengths[LITERALS]) {
    uint64_t weights[2 * LITERALS];
    uint16_t parents[2 * LITERALS], roots[LITERALS];
    for (int coarser = 0; coarser < 32; coarser++) { /* rounder counts make shorter codes */
        unsigned nodes = LITERALS, open = 0;
        bool fits = true;
        for (unsigned i = 0; i < LITERALS; i++) {
            weights[i] = counts[i] ? (counts[i] >> coarser) + 1 : 0;
            if (counts[i]) roots[open++] = (uint16_t)i;
        }
        while (open > 1) {
            unsigned joined[2];
            for (int k = 0; k < 2; k++) {
                unsigned least = 0;
                for (unsigned i = 1; i < open; i++)
                    if (weights[roots[i]] < weights[roots[least]]) least = i;
                joined[k] = roots[least];
                roots[least] = roots[--open];
            }
            weights[nodes] = weights[joined[0]] + weights[joined[1]];
            parents[joined[0]] = parents[joined[1]] = (uint16_t)nodes;
            roots[open++] = (uint16_t)nodes++;
        }
        for (unsigned i = 0; i < LITERALS; i++) {
            unsigned length = 0;
            if (counts[i])
                for (unsigned node = i; node != nodes - 1; node = parents[node]) length++;
            fits = fits && length <= LONGEST_CODE;
            lengths[i] = (uint8_t)length;
        }
        if (fits) return true;
    }
    return false;
}

/* RFC 1951, 3.2.2; the bits of a code are written from the first one on. */
static void find_codes(const uint8_t lengths[LITERALS], uint16_t codes[LITERALS]) {
    unsigned counts[LONGEST_CODE + 1] = {0}, next[LONGEST_CODE + 1] = {0};
    for (unsigned i = 0; i < LITERALS; i++) counts[lengths[i]]++;
    counts[0] = 0;
    for (unsigned length = 1; length <= LONGEST_CODE; length++) next[length] = (next[length - 1] + counts[length - 1]) << 1;
    for (unsigned i = 0; i < LITERALS; i++) {
        const unsigned code = lengths[i] ? next[lengths[i]]++ : 0;
        unsigned turned = 0;
        for (unsigned bit = 0; bit < lengths[i]; bit++) turned |= (code >> bit & 1) << (lengths[i] - 1 - bit);
        codes[i] = (uint16_t)turned;
    }
}

/* Eight pixels to a byte, the first one in the highest bit. */
static void pack_rows(const uint8_t *mask, size_t width, size_t height, uint8_t *rows) {
    for (size_t y = 0; y < height; y++, mask += width) {
        *rows++ = 0; /* no filter */
        size_t x = 0;
        for (; x + 8 <= width; x += 8) {
            uint64_t pixels = load64(mask + x);
            pixels = (((pixels & 0x7F7F7F7F7F7F7F7Fu) + 0x7F7F7F7F7F7F7F7Fu) | pixels) >> 7 & 0x0101010101010101u;
            *rows++ = (uint8_t)(pixels * 0x8040201008040201u >> 56);
        }
        if (x < width) {
            unsigned last = 0;
            for (unsigned bit = 7; x < width; x++, bit--) last |= (unsigned)(mask[x] != 0) << bit;
            *rows++ = (uint8_t)last;
        }
    }
}

/* How the rows are deflated. */
typedef struct {
    uint8_t lengths[LITERALS];
    uint16_t codes[LITERALS];
    unsigned far_symbol, far_extra, far_bits; /* the distance of the row above */
    size_t size;                              /* of the zlib stream */
} Plan;

static bool make_plan(const Rows *rows, Plan *plan) {
    uint32_t counts[LITERALS] = {0};
    uint64_t bits = HEADER_BITS;
    plan->far_symbol = 1; /* two codes in any case, of one bit each */
    plan->far_extra = plan->far_bits = 0;
    if (rows->stride > 2 && rows->stride <= FARTHEST) {
        const unsigned distance = (unsigned)rows->stride - 1, top = 31 - (unsigned)__builtin_clz(distance);
        plan->far_bits = top - 1;
        plan->far_symbol = 2 * top + (distance >> (top - 1) & 1);
        plan->far_extra = distance & ((1u << plan->far_bits) - 1);
    }
    for (size_t at = 0; at < rows->size;) {
        const Token token = token_at(rows, at);
        if (token.length) {
            const unsigned symbol = length_symbol(token.length);
            counts[257 + symbol]++;
            bits += LENGTH_EXTRA[symbol] + 1 + (token.above ? plan->far_bits : 0);
            at += token.length;
        } else
            counts[rows->bytes[at++]]++;
    }
    counts[END_OF_BLOCK] = 1;
    if (!find_code_lengths(counts, plan->lengths)) return false;
    find_codes(plan->lengths, plan->codes);
    for (unsigned i = 0; i < LITERALS; i++) bits += (uint64_t)counts[i] * plan->lengths[i];
    plan->size = 2 + (size_t)(bits + 7) / 8 + 4;
    return true;
}

static void write_stream(const Rows *rows, const Plan *plan, uint8_t *to) {
    Writer writer = {to + 2, 0, 0};
    to[0] = 0x78;
    to[1] = 0x01;
    put(&writer, 1 | 2 << 1, 3); /* the last block, with codes of its own */
    put(&writer, LITERALS - 257, 5);
    put(&writer, DISTANCES - 1, 5);
    put(&writer, CODE_LENGTHS - 4, 4);
    /* Each length from 0 to 15 is written in four bits: its own number, turned. */
    for (int i = 0; i < CODE_LENGTHS; i++) put(&writer, ORDER_OF_LENGTHS[i] < 16 ? 4 : 0, 3);
    for (unsigned i = 0; i < LITERALS + DISTANCES; i++) {
        const unsigned distance = i - LITERALS;
        const unsigned length = i < LITERALS ? plan->lengths[i] : distance == 0 || distance == plan->far_symbol;
        put(&writer, (length & 1) << 3 | (length & 2) << 1 | (length & 4) >> 1 | length >> 3, 4);
    }
    for (size_t at = 0; at < rows->size;) {
        const Token token = token_at(rows, at);
        if (!token.length) {
            const uint8_t literal = rows->bytes[at++];
            put(&writer, plan->codes[literal], plan->lengths[literal]);
            continue;
        }
        const unsigned symbol = length_symbol(token.length);
        put(&writer, plan->codes[257 + symbol], plan->lengths[257 + symbol]);
        put(&writer, token.length - LENGTH_BASE[symbol], LENGTH_EXTRA[symbol]);
        put(&writer, token.above, 1);
        if (token.above) put(&writer, plan->far_extra, plan->far_bits);
        at += token.length;
    }
    put(&writer, plan->codes[END_OF_BLOCK], plan->lengths[END_OF_BLOCK]);
    put(&writer, 0, (8 - writer.count) % 8);
    put_be32(writer.at, adler32_of(1, rows->bytes, rows->size));
}

static uint8_t *begin_chunk(uint8_t *at, const char kind[4], size_t size) {
    put_be32(at, (uint32_t)size);
    memcpy(at + 4, kind, 4);
    return at + 8;
}

static uint8_t *end_chunk(uint8_t *data, size_t size) {
    put_be32(data + size, crc32_of(0, data - 4, size + 4));
    return data + size + 4;
}

static void write_png(const Rows *rows, const Plan *plan, uint32_t width, uint32_t height, uint8_t *to) {
    memcpy(to, "\x89PNG\r\n\x1a\n", 8);
    uint8_t *data = begin_chunk(to + 8, "IHDR", 13);
    put_be32(data, width);
    put_be32(data + 4, height);
    memcpy(data + 8, "\1\0\0\0\0", 5); /* one bit, gray */
    data = begin_chunk(end_chunk(data, 13), "IDAT", plan->size);
    write_stream(rows, plan, data);
    data = begin_chunk(end_chunk(data, plan->size), "IEND", 0);
    end_chunk(data, 0);
}

static PyObject *core_mask_png(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *object;
    const void *mask;
    Py_ssize_t size;
    unsigned int width, height;
    if (!PyArg_ParseTuple(args, "OII:mask_png", &object, &width, &height)) return NULL;
    if (!width || !height || width > INT32_MAX || height > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the mask has a size that no PNG has");
        return NULL;
    }
    if (PyObject_AsReadBuffer(object, &mask, &size)) return NULL;
    if ((uint64_t)size != (uint64_t)width * height) {
        PyErr_Format(PyExc_ValueError, "there are %zd bytes, not %u times %u", size, width, height);
        return NULL;
    }
    Rows rows = {.stride = 1 + ((size_t)width + 7) / 8};
    rows.size = rows.stride * height;
    uint8_t *packed = rows.size <= INT32_MAX ? core_allocate(rows.size) : NULL; /* a chunk holds no more, and counts fit */
    rows.bytes = packed;
    Plan plan;
    bool planned = packed != NULL;
    if (planned) {
        Py_BEGIN_ALLOW_THREADS
        pack_rows(mask, width, height, packed);
        planned = make_plan(&rows, &plan) && plan.size <= INT32_MAX;
        Py_END_ALLOW_THREADS
    }
    PyObject *png = planned ? new_bytes(8 + 25 + 12 + plan.size + 12) : NULL;
    if (png) {
        uint8_t *to = bytes_of(png);
        Py_BEGIN_ALLOW_THREADS
        write_png(&rows, &plan, width, height, to);
        Py_END_ALLOW_THREADS
    }
    core_free(packed);
    return png ? png : declined();
}

PyMethodDef MASK_METHODS[] = {
    {"mask_png", core_mask_png, METH_VARARGS,
     "mask_png(mask, width, height) -> a PNG of one bit a pixel, white where the mask, of width * height bytes, is not 0;\n"
     "None where there is no memory, or no PNG holds it."},
    {NULL, NULL, 0, NULL},
};
