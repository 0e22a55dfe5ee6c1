/* Colours of regions, for their kinds: the reference is comparison/colours.py (of `moved`: kinds.py). A colour has four planes, float32; every
   operation on floats is done here in the order of the reference, so that the results are equal to the last bit. */
#include "methods.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

enum { PLANES = 4 };

static void *refused(const char *why) {
    PyErr_SetString(PyExc_ValueError, why);
    return NULL;
}

/* Colours that lie in a row: of one pixel each, or the same one for all. */
typedef struct {
    const float *values;
    size_t step; /* 0 where there is one colour only */
} Colours;

static bool colours_of(Colours *colours, const char *bytes, Py_ssize_t size, size_t count) {
    colours->values = (const float *)(const void *)bytes;
    colours->step = (size_t)size == PLANES * sizeof(float) ? 0 : PLANES;
    return is_aligned(bytes, sizeof(float)) && (!colours->step || (size_t)size == count * PLANES * sizeof(float));
}

ALWAYS_INLINE float apart(const float *one, const float *two) {
    const float a = one[0] - two[0], b = one[1] - two[1], c = one[2] - two[2], d = one[3] - two[3];
    return __builtin_sqrtf((a * a + b * b) + (c * c + d * d));
}

static PyObject *core_colours(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes;
    Py_ssize_t size;
    unsigned int stride, left, width, height, step;
    float scale, weights[10];
    if (!PyArg_ParseTuple(args, "y#IIIIIf(ffffffffff):colours", &bytes, &size, &stride, &left, &width, &height, &step, &scale,
                          &weights[0], &weights[1], &weights[2], &weights[3], &weights[4], &weights[5], &weights[6], &weights[7],
                          &weights[8], &weights[9]))
        return NULL;
    if (!stride || !step || !width || !height || size % 4 || (uint64_t)size / 4 % stride ||
        left + (uint64_t)(width - 1) * step >= stride || (uint64_t)(height - 1) * step >= (uint64_t)size / 4 / stride)
        return refused("the pixels do not lie in the rows");
    PyObject *found = new_bytes((size_t)width * height * PLANES * sizeof(float));
    if (!found) return declined();
    float *to = (float *)(void *)bytes_of(found);
    Py_BEGIN_ALLOW_THREADS
    for (size_t row = 0; row < height; row++) {
        const uint8_t *from = (const uint8_t *)bytes + 4 * (row * step * stride + left);
        for (size_t column = 0; column < width; column++, from += 4 * (size_t)step, to += PLANES) {
            const float opacity = from[3] * scale;
            const float red = from[0] * scale * opacity, green = from[1] * scale * opacity, blue = from[2] * scale * opacity;
            for (int plane = 0; plane < 3; plane++)
                to[plane] = (red * weights[3 * plane] + green * weights[3 * plane + 1]) + blue * weights[3 * plane + 2];
            to[3] = opacity * weights[9];
        }
    }
    Py_END_ALLOW_THREADS
    return found;
}

static PyObject *core_apart(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes[2];
    Py_ssize_t sizes[2];
    Colours two;
    if (!PyArg_ParseTuple(args, "y#y#:apart", &bytes[0], &sizes[0], &bytes[1], &sizes[1])) return NULL;
    const size_t count = (size_t)sizes[0] / (PLANES * sizeof(float));
    if (sizes[0] % (Py_ssize_t)(PLANES * sizeof(float)) || !is_aligned(bytes[0], sizeof(float)) ||
        !colours_of(&two, bytes[1], sizes[1], count))
        return refused("those are no colours of one region");
    PyObject *found = new_bytes(count * sizeof(float));
    if (!found) return declined();
    const float *one = (const float *)(const void *)bytes[0];
    float *to = (float *)(void *)bytes_of(found);
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < count; i++) to[i] = apart(one + PLANES * i, two.values + two.step * i);
    Py_END_ALLOW_THREADS
    return found;
}

/* ---- Groups of colours that count as one */

/* One number for the colour in whole steps, each of -512..511. */
static uint64_t key_of(const float *colour, float steps) {
    uint64_t key = 0;
    for (int plane = 0; plane < PLANES; plane++)
        key = key * 1024 + ((uint64_t)(__builtin_lrintf(colour[plane] * steps) + 512) & 1023);
    return key;
}

typedef struct {
    uint64_t *keys;   /* of each group */
    uint32_t *counts; /* pixels of each */
    uint32_t *groups; /* of each pixel */
    uint32_t *table;  /* group + 1; 0 where free */
    size_t mask, number;
} Groups;

static void forget(Groups *groups) {
    core_free(groups->keys);
    core_free(groups->counts);
    core_free(groups->groups);
    core_free(groups->table);
}

/* Room for the groups of so many pixels. */
static bool has_room(Groups *groups, size_t count) {
    size_t room = 16;
    while (room < 2 * count) room *= 2;
    *groups = (Groups){core_allocate((count + 1) * sizeof(uint64_t)), core_allocate((count + 1) * sizeof(uint32_t)),
                       core_allocate((count + 1) * sizeof(uint32_t)), core_allocate(room * sizeof(uint32_t)), room - 1, 0};
    if (!groups->keys || !groups->counts || !groups->groups || !groups->table) return false;
    memset(groups->table, 0, room * sizeof(uint32_t));
    return true;
}

static void group(Groups *groups, const float *colours, size_t count, float steps) {
    for (size_t i = 0; i < count; i++) {
        const uint64_t key = key_of(colours + PLANES * i, steps);
        size_t at = (size_t)(key * 0x9E3779B97F4A7C15u >> 24) & groups->mask;
        while (groups->table[at] && groups->keys[groups->table[at] - 1] != key) at = (at + 1) & groups->mask;
        if (!groups->table[at]) {
            groups->keys[groups->number] = key;
            groups->counts[groups->number] = 0;
            groups->table[at] = (uint32_t)++groups->number;
        }
        const uint32_t found = groups->table[at] - 1;
        groups->counts[found]++;
        groups->groups[i] = found;
    }
}

/* The value at a place of the sorted ones; those before it are at most as large afterwards (C. A. R. Hoare, 1961). */
static float selected(float *values, size_t count, size_t place) {
    int64_t low = 0, high = (int64_t)count - 1;
    const int64_t wanted = (int64_t)place;
    while (low < high) {
        const float pivot = values[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i > j) break;
            const float kept = values[i];
            values[i++] = values[j];
            values[j--] = kept;
        }
        if (wanted <= j)
            high = j;
        else if (wanted >= i)
            low = i;
        else
            break;
    }
    return values[wanted];
}

static float median(float *values, size_t count) {
    const float upper = selected(values, count, count / 2);
    if (count % 2) return upper;
    float lower = values[0];
    for (size_t i = 1; i < count / 2; i++)
        if (values[i] > lower) lower = values[i];
    return (lower + upper) / 2;
}

static PyObject *core_commonest(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes;
    Py_ssize_t size;
    float steps;
    if (!PyArg_ParseTuple(args, "y#f:commonest", &bytes, &size, &steps)) return NULL;
    const size_t count = (size_t)size / (PLANES * sizeof(float));
    if (!count || size % (Py_ssize_t)(PLANES * sizeof(float)) || count > INT32_MAX / 4 || !is_aligned(bytes, sizeof(float)))
        return refused("those are no colours");
    const float *colours = (const float *)(const void *)bytes;
    Groups groups;
    float *near = core_allocate(count * PLANES * sizeof(float)), middle[PLANES] = {0};
    const bool sound = has_room(&groups, count) && near;
    if (sound) {
        Py_BEGIN_ALLOW_THREADS
        group(&groups, colours, count, steps);
        size_t best = 0;
        for (size_t i = 1; i < groups.number; i++)
            if (groups.counts[i] > groups.counts[best] ||
                (groups.counts[i] == groups.counts[best] && groups.keys[i] < groups.keys[best]))
                best = i;
        long own[PLANES];
        size_t first = 0, found = 0;
        while (groups.groups[first] != best) first++;
        for (int plane = 0; plane < PLANES; plane++) own[plane] = __builtin_lrintf(colours[PLANES * first + plane] * steps);
        for (size_t i = 0; i < count; i++) {
            bool is_near = true;
            for (int plane = 0; plane < PLANES; plane++) {
                const long step = __builtin_lrintf(colours[PLANES * i + (size_t)plane] * steps);
                is_near &= (unsigned long)step - (unsigned long)own[plane] + 1 <= 2; /* a difference may not fit a long */
            }
            if (!is_near) continue;
            for (size_t plane = 0; plane < PLANES; plane++) near[plane * count + found] = colours[PLANES * i + plane];
            found++;
        }
        for (size_t plane = 0; plane < PLANES; plane++) middle[plane] = median(near + plane * count, found);
        Py_END_ALLOW_THREADS
    }
    forget(&groups);
    core_free(near);
    return sound ? Py_BuildValue("(ffff)", middle[0], middle[1], middle[2], middle[3]) : declined();
}

typedef struct {
    const float *first, *second;
    const uint8_t *changed;
    size_t count;
    float steps;
    double colours, kept, unmapped, mapped, flat;
} Recolouring;

/* The sum of the squares of what is left of one plane less the mean of its group. `sums` has room for each group. */
static double unexplained(const Groups *groups, const float *values, size_t count, double *sums) {
    memset(sums, 0, groups->number * sizeof *sums);
    for (size_t i = 0; i < count; i++) sums[groups->groups[i]] += values[i];
    for (size_t i = 0; i < groups->number; i++) sums[i] = sums[i] / groups->counts[i];
    double left = 0;
    for (size_t i = 0; i < count; i++) {
        const double apart = values[i] - sums[groups->groups[i]];
        left += apart * apart;
    }
    return left;
}

/* Whether a rule from colour to colour maps the first colours to the second; `plane` has room for all pixels. */
static bool maps(const Recolouring *job, Groups *groups, uint32_t *of_changed, double *sums, float *plane) {
    const size_t count = job->count;
    group(groups, job->first, count, job->steps);
    if ((double)groups->number > job->colours * (double)count) return false;
    memset(of_changed, 0, groups->number * sizeof *of_changed);
    size_t changed = 0;
    for (size_t i = 0; i < count; i++)
        if (job->changed[i]) of_changed[groups->groups[i]]++, changed++;
    if (!changed) return false;
    double shares = 0;
    for (size_t i = 0; i < count; i++)
        if (job->changed[i]) {
            const uint32_t found = groups->groups[i];
            shares += (double)of_changed[found] / (double)groups->counts[found];
        }
    if (shares / (double)changed < job->kept) return false;
    double variance = 0, left = 0;
    for (size_t at = 0; at < PLANES; at++) {
        double total = 0, squares = 0;
        for (size_t i = 0; i < count; i++) total += plane[i] = job->second[PLANES * i + at];
        const double mean = total / (double)count;
        for (size_t i = 0; i < count; i++) {
            const double apart = plane[i] - mean;
            squares += apart * apart;
        }
        variance += squares / (double)count;
        left += unexplained(groups, plane, count, sums);
    }
    const size_t others = count > groups->number ? count - groups->number : 1, more = count > 1 ? count - 1 : 1;
    if (variance > job->flat &&
        left / (double)others / (variance * (double)count / (double)more) > job->unmapped)
        return false;
    /* Of the changed pixels alone. */
    size_t few = 0, kept = 0;
    for (size_t i = 0; i < groups->number; i++) few += of_changed[i] > 0;
    for (size_t i = 0; i < count; i++)
        if (job->changed[i]) groups->groups[kept++] = groups->groups[i];
    for (size_t i = 0; i < groups->number; i++) groups->counts[i] = of_changed[i] ? of_changed[i] : 1;
    double total = 0;
    left = 0;
    for (size_t at = 0; at < PLANES; at++) {
        double squares = 0;
        kept = 0;
        for (size_t i = 0; i < count; i++)
            if (job->changed[i]) plane[kept++] = job->second[PLANES * i + at] - job->first[PLANES * i + at];
        for (size_t i = 0; i < kept; i++) squares += (double)plane[i] * (double)plane[i];
        total += squares;
        left += unexplained(groups, plane, kept, sums);
    }
    const size_t free = changed - (few - 1) > 1 ? changed - (few - 1) : 1;
    return 1 - left / (total + 1e-9) * ((double)changed / (double)free) > job->mapped;
}

static PyObject *core_maps(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes[3];
    Py_ssize_t sizes[3];
    Recolouring job;
    if (!PyArg_ParseTuple(args, "y#y#y#f(ddddd):maps", &bytes[0], &sizes[0], &bytes[1], &sizes[1], &bytes[2], &sizes[2],
                          &job.steps, &job.colours, &job.kept, &job.unmapped, &job.mapped, &job.flat))
        return NULL;
    job.count = (size_t)sizes[2];
    if (!job.count || job.count > INT32_MAX / 4 || (size_t)sizes[0] != job.count * PLANES * sizeof(float) || sizes[1] != sizes[0] ||
        !is_aligned(bytes[0], sizeof(float)) || !is_aligned(bytes[1], sizeof(float)))
        return refused("those are no colours of one region");
    job.first = (const float *)(const void *)bytes[0];
    job.second = (const float *)(const void *)bytes[1];
    job.changed = (const uint8_t *)bytes[2];
    Groups groups;
    uint32_t *of_changed = core_allocate(job.count * sizeof *of_changed);
    double *sums = core_allocate(job.count * sizeof *sums);
    float *plane = core_allocate(job.count * sizeof *plane);
    const bool sound = has_room(&groups, job.count) && of_changed && sums && plane;
    bool found = false;
    if (sound) {
        Py_BEGIN_ALLOW_THREADS
        found = maps(&job, &groups, of_changed, sums, plane);
        Py_END_ALLOW_THREADS
    }
    forget(&groups);
    core_free(of_changed);
    core_free(sums);
    core_free(plane);
    return sound ? PyBool_FromLong(found) : declined();
}

/* ---- What moved */

static PyObject *core_moved(PyObject *module, PyObject *args) {
    (void)module;
    const char *bytes[4];
    Py_ssize_t sizes[4];
    unsigned int width, height;
    int across, down;
    float seen, near;
    Colours fill;
    if (!PyArg_ParseTuple(args, "y#y#y#y#IIiiff:moved", &bytes[0], &sizes[0], &bytes[1], &sizes[1], &bytes[2], &sizes[2],
                          &bytes[3], &sizes[3], &width, &height, &across, &down, &seen, &near))
        return NULL;
    const size_t count = (size_t)width * height;
    if (!count || (size_t)sizes[3] != count || sizes[0] % (Py_ssize_t)(PLANES * sizeof(float)) ||
        !is_aligned(bytes[0], sizeof(float)) || !is_aligned(bytes[1], sizeof(float)) ||
        (size_t)sizes[0] / (PLANES * sizeof(float)) != count || sizes[1] != sizes[0] ||
        !colours_of(&fill, bytes[2], sizes[2], count))
        return refused("those are no colours of one region");
    const float *one = (const float *)(const void *)bytes[0], *two = (const float *)(const void *)bytes[1];
    const uint8_t *changed = (const uint8_t *)bytes[3];
    unsigned long long unlike = 0, all = 0;
    Py_BEGIN_ALLOW_THREADS
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            const size_t at = (size_t)y * width + (size_t)x;
            const float *painted = fill.values + fill.step * at;
            const int64_t from_x = x - across, from_y = y - down;
            if (from_x >= 0 && from_x < width && from_y >= 0 && from_y < height) {
                const size_t from = (size_t)from_y * width + (size_t)from_x;
                if (apart(one + PLANES * from, fill.values + fill.step * from) > seen) painted = one + PLANES * from;
            }
            const bool differs = apart(painted, two + PLANES * at) > near;
            unlike += differs;
            all += differs || changed[at];
        }
    Py_END_ALLOW_THREADS
    return Py_BuildValue("(KK)", unlike, all);
}

PyMethodDef COLOURS_METHODS[] = {
    {"colours", core_colours, METH_VARARGS,
     "colours(rows, stride, left, width, height, step, scale, weights) -> float32, four planes of every step-th pixel and row."},
    {"apart", core_apart, METH_VARARGS, "apart(one, two) -> float32, how far colours are apart; of the second one or as many."},
    {"commonest", core_commonest, METH_VARARGS, "commonest(colours, steps) -> the commonest colour; near ones count together."},
    {"maps", core_maps, METH_VARARGS,
     "maps(first, second, changed, steps, (colours, kept, unmapped, mapped, flat)) -> whether a rule from colour to colour\n"
     "maps the first to the second."},
    {"moved", core_moved, METH_VARARGS,
     "moved(one, two, fill, changed, width, height, across, down, seen, near) -> how many pixels differ where what stands on\n"
     "the fill is painted elsewhere, and how many of these or of the changed ones there are."},
    {NULL, NULL, 0, NULL},
};
