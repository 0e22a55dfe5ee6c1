/* Lines of two images, for their alignment: which are equal, what each costs beside its counterpart, and which offset is the
   cheapest for each. The reference is comparison/line_maps.py (of tiles: alignment.py); every operation on floats is done here in its order, so
   that the results are equal to the last bit. A line is a row of pixels, or a column. */
#include "methods.h"

#include <math.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

enum { LANES = 8, TILE = 8, MOST_FEW = 128 };
typedef uint8_t Bytes __attribute__((vector_size(4 * LANES)));
typedef uint32_t Lanes __attribute__((vector_size(4 * LANES)));

#define TARGET
#define NAMED(name) name##_anywhere
#include "lines_kernels.h"
#undef TARGET
#undef NAMED
#if HAVE_AVX2
#define TARGET __attribute__((target("avx2")))
#define NAMED(name) name##_avx2
#include "lines_kernels.h"
#undef TARGET
#undef NAMED
#define CALL(name, ...) (core_has_avx2() ? name##_avx2(__VA_ARGS__) : name##_anywhere(__VA_ARGS__))
#else
#define CALL(name, ...) name##_anywhere(__VA_ARGS__)
#endif

static void *refused(const char *why) {
    PyErr_SetString(PyExc_ValueError, why);
    return NULL;
}

/* Rows of an image, of which the columns from `left` on count. */
typedef struct {
    const char *bytes;
    Py_ssize_t size;
    unsigned int stride, left, width, height;
} Part;

static bool is_part(const Part *part) {
    return part->size % 4 == 0 && (uint64_t)part->size / 4 == (uint64_t)part->stride * part->height &&
           is_aligned(part->bytes, 4) && part->width && part->left <= part->stride && part->width <= part->stride - part->left;
}

static const uint32_t *row_of(const Part *part, size_t row) {
    return (const uint32_t *)(const void *)part->bytes + row * part->stride + part->left;
}

/* Odd, and each far from the others: equal digests of lines that are not equal are as good as impossible. */
static uint32_t factor_of(uint32_t place) {
    uint32_t mixed = (place + 1) * 0x9E3779B1u;
    mixed ^= mixed >> 15;
    mixed *= 0x85EBCA6Bu;
    return (mixed ^ mixed >> 13) | 1;
}

static PyObject *core_line_digests(PyObject *module, PyObject *args) {
    (void)module;
    Part part;
    int columns;
    if (!PyArg_ParseTuple(args, "y#IIIIp:line_digests", &part.bytes, &part.size, &part.stride, &part.left, &part.width,
                          &part.height, &columns))
        return NULL;
    if (!is_part(&part)) return refused("the columns do not lie in the rows");
    const size_t lines = columns ? part.width : part.height, length = columns ? part.height : part.width;
    PyObject *found = new_bytes(8 * lines);
    uint32_t *factors = core_allocate(4 * (length + 1));
    if (found && factors) {
        uint64_t *digests = (uint64_t *)(void *)bytes_of(found);
        Py_BEGIN_ALLOW_THREADS
        for (size_t i = 0; i < length; i++) factors[i] = factor_of((uint32_t)i);
        if (columns) memset(digests, 0, 8 * lines);
        for (size_t row = 0; row < part.height; row++)
            if (columns)
                CALL(digest_columns, row_of(&part, row), factors[row], part.width, digests);
            else
                digests[row] = CALL(digest_row, row_of(&part, row), factors, part.width);
        Py_END_ALLOW_THREADS
    } else
        Py_CLEAR(found);
    core_free(factors);
    return found ? found : declined();
}

static PyObject *core_line_sums(PyObject *module, PyObject *args) {
    (void)module;
    Part part;
    int columns;
    if (!PyArg_ParseTuple(args, "y#IIIIp:line_sums", &part.bytes, &part.size, &part.stride, &part.left, &part.width, &part.height,
                          &columns))
        return NULL;
    if (!is_part(&part)) return refused("the columns do not lie in the rows");
    const size_t lines = columns ? part.width : part.height;
    PyObject *found = new_bytes(4 * sizeof(double) * lines);
    if (!found) return declined();
    double *sums = (double *)(void *)bytes_of(found);
    Py_BEGIN_ALLOW_THREADS
    if (columns) memset(sums, 0, 4 * sizeof(double) * lines);
    for (size_t row = 0; row < part.height; row++)
        if (columns)
            CALL(sum_columns, (const uint8_t *)row_of(&part, row), 4 * (size_t)part.width, sums);
        else
            CALL(sum_row, row_of(&part, row), part.width, sums + 4 * row);
    Py_END_ALLOW_THREADS
    return found;
}

static PyObject *core_line_medians(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes;
    Py_ssize_t size;
    unsigned int lines, count, step;
    if (!PyArg_ParseTuple(args, "y#III:line_medians", &bytes, &size, &lines, &count, &step)) return NULL;
    if (size % 4 || (uint64_t)size / 4 != (uint64_t)lines * count || !count || !step || (count - 1) / step >= MOST_FEW)
        return refused("those are no samples of lines");
    PyObject *found = new_bytes(4 * sizeof(double) * lines);
    const size_t length = 4 * (size_t)count;
    uint8_t *rest = core_allocate(LANES * length);
    if (found && rest) {
        double *medians = (double *)(void *)bytes_of(found);
        Py_BEGIN_ALLOW_THREADS
        for (size_t line = 0; line < lines; line += LANES) {
            const size_t number = lines - line < LANES ? lines - line : LANES;
            const uint8_t *block = (const uint8_t *)bytes + line * length;
            if (number < LANES) {
                memset(rest, 0, LANES * length);
                memcpy(rest, block, number * length);
                block = rest;
            }
            uint16_t sums[4 * LANES];
            CALL(middles_of_lines, block, length, step, sums);
            for (size_t i = 0; i < 4 * number; i++) medians[4 * line + i] = sums[i] / 2.0;
        }
        Py_END_ALLOW_THREADS
    } else
        Py_CLEAR(found);
    core_free(rest);
    return found ? found : declined();
}

static PyObject *core_line_ink(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes;
    Py_ssize_t size;
    unsigned int lines, count, limit;
    if (!PyArg_ParseTuple(args, "y#III:line_ink", &bytes, &size, &lines, &count, &limit)) return NULL;
    if (size % 4 || (uint64_t)size / 4 != (uint64_t)lines * count || !count || limit > 255)
        return refused("those are no samples of lines");
    PyObject *const found[2] = {new_bytes(8 * (size_t)lines), new_bytes(lines)};
    const bool sound = found[0] && found[1];
    if (sound) {
        double *ink = (double *)(void *)bytes_of(found[0]);
        uint8_t *repeats = bytes_of(found[1]);
        Py_BEGIN_ALLOW_THREADS
        for (size_t line = 0; line < lines; line++) {
            const uint8_t *samples = (const uint8_t *)bytes + line * 4 * count;
            ink[line] = CALL(count_unlike, samples + 4, samples, count - 1, (uint8_t)limit);
            repeats[line] = line && !memcmp(samples, samples - 4 * (size_t)count, 4 * (size_t)count);
        }
        Py_END_ALLOW_THREADS
    }
    PyObject *result = sound ? Py_BuildValue("(OO)", found[0], found[1]) : declined();
    for (int i = 0; i < 2; i++) Py_XDECREF(found[i]);
    return result;
}

/* Which digests of one image are in the other: an open hash table. */
typedef struct {
    uint64_t digest;
    int64_t places[2];
    uint32_t counts[2];
} Entry;

static Entry *entry_of(Entry *table, size_t mask, uint64_t digest) {
    size_t at = (size_t)(digest * 0x9E3779B97F4A7C15u >> 20) & mask;
    while ((table[at].counts[0] || table[at].counts[1]) && table[at].digest != digest) at = (at + 1) & mask;
    table[at].digest = digest;
    return table + at;
}

static PyObject *core_line_votes(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes[3];
    Py_ssize_t sizes[3];
    if (!PyArg_ParseTuple(args, "y#y#y#:line_votes", &bytes[0], &sizes[0], &bytes[1], &sizes[1], &bytes[2], &sizes[2]))
        return NULL;
    const size_t counts[2] = {(size_t)sizes[0] / 8, (size_t)sizes[1] / 8};
    if (sizes[0] % 8 || sizes[1] % 8 || (size_t)sizes[2] != counts[0] || counts[0] + counts[1] > INT32_MAX / 4)
        return refused("those are no digests");
    size_t room = 16;
    while (room < 2 * (counts[0] + counts[1])) room *= 2;
    Entry *table = core_allocate(room * sizeof *table);
    PyObject *found = new_bytes(8 * (counts[0] + counts[1] + 1));
    unsigned long long equal = 0;
    if (table && found) {
        int64_t *votes = (int64_t *)(void *)bytes_of(found);
        Py_BEGIN_ALLOW_THREADS
        memset(table, 0, room * sizeof *table);
        memset(votes, 0, 8 * (counts[0] + counts[1] + 1));
        for (int side = 0; side < 2; side++)
            for (size_t line = 0; line < counts[side]; line++) {
                Entry *entry = entry_of(table, room - 1, load64((const uint8_t *)bytes[side] + 8 * line));
                entry->counts[side]++;
                entry->places[side] = (int64_t)line;
            }
        for (size_t line = 0; line < counts[0]; line++) {
            if (!bytes[2][line]) continue;
            const Entry *entry = entry_of(table, room - 1, load64((const uint8_t *)bytes[0] + 8 * line));
            equal += entry->counts[1] > 0;
            if (entry->counts[0] == 1 && entry->counts[1] == 1)
                votes[entry->places[1] - (int64_t)line + (int64_t)counts[0]]++;
        }
        Py_END_ALLOW_THREADS
    } else
        Py_CLEAR(found);
    core_free(table);
    return found ? Py_BuildValue("(NK)", found, equal) : declined();
}

typedef struct {
    const uint8_t *samples; /* count * width * 4 */
    const double *ink;
    const uint64_t *digests;
    const double *tones; /* count * 4, or NULL */
    int64_t count;
} Side;

typedef struct {
    Side one, two;
    size_t width;
    int64_t offset;
    unsigned int noise;
    double least_ink, drifted, tone, nearly, beyond;
} Costs;

/* What a line of the one costs beside one of the other, by their samples. */
static double mismatch(const Costs *job, int64_t line, int64_t other) {
    const size_t size = 4 * job->width;
    const double unlike = CALL(count_unlike, job->one.samples + (size_t)line * size, job->two.samples + (size_t)other * size,
                               job->width, (uint8_t)job->noise);
    double ink = job->one.ink[line] > job->two.ink[other] ? job->one.ink[line] : job->two.ink[other];
    if (ink < job->least_ink) ink = job->least_ink;
    const double cost = unlike / ink;
    return cost < 1 ? cost : 1;
}

static double drifted_sideways(const Costs *job, int64_t line, int64_t other) {
    const double *mine = job->one.tones + 4 * line, *theirs = job->two.tones + 4 * other;
    double ink = 0, apart = 0;
    for (int i = 0; i < 4; i++) {
        const double first = fabs(mine[i]), second = fabs(theirs[i]);
        ink = ink + (first > second ? first : second);
        apart = apart + fabs(mine[i] - theirs[i]);
    }
    const double cost = job->drifted + job->tone * (apart / (ink > 255 ? ink : 255));
    return cost < 1 ? cost : 1;
}

static void find_costs(const Costs *job, double *costs) {
    const int64_t offset = job->offset, count = job->one.count, others = job->two.count;
    for (int64_t line = 0; line < count; line++) {
        const int64_t other = line + offset;
        if (other < 0 || other >= others) {
            costs[line] = job->beyond;
            continue;
        }
        if (job->one.digests[line] == job->two.digests[other]) {
            costs[line] = 0;
            continue;
        }
        double cost = mismatch(job, line, other);
        if (job->one.tones) {
            for (int64_t drift = -1; drift <= 1; drift += 2)
                if (other + drift >= 0 && other + drift < others) {
                    const double beside = job->drifted + mismatch(job, line, other + drift);
                    if (beside < cost) cost = beside;
                }
            const double sideways = drifted_sideways(job, line, other);
            if (sideways < cost) cost = sideways;
        }
        costs[line] = cost > job->nearly ? cost : job->nearly;
    }
}

static PyObject *core_line_costs(PyObject *module, PyObject *args) {
    (void)module;
    const char *samples[2], *ink[2], *digests[2], *tones[2];
    Py_ssize_t sizes[2][4];
    long long offset;
    unsigned int width;
    Costs job = {0};
    if (!PyArg_ParseTuple(args, "(y#y#y#z#)(y#y#y#z#)IL(Iddddd):line_costs", &samples[0], &sizes[0][0], &ink[0], &sizes[0][1],
                          &digests[0], &sizes[0][2], &tones[0], &sizes[0][3], &samples[1], &sizes[1][0], &ink[1], &sizes[1][1],
                          &digests[1], &sizes[1][2], &tones[1], &sizes[1][3], &width, &offset, &job.noise, &job.least_ink,
                          &job.drifted, &job.tone, &job.nearly, &job.beyond))
        return NULL;
    for (int i = 0; i < 2; i++) {
        const Side side = {(const uint8_t *)samples[i], (const double *)(const void *)ink[i],
                           (const uint64_t *)(const void *)digests[i], (const double *)(const void *)tones[i], sizes[i][1] / 8};
        *(i ? &job.two : &job.one) = side;
        if (sizes[i][1] % 8 || sizes[i][2] != sizes[i][1] || side.count > INT32_MAX || sizes[i][0] % 4 ||
            (uint64_t)sizes[i][0] / 4 != (uint64_t)width * (uint64_t)side.count ||
            (tones[i] && sizes[i][3] != 4 * sizes[i][1]) || !tones[0] != !tones[1] || job.noise > 255 ||
            !is_aligned(ink[i], 8) || !is_aligned(digests[i], 8) || !is_aligned(tones[i], 8))
            return refused("those are no lines");
    }
    if (offset < -job.one.count || offset > job.two.count) return refused("the offset is too large");
    job.width = width;
    job.offset = offset;
    PyObject *found = new_bytes(8 * (size_t)job.one.count);
    if (!found) return declined();
    double *costs = (double *)(void *)bytes_of(found);
    Py_BEGIN_ALLOW_THREADS
    find_costs(&job, costs);
    Py_END_ALLOW_THREADS
    return found;
}

/* ---- The cheapest offsets */

/* One round of the dynamic programme: where a change of offset more made it cheaper, from which offset, and where. */
typedef struct Round {
    struct Round *earlier;
    int32_t *origins, *places;
} Round;

typedef struct {
    const double *costs;      /* offsets * lines */
    const int64_t *offsets;   /* ascending */
    const double *content[2]; /* lines + 1 of either image: lines with content before each */
    int64_t count, lines, others;
    double change, skipped, rounding;
    double *before, *best, *better; /* count * (lines + 1) */
    int32_t *origins, *places;
    double *arrived; /* lines + 1 */
    int32_t *from;
} Program;

static int64_t least_of(int64_t one, int64_t two) { return one < two ? one : two; }
static int64_t most_of(int64_t one, int64_t two) { return one > two ? one : two; }

/* What it costs to delete lines of the one and to insert lines of the other. */
static double skipped(const Program *job, int64_t start, int64_t stop, int64_t other, int64_t other_stop) {
    const int64_t n = job->lines, m = job->others;
    const double deleted = job->content[0][least_of(stop, n)] - job->content[0][least_of(start, n)];
    const double inserted = job->content[1][least_of(other_stop, m)] - job->content[1][least_of(other, m)];
    return job->skipped * (deleted + inserted);
}

static void begin(Program *job) {
    const int64_t size = job->lines + 1;
    for (int64_t number = 0; number < job->count; number++) {
        const double *costs = job->costs + number * job->lines;
        double *before = job->before + number * size, *best = job->best + number * size;
        before[0] = 0;
        for (int64_t line = 0; line < job->lines; line++) before[line + 1] = before[line] + costs[line];
        const int64_t offset = job->offsets[number], start = most_of(0, -offset);
        const double first = skipped(job, 0, start, 0, most_of(0, offset));
        for (int64_t line = 0; line < size; line++)
            best[line] = line < start || offset > job->others
                             ? INFINITY
                             : before[line] - before[start] + (offset ? job->change : 0.0) + first;
    }
}

/* The least costs with a change to this offset as the last event. */
static void change_to(Program *job, int64_t number) {
    const int64_t size = job->lines + 1, offset = job->offsets[number], stop = least_of(job->lines, job->others - offset);
    double *arrived = job->arrived, *better = job->better + number * size;
    const double *before = job->before + number * size;
    int32_t *origins = job->origins + number * size, *places = job->places + number * size;
    for (int64_t line = 0; line < size; line++) arrived[line] = INFINITY, job->from[line] = 0;
    for (int64_t source = 0; source < job->count; source++) {
        const int64_t old = job->offsets[source];
        const double *best = job->best + source * size;
        if (offset > old) { /* lines of the other are inserted */
            const double *content = job->content[1];
            for (int64_t line = most_of(0, -old); line <= stop; line++) {
                const double cost = best[line] + job->change + job->skipped * (content[line + offset] - content[line + old]);
                if (cost < arrived[line]) arrived[line] = cost, job->from[line] = (int32_t)source;
            }
        } else if (offset < old) { /* lines of the one are deleted */
            const int64_t count = old - offset;
            const double *content = job->content[0];
            for (int64_t line = most_of(most_of(0, -offset), count); line <= stop; line++) {
                const double cost =
                    best[line - count] + job->change + job->skipped * (content[line] - content[line - count]);
                if (cost < arrived[line]) arrived[line] = cost, job->from[line] = (int32_t)source;
            }
        }
    }
    double least = INFINITY;
    int64_t at = 0;
    for (int64_t line = 0; line < size; line++) {
        const double ahead = arrived[line] - before[line];
        if (ahead < least) least = ahead;
        if (ahead <= least + job->rounding) at = line;
        better[line] = least + before[line];
        origins[line] = job->from[at];
        places[line] = (int32_t)at;
    }
}

static void forget(Round *rounds) {
    while (rounds) {
        Round *earlier = rounds->earlier;
        core_free(rounds);
        rounds = earlier;
    }
}

/* Returns all rounds that made anything cheaper, the last first; false where there is no memory. */
static bool run(Program *job, Round **rounds) {
    const size_t size = (size_t)job->count * (size_t)(job->lines + 1);
    *rounds = NULL;
    begin(job);
    for (int64_t number = 0; number < job->lines; number++) {
        bool improves = false;
        for (int64_t offset = 0; offset < job->count; offset++) change_to(job, offset);
        for (size_t i = 0; i < size; i++)
            if (job->better[i] < job->best[i] - job->rounding) {
                job->best[i] = job->better[i];
                improves = true;
            } else
                job->origins[i] = -1;
        if (!improves) break;
        Round *round = core_allocate(sizeof *round + 2 * size * sizeof(int32_t));
        if (!round) return false;
        round->earlier = *rounds;
        round->origins = (int32_t *)(void *)(round + 1);
        round->places = round->origins + size;
        memcpy(round->origins, job->origins, size * sizeof(int32_t));
        memcpy(round->places, job->places, size * sizeof(int32_t));
        *rounds = round;
    }
    return true;
}

/* The cost of ending at an offset: the lines that are left were deleted or inserted. */
static double end_cost(const Program *job, int64_t number) {
    const int64_t n = job->lines, m = job->others, offset = job->offsets[number], end = least_of(n, m - offset);
    if (end < most_of(0, -offset)) return INFINITY;
    const double rest = skipped(job, end, n, end + offset, m);
    return job->best[number * (n + 1) + end] + (end < n || end + offset < m ? job->change + rest : 0.0);
}

static bool add_segment(PyObject *segments, int64_t start, int64_t other, int64_t length) {
    if (length <= 0) return true;
    PyObject *segment = Py_BuildValue("(LLL)", (long long)start, (long long)other, (long long)length);
    const bool added = segment && !PyList_Append(segments, segment);
    Py_XDECREF(segment);
    return added;
}

/* The segments, from the last change of offset back to the first: a list that has the last first. */
static PyObject *traced(const Program *job, const Round *rounds, int64_t number) {
    PyObject *segments = PyList_New(0);
    bool sound = segments != NULL;
    int64_t end = least_of(job->lines, job->others - job->offsets[number]);
    for (; sound && rounds; rounds = rounds->earlier) {
        const int64_t at = number * (job->lines + 1) + end;
        const int64_t source = rounds->origins[at], start = rounds->places[at];
        if (source < 0) continue;
        sound = add_segment(segments, start, start + job->offsets[number], end - start);
        end = start - most_of(0, job->offsets[source] - job->offsets[number]);
        number = source;
    }
    const int64_t start = most_of(0, -job->offsets[number]);
    sound = sound && add_segment(segments, start, start + job->offsets[number], end - start) && !PyList_Reverse(segments);
    if (!sound) Py_CLEAR(segments);
    return segments;
}

static PyObject *core_cheapest_lines(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes[4];
    Py_ssize_t sizes[4];
    Program job = {0};
    if (!PyArg_ParseTuple(args, "y#y#y#y#ddd:cheapest_lines", &bytes[0], &sizes[0], &bytes[1], &sizes[1], &bytes[2], &sizes[2],
                          &bytes[3], &sizes[3], &job.change, &job.skipped, &job.rounding))
        return NULL;
    job.count = sizes[1] / 8;
    job.lines = sizes[2] / 8 - 1;
    job.others = sizes[3] / 8 - 1;
    if (job.count < 1 || job.count > 64 || job.lines < 1 || job.others < 1 || job.lines > INT32_MAX || job.others > INT32_MAX ||
        sizes[0] != 8 * job.count * job.lines || sizes[1] % 8 || sizes[2] % 8 || sizes[3] % 8 || !(job.rounding >= 0))
        return refused("those are no costs of lines");
    for (int i = 0; i < 4; i++)
        if (!is_aligned(bytes[i], 8)) return refused("numbers have to lie at multiples of eight bytes");
    job.costs = (const double *)(const void *)bytes[0];
    job.offsets = (const int64_t *)(const void *)bytes[1];
    job.content[0] = (const double *)(const void *)bytes[2];
    job.content[1] = (const double *)(const void *)bytes[3];
    int64_t in_place_at = -1;
    for (int64_t i = 0; i < job.count; i++) {
        if (job.offsets[i] < -job.lines || job.offsets[i] > job.others) return refused("an offset is too large");
        if (!job.offsets[i]) in_place_at = i;
    }
    if (in_place_at < 0) return refused("one of the offsets has to be 0");
    const size_t line = (size_t)job.lines + 1, size = (size_t)job.count * line;
    job.before = core_allocate((3 * size + line) * sizeof(double));
    job.origins = core_allocate((2 * size + line) * sizeof(int32_t));
    Round *rounds = NULL;
    bool sound = job.before && job.origins;
    if (sound) {
        job.best = job.before + size;
        job.better = job.best + size;
        job.arrived = job.better + size;
        job.places = job.origins + size;
        job.from = job.places + size;
        Py_BEGIN_ALLOW_THREADS
        sound = run(&job, &rounds);
        Py_END_ALLOW_THREADS
    }
    PyObject *result = NULL;
    if (sound) {
        int64_t last = 0;
        for (int64_t i = 1; i < job.count; i++)
            if (end_cost(&job, i) < end_cost(&job, last)) last = i;
        const int64_t n = job.lines, m = job.others, common = least_of(n, m);
        const double in_place = job.before[in_place_at * (n + 1) + common] +
                                (n != m ? job.change + skipped(&job, common, n, common, m) : 0.0);
        const double demanded = n != m ? job.change + job.skipped * fabs(job.content[0][n] - job.content[1][m]) : 0.0;
        PyObject *segments = traced(&job, rounds, last);
        if (segments) result = Py_BuildValue("(Ndd)", segments, end_cost(&job, last) - demanded, in_place - demanded);
    } else
        result = declined();
    forget(rounds);
    core_free(job.before);
    core_free(job.origins);
    return result;
}

/* ---- Tiles */

static PyObject *core_tile_hashes(PyObject *module, PyObject *args) {
    (void)module;
    Part part;
    if (!PyArg_ParseTuple(args, "y#IIII:tile_hashes", &part.bytes, &part.size, &part.stride, &part.left, &part.width,
                          &part.height))
        return NULL;
    if (!is_part(&part) || part.width < TILE || part.height < TILE) return refused("no tile lies in these rows");
    const size_t across = part.width - TILE + 1, down = part.height - TILE + 1;
    PyObject *found = new_bytes(4 * across * down);
    uint32_t *scratch = core_allocate(4 * (part.width + TILE * across));
    if (found && scratch) {
        uint32_t *hashes = (uint32_t *)(void *)bytes_of(found), *kept = scratch + part.width;
        Py_BEGIN_ALLOW_THREADS
        for (size_t row = 0; row < part.height; row++) {
            CALL(mix_row, row_of(&part, row), part.width, scratch);
            CALL(hash_across, scratch, across, kept + row % TILE * across);
            if (row + 1 < TILE) continue;
            const uint32_t *rows[TILE];
            for (size_t place = 0; place < TILE; place++) rows[place] = kept + (row + 1 + place) % TILE * across;
            CALL(hash_down, rows, across, hashes + (row + 1 - TILE) * across);
        }
        Py_END_ALLOW_THREADS
    } else
        Py_CLEAR(found);
    core_free(scratch);
    return found ? found : declined();
}

PyMethodDef LINES_METHODS[] = {
    {"line_digests", core_line_digests, METH_VARARGS,
     "line_digests(rows, stride, left, width, height, columns) -> uint64 of each row or column: equal for equal lines."},
    {"line_sums", core_line_sums, METH_VARARGS,
     "line_sums(rows, stride, left, width, height, columns) -> float64, four of each row or column: the sums of its channels."},
    {"line_medians", core_line_medians, METH_VARARGS,
     "line_medians(samples, lines, count, step) -> float64, four of each line: the medians of every step-th sample's channels."},
    {"line_ink", core_line_ink, METH_VARARGS,
     "line_ink(samples, lines, count, limit) -> float64, how many samples of each line differ by more than the limit from the\n"
     "one before, and bytes, 1 for lines that are equal to the line before."},
    {"line_votes", core_line_votes, METH_VARARGS,
     "line_votes(first, second, content) -> int64, for each offset from -lines on, the lines with content that occur once in\n"
     "either image and lie that far apart; and how many lines with content the other image has."},
    {"line_costs", core_line_costs, METH_VARARGS,
     "line_costs((samples, ink, digests, tones), (...), width, offset, (noise, least ink, drifted, tone, nearly, beyond)) ->\n"
     "float64, what each line costs beside its counterpart. tones: float64, four of each line, or None in both."},
    {"cheapest_lines", core_cheapest_lines, METH_VARARGS,
     "cheapest_lines(costs, offsets, content, other content, change, skipped, rounding) -> (segments, cost, cost in place)."},
    {"tile_hashes", core_tile_hashes, METH_VARARGS,
     "tile_hashes(rows, stride, left, width, height) -> uint32 of each tile of 8x8 pixels that lies in the rows."},
    {NULL, NULL, 0, NULL},
};
