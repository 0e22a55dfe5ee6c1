/* See pixels.h. The loops over many pixels stand in pixels_rows.h, which is compiled for each kind of machine. */
#include "pixels.h"

#include <math.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

enum { GROUP = 256 }; /* pixels that are measured at once */

/* ------------------------------------------------------------------ YIQ: metrics/yiq.py */
#define LARGEST_DELTA 35215.0
static const double Y[3] = {0.29889531, 0.58662247, 0.11448223};
static const double I[3] = {0.59597799, -0.27417610, -0.32180189};
static const double Q[3] = {0.21147017, -0.52261711, 0.31114694};
static const double WEIGHTS[3] = {0.5053, 0.299, 0.1957};

/* One entry of the delta as a quadratic form of the differences of red, green and blue. */
#define FORM(a, b) \
    (0.5053 * Y##a * Y##b + 0.299 * I##a * I##b + 0.1957 * Q##a * Q##b)
#define Y0 0.29889531
#define Y1 0.58662247
#define Y2 0.11448223
#define I0 0.59597799
#define I1 -0.27417610
#define I2 -0.32180189
#define Q0 0.21147017
#define Q1 -0.52261711
#define Q2 0.31114694
/* Red squared; red by green, by blue; green squared; green by blue; blue squared. */
static const float YIQ_FORM[6] = {
    (float)FORM(0, 0),     2 * (float)FORM(0, 1), 2 * (float)FORM(0, 2),
    (float)FORM(1, 1),     2 * (float)FORM(1, 2), (float)FORM(2, 2),
};
#define STEEPEST 0.2561 /* a little above the form's largest eigenvalue */

/* ------------------------------------------------------------------ OKLab: metrics/oklab.py */
static const double LMS[3][3] = {
    {0.4122214708, 0.5363325363, 0.0514459929},
    {0.2119034982, 0.6806995451, 0.1073969566},
    {0.0883024619, 0.2817188376, 0.6299787005},
};
/* Lightness, a and b. */
static const double OF_CONES[3][3] = {
    {0.2104542553, 0.7936177850, -0.0040720468},
    {1.9779984951, -2.4285922050, 0.4505937099},
    {0.0259040371, 0.7827717662, -0.8086757660},
};
#define K1 0.206
#define K2 0.03
#define K3 ((1 + K1) / (1 + K2))
#define OKLAB_ROUNDING 1e-3
#define HASH 0x9E3779B1u
static const double FARTHEST[17] = {
    0.0,      0.044664, 0.057533, 0.067011, 0.075191, 0.082367, 0.088847, 0.094806, 0.100326,
    0.105571, 0.110498, 0.115267, 0.120137, 0.125065, 0.130041, 0.135010, 0.140046,
};
enum { ROOTS = 4096, EXACT = 8 };

/* Cube roots as oklab.py takes them: Halley's method from a root whose exponent is a third. */
#define LEAST_LIGHT 1e-18f
#define FIRST_ROOT_32 709921077u
#define FIRST_ROOT_64 0x2A9F789300000000u
enum { ROUNDS_32 = 2, ROUNDS_64 = 3 };

static double light_of[257], root_of[ROOTS + 2];
static float rounded_light[256];

static double cube_root(double value) {
    if (value < 1e-290) return 0; /* of 8 bits nothing but 0 is so small */
    uint64_t bits;
    memcpy(&bits, &value, 8);
    bits = bits / 3 + FIRST_ROOT_64;
    double root;
    memcpy(&root, &bits, 8);
    for (int i = 0; i < ROUNDS_64; i++) {
        double cube = root * root * root;
        root = root - root * (cube - value) / (cube + cube + value);
    }
    return root;
}

void oklab_set_up(void) {
    if (root_of[ROOTS]) return;
    for (int level = 0; level < 257; level++) {
        double share = (level < 255 ? level : 255) / 255.0;
        light_of[level] = share <= 0.04045 ? share / 12.92 : pow((share + 0.055) / 1.055, 2.4);
        if (level < 256) rounded_light[level] = (float)light_of[level];
    }
    for (int step = 0; step < ROOTS + 2; step++) root_of[step] = cube_root((double)step / ROOTS);
}

#define TARGET
#define NAMED(name) name##_anywhere
#include "pixels_rows.h"
#undef TARGET
#undef NAMED
#if HAVE_AVX2
#define TARGET __attribute__((target("avx2")))
#define NAMED(name) name##_avx2
#include "pixels_rows.h"
#undef TARGET
#undef NAMED
#define FASTEST(name) (core_has_avx2() ? name##_avx2 : name##_anywhere)
#else
#define FASTEST(name) name##_anywhere
#endif

/* ------------------------------------------------------------------ single pixels, in double precision */
typedef struct {
    double red, green, blue;
} Colour;

static const Colour BLACK = {0, 0, 0}, WHITE = {255, 255, 255};

ALWAYS_INLINE double channel(uint32_t pixel, int number) { return (double)(pixel >> 8 * number & 255); }

/* yiq.py, pattern: on what pixelmatch 7.2 lays pixels. */
static Colour pattern(uint64_t index) {
    double position = (double)(index * 4);
    return (Colour){
        48.0,
        48.0 + 159.0 * (double)((int64_t)(position / 1.618033988749895) % 2),
        48.0 + 159.0 * (double)((int64_t)(position / 2.618033988749895) % 2),
    };
}

/* oklab.py, _hashed: on what pixelmatch 8.0 lays them. */
static Colour hashed(uint64_t index) {
    uint32_t hash = (uint32_t)index * HASH;
    return (Colour){48.0 + 159.0 * (hash >> 31 & 1), 48.0 + 159.0 * (hash >> 30 & 1), 48.0 + 159.0 * (hash >> 29 & 1)};
}

/* yiq.py, colour_difference: of opaque pixels, and of pixels that lie on a backdrop. */
static Colour plain_difference(uint32_t one, uint32_t two) {
    return (Colour){channel(one, 0) - channel(two, 0), channel(one, 1) - channel(two, 1), channel(one, 2) - channel(two, 2)};
}

static Colour laid_difference(uint32_t one, uint32_t two, Colour behind) {
    double alpha = channel(one, 3), other = channel(two, 3), more = alpha - other;
    return (Colour){
        (channel(one, 0) * alpha - channel(two, 0) * other - behind.red * more) / 255.0,
        (channel(one, 1) * alpha - channel(two, 1) * other - behind.green * more) / 255.0,
        (channel(one, 2) * alpha - channel(two, 2) * other - behind.blue * more) / 255.0,
    };
}

static double along(Colour colour, const double axis[3]) {
    return colour.red * axis[0] + colour.green * axis[1] + colour.blue * axis[2];
}

/* yiq.py, _delta. */
static double yiq_delta(Colour difference) {
    double y = along(difference, Y), i = along(difference, I), q = along(difference, Q);
    return WEIGHTS[0] * y * y + WEIGHTS[1] * i * i + WEIGHTS[2] * q * q;
}

/* oklab.py, _Colours. */
typedef struct {
    double lightness, cones[3];
} Seen;

static double table_root(double value) {
    double steps = value * ROOTS;
    int64_t below = (int64_t)steps;
    if (below < EXACT) return cube_root(value);
    double root = root_of[below];
    return root + (root_of[below + 1] - root) * (steps - (double)below);
}

static Seen seen_light(Colour light) {
    Seen seen;
    for (int i = 0; i < 3; i++) seen.cones[i] = table_root(along(light, LMS[i]));
    double lightness = seen.cones[0] * OF_CONES[0][0] + seen.cones[1] * OF_CONES[0][1] + seen.cones[2] * OF_CONES[0][2];
    double x = lightness * K3 - K1;
    seen.lightness = (x + sqrt(x * x + lightness * (4 * K2 * K3))) * 0.5;
    return seen;
}

static Seen seen_plain(uint32_t pixel) {
    return seen_light((Colour){light_of[pixel & 255], light_of[pixel >> 8 & 255], light_of[pixel >> 16 & 255]});
}

static double interpolated(double level) {
    int64_t below = (int64_t)level;
    double light = light_of[below];
    return light + (light_of[below + 1] - light) * (level - (double)below);
}

static Seen seen_on(uint32_t pixel, Colour behind) {
    double alpha = channel(pixel, 3);
    return seen_light((Colour){
        interpolated((channel(pixel, 0) * alpha + behind.red * (255 - alpha)) / 255),
        interpolated((channel(pixel, 1) * alpha + behind.green * (255 - alpha)) / 255),
        interpolated((channel(pixel, 2) * alpha + behind.blue * (255 - alpha)) / 255),
    });
}

/* oklab.py, _distances. */
static bool oklab_beyond(Seen one, Seen two, double threshold, double *distance) {
    double cones[3];
    for (int i = 0; i < 3; i++) cones[i] = one.cones[i] - two.cones[i];
    double a = cones[0] * OF_CONES[1][0] + cones[1] * OF_CONES[1][1] + cones[2] * OF_CONES[1][2];
    double b = cones[0] * OF_CONES[2][0] + cones[1] * OF_CONES[2][1] + cones[2] * OF_CONES[2][2];
    double lightness = fabs(one.lightness - two.lightness), colour = a * a + b * b, rest = threshold - lightness;
    *distance = lightness + sqrt(colour);
    return !(rest >= 0 && colour <= rest * rest);
}

static uint8_t exact_level(double strength) {
    double level = strength * 255;
    return (uint8_t)(level < 1 ? 1 : level > 255 ? 255 : level);
}

/* ------------------------------------------------------------------ which pixels differ */
static uint8_t harmless_step(const Perceptual *job) {
    if (job->oklab) {
        uint8_t step = 0;
        while (job->opaque && step + 1 < 17 && FARTHEST[step + 1] <= job->threshold - OKLAB_ROUNDING) step++;
        return step;
    }
    double step = sqrt(LARGEST_DELTA * job->threshold * job->threshold / (3 * STEEPEST)) * (1 - 1e-5);
    if (!job->opaque) step /= 2;
    return step > 254 ? 254 : (uint8_t)step;
}

/* Measure some pixels of a row: their heat, and whether each differs by more than the threshold. */
static void measure(const Perceptual *job, uint32_t row, const uint32_t *places, size_t count, uint8_t *levels, bool *differs) {
    const uint64_t start = (uint64_t)row * job->width;
    const uint32_t *rows[2] = {job->pixels[0] + row * job->pitch, job->pixels[1] + row * job->pitch};
    uint32_t one[GROUP], two[GROUP];
    float found[GROUP];
    for (size_t i = 0; i < count; i++) {
        one[i] = rows[0][places[i]];
        two[i] = rows[1][places[i]];
    }
    const double limit = LARGEST_DELTA * job->threshold * job->threshold;
    if (!job->opaque) {
        for (size_t i = 0; i < count; i++) {
            const uint64_t index = start + places[i];
            double most = 0;
            if (job->oklab) {
                const Colour behind[3] = {hashed(index), BLACK, WHITE};
                differs[i] = false;
                for (int k = 0; k < 3; k++) {
                    double distance;
                    differs[i] |= oklab_beyond(seen_on(one[i], behind[k]), seen_on(two[i], behind[k]), job->threshold, &distance);
                    most = distance > most ? distance : most;
                }
                levels[i] = exact_level(most);
            } else {
                const Colour behind[3] = {pattern(index), BLACK, WHITE};
                for (int k = 0; k < 3; k++) {
                    double delta = yiq_delta(laid_difference(one[i], two[i], behind[k]));
                    most = delta > most ? delta : most;
                }
                differs[i] = most > limit;
                levels[i] = exact_level(sqrt(most * (1 / LARGEST_DELTA)));
            }
        }
    } else if (job->oklab) {
        float light[2][3][GROUP];
        for (size_t i = 0; i < count; i++)
            for (int k = 0; k < 3; k++) {
                light[0][k][i] = rounded_light[one[i] >> 8 * k & 255];
                light[1][k][i] = rounded_light[two[i] >> 8 * k & 255];
            }
        FASTEST(oklab_distances)(light, count, found);
        FASTEST(oklab_levels)(found, count, levels);
        const float threshold = (float)job->threshold;
        for (size_t i = 0; i < count; i++) {
            differs[i] = found[i] > threshold;
            if (fabsf(found[i] - threshold) <= (float)OKLAB_ROUNDING) {
                double distance;
                differs[i] = oklab_beyond(seen_plain(one[i]), seen_plain(two[i]), job->threshold, &distance);
            }
        }
    } else {
        FASTEST(yiq_deltas)(one, two, count, found);
        FASTEST(yiq_levels)(found, count, levels);
        const double margin = 1e-3 * limit + 1e-3;
        const float nearest = (float)(limit - margin), farthest = (float)(limit + margin);
        for (size_t i = 0; i < count; i++) {
            differs[i] = found[i] > (float)limit;
            if (found[i] >= nearest && found[i] <= farthest)
                differs[i] = yiq_delta(plain_difference(one[i], two[i])) > limit;
        }
    }
}

/* ------------------------------------------------------------------ anti-aliasing: metrics/antialiasing.py */
enum { MOST_EQUAL = 2 };

/* Which pixels of three rows have more than MOST_EQUAL equal neighbours in each picture, and in both. */
typedef struct {
    uint8_t *own[2][3], *both[3], *near, *scratch; /* width + 2; both[k][x + 1] is that of column x */
    int64_t row[3];
} Flats;

static bool is_edge(const Perceptual *job, uint32_t x, uint32_t y) {
    return !x || !y || x + 1 == job->width || y + 1 == job->height;
}

/* The edge of the picture counts as one equal neighbour. */
static bool is_flat(const Perceptual *job, int picture, uint32_t x, uint32_t y) {
    const size_t pitch = job->pitch;
    const uint32_t *at = job->pixels[picture] + y * pitch + x;
    if (!is_edge(job, x, y)) {
        const uint32_t *above = at - pitch, *below = at + pitch, pixel = *at;
        return (above[-1] == pixel) + (above[0] == pixel) + (above[1] == pixel) + (at[-1] == pixel) + (at[1] == pixel) +
                   (below[-1] == pixel) + (below[0] == pixel) + (below[1] == pixel) >
               MOST_EQUAL;
    }
    int equal = 1;
    for (int across = -1; across <= 1; across++)
        for (int down = -1; down <= 1; down++) {
            const int64_t column = (int64_t)x + across, row = (int64_t)y + down;
            if ((!across && !down) || column < 0 || row < 0 || column >= job->width || row >= job->height) continue;
            equal += job->pixels[picture][(size_t)row * pitch + (size_t)column] == *at;
        }
    return equal > MOST_EQUAL;
}

static bool is_flat_in_both(const Perceptual *job, uint32_t x, uint32_t y) { return is_flat(job, 0, x, y) && is_flat(job, 1, x, y); }

/* By how much a pixel is brighter than a neighbour; 0 where they are equally bright. */
static double brighter(const Perceptual *job, uint32_t pixel, uint32_t neighbour, uint64_t index) {
    if (!job->oklab) return along(laid_difference(pixel, neighbour, pattern(index)), Y);
    double found = along(laid_difference(pixel, neighbour, WHITE), Y);
    /* Pixels that look alike on white and differ in alpha are no equal neighbours. */
    return found == 0 ? (channel(pixel, 3) - channel(neighbour, 3)) / 2 : found;
}

/* Numbers that are ordered as the colours' brightness is. */
static uint32_t brightness_order(uint32_t pixel) {
    return (pixel & 255) * 5033289u + (pixel >> 8 & 255) * 9878512u + (pixel >> 16 & 255) * 1927840u;
}

static bool flat_at(const Perceptual *job, const Flats *known, uint32_t x, uint32_t y) {
    if (known && known->row[y % 3] == (int64_t)y) return known->both[y % 3][x + 1];
    return is_flat_in_both(job, x, y);
}

/* The same as below of a pixel that is not flat, without a branch until it is known to lie on a slope. */
static bool looks_smoothed_inside(const Perceptual *job, int picture, uint32_t x, uint32_t y, const Flats *known) {
    static const int8_t ACROSS[8] = {-1, -1, -1, 0, 0, 1, 1, 1}, DOWN[8] = {-1, 0, 1, -1, 1, -1, 0, 1};
    const uint32_t *at = job->pixels[picture] + y * job->pitch + x;
    const uint64_t centre = (uint64_t)brightness_order(*at) << 3;
    uint64_t least = UINT64_MAX, most = 0; /* of equal ones the first; their numbers stand in the lowest bits */
    for (unsigned i = 0; i < 8; i++) {
        const uint64_t order = (uint64_t)brightness_order(at[DOWN[i] * (ptrdiff_t)job->pitch + ACROSS[i]]) << 3;
        least = (order | i) < least ? order | i : least;
        most = (order | (7 - i)) > most ? order | (7 - i) : most;
    }
    if (least >= centre || most < centre + 8) return false;
    const unsigned brightest = 7 - (most & 7), darkest = least & 7;
    return flat_at(job, known, x + (uint32_t)ACROSS[brightest], y + (uint32_t)DOWN[brightest]) ||
           flat_at(job, known, x + (uint32_t)ACROSS[darkest], y + (uint32_t)DOWN[darkest]);
}

/* Whether a pixel looks anti-aliased in one of the pictures. */
static bool looks_smoothed(const Perceptual *job, int picture, uint32_t x, uint32_t y, const Flats *known) {
    if (known ? known->own[picture][y % 3][x + 1] : is_flat(job, picture, x, y)) return false;
    if (job->opaque && !is_edge(job, x, y)) return looks_smoothed_inside(job, picture, x, y, known);
    const uint32_t *pixels = job->pixels[picture];
    const uint64_t index = (uint64_t)y * job->width + x;
    const uint32_t pixel = pixels[y * job->pitch + x];
    int equal = is_edge(job, x, y);
    double least = 0, most = 0; /* the differences to the brightest and to the darkest neighbour */
    uint32_t places[2][2] = {{x, y}, {x, y}};
    const uint32_t order = brightness_order(pixel);
    for (int across = -1; across <= 1; across++)
        for (int down = -1; down <= 1; down++) {
            const int64_t column = (int64_t)x + across, row = (int64_t)y + down;
            if ((!across && !down) || column < 0 || row < 0 || column >= job->width || row >= job->height) continue;
            const uint32_t neighbour = pixels[(size_t)row * job->pitch + (size_t)column];
            double more = job->opaque ? (double)((int64_t)order - (int64_t)brightness_order(neighbour))
                                      : brighter(job, pixel, neighbour, index);
            if (more == 0)
                equal++;
            else if (more < least) {
                least = more;
                places[0][0] = (uint32_t)column, places[0][1] = (uint32_t)row;
            } else if (more > most) {
                most = more;
                places[1][0] = (uint32_t)column, places[1][1] = (uint32_t)row;
            }
        }
    if (equal > MOST_EQUAL || least == 0 || most == 0) return false;
    return flat_at(job, known, places[0][0], places[0][1]) || flat_at(job, known, places[1][0], places[1][1]);
}

static void look_at_row(const Perceptual *job, Flats *flats, uint32_t y) {
    if (flats->row[y % 3] == (int64_t)y) return;
    flats->row[y % 3] = y;
    uint8_t *both = flats->both[y % 3] + 1;
    const uint32_t width = job->width;
    const bool inside = y && y + 1 < job->height;
    for (int picture = 0; picture < 2; picture++) {
        uint8_t *own = flats->own[picture][y % 3] + 1;
        if (inside) FASTEST(find_flat)(job->pixels[picture] + y * job->pitch, job->pitch, width, own);
        for (uint32_t x = 0; x < width; x += inside && width > 1 ? width - 1 : 1) own[x] = is_flat(job, picture, x, y);
    }
    const uint8_t *first = flats->own[0][y % 3] + 1, *second = flats->own[1][y % 3] + 1;
    for (uint32_t x = 0; x < width; x++) both[x] = first[x] & second[x];
}

/* Look at the rows about one; afterwards flats->near[x] tells whether a pixel of column x has a flat one about it. */
static void look_about(const Perceptual *job, Flats *flats, uint32_t y) {
    const uint32_t top = y ? y - 1 : 0, bottom = y + 1 < job->height ? y + 1 : y;
    for (uint32_t row = top; row <= bottom; row++) look_at_row(job, flats, row);
    const uint8_t *above = flats->both[top % 3], *row = flats->both[y % 3], *below = flats->both[bottom % 3];
    for (uint32_t x = 0; x < job->width + 2; x++) flats->scratch[x] = above[x] | row[x] | below[x];
    for (uint32_t x = 0; x < job->width; x++) flats->near[x] = flats->scratch[x] | flats->scratch[x + 1] | flats->scratch[x + 2];
}

enum { SCRATCH_ROWS = 12 };

static size_t padded_width(const Perceptual *job) { return ((size_t)job->width + 2 + 63) & ~(size_t)63; }

bool perceptual_open(Perceptual *job) {
    job->counted = job->antialiased = 0;
    job->scratch = core_allocate(padded_width(job) * (sizeof(uint32_t) + SCRATCH_ROWS));
    return job->scratch != NULL;
}

void perceptual_close(Perceptual *job) {
    core_free(job->scratch);
    job->scratch = NULL;
}

void perceptual_judge(Perceptual *job) {
    enum { DENSE = 8 }; /* where one pixel of so many differs, it pays to look at whole rows */
    const size_t width = job->width, padded = padded_width(job);
    uint32_t *places = (uint32_t *)job->scratch;
    uint8_t *levels = job->scratch + padded * sizeof(uint32_t);
    Flats flats = {.row = {-1, -1, -1}};
    for (int i = 0; i < 3; i++) {
        flats.both[i] = levels + padded * (size_t)(i + 1);
        flats.own[0][i] = levels + padded * (size_t)(i + 4);
        flats.own[1][i] = levels + padded * (size_t)(i + 7);
    }
    flats.near = levels + 10 * padded;
    flats.scratch = levels + 11 * padded;
    memset(flats.both[0], 0, 3 * padded);
    const uint8_t harmless = harmless_step(job);
    for (uint32_t y = job->first; y < job->last; y++) {
        const size_t start = (size_t)y * width, row = y * job->pitch;
        size_t found = FASTEST(find_unlike)(job->pixels[0] + row, job->pixels[1] + row, width, harmless, places);
        size_t kept = 0;
        for (size_t group = 0; group < found; group += GROUP) {
            const size_t count = found - group < GROUP ? found - group : GROUP;
            uint8_t group_levels[GROUP];
            bool differs[GROUP];
            measure(job, y, places + group, count, group_levels, differs);
            for (size_t i = 0; i < count; i++) {
                places[kept] = places[group + i];
                levels[kept] = group_levels[i];
                kept += differs[i];
            }
        }
        if (!kept) continue;
        if (job->ignore_antialiasing) {
            const bool dense = kept * DENSE >= width;
            if (dense) look_about(job, &flats, y);
            size_t left = 0;
            for (size_t i = 0; i < kept; i++) {
                const uint32_t x = places[i];
                const bool smoothed = (!dense || flats.near[x]) && (looks_smoothed(job, 0, x, y, dense ? &flats : NULL) ||
                                                                     looks_smoothed(job, 1, x, y, dense ? &flats : NULL));
                places[left] = x;
                levels[left] = levels[i];
                left += !smoothed;
            }
            job->antialiased += kept - left;
            kept = left;
        }
        job->counted += kept;
        if (job->heat)
            for (size_t i = 0; i < kept; i++) job->heat[start + places[i]] = levels[i];
    }
}

/* ------------------------------------------------------------------ the other metrics */
uint64_t beyond_tolerance(const uint32_t *one, const uint32_t *two, size_t count, unsigned limit, uint8_t *heat) {
    return FASTEST(beyond)(one, two, count, limit, heat);
}

Sums sums_of_differences(const uint32_t *one, const uint32_t *two, size_t count) { return FASTEST(sums)(one, two, count); }

size_t count_unequal(const uint32_t *one, const uint32_t *two, size_t count) { return FASTEST(unequal)(one, two, count); }

bool pixels_are_opaque(const uint32_t *pixels, size_t count) {
    enum { BLOCK = 256 };
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t end = count - start < BLOCK ? count : start + BLOCK;
        uint32_t all = UINT32_MAX;
        for (size_t i = start; i < end; i++) all &= pixels[i];
        if (all >> 24 != 255) return false;
    }
    return true;
}

int64_t most_in_window(const uint8_t *heat, uint32_t width, uint32_t height, uint32_t side) {
    side = side < width ? side : width;
    side = side < height ? side : height;
    uint32_t *columns = core_allocate((size_t)width * sizeof *columns); /* how many of the last `side` rows */
    if (!columns) return -1;
    memset(columns, 0, (size_t)width * sizeof *columns);
    int64_t most = 0;
    for (uint32_t y = 0; y < height; y++) {
        const uint8_t *enters = heat + (size_t)y * width, *leaves = y >= side ? enters - (size_t)side * width : NULL;
        for (uint32_t x = 0; x < width; x++) columns[x] += (uint32_t)(enters[x] != 0) - (leaves ? leaves[x] != 0 : 0);
        if (y + 1 < side) continue;
        int64_t inside = 0;
        for (uint32_t x = 0; x < width; x++) {
            inside += columns[x];
            if (x >= side) inside -= columns[x - side];
            most = inside > most ? inside : most;
        }
    }
    core_free(columns);
    return most;
}

/* ------------------------------------------------------------------ regions: regions.py */
enum { MOST_REGIONS = 4096 };

static bool are_near(const RegionBox *a, const RegionBox *b, int64_t distance) {
    return a->right + distance >= b->left && b->right + distance >= a->left && a->bottom + distance >= b->top &&
           b->bottom + distance >= a->top;
}

static void unite(RegionBox *box, const RegionBox *other) {
    box->left = other->left < box->left ? other->left : box->left;
    box->top = other->top < box->top ? other->top : box->top;
    box->right = other->right > box->right ? other->right : box->right;
    box->bottom = other->bottom > box->bottom ? other->bottom : box->bottom;
    box->area += other->area;
    box->peak = other->peak > box->peak ? other->peak : box->peak;
}

/* What a square of at most 4x4 pixels holds: which of them have a heat (bit 4 * y + x), and the largest. */
typedef struct {
    uint16_t pixels;
    uint8_t peak;
} Square;

static RegionBox box_of_square(const Square *square, uint32_t left, uint32_t top) {
    const uint32_t pixels = square->pixels, columns = (pixels | pixels >> 4 | pixels >> 8 | pixels >> 12) & 15;
    return (RegionBox){
        .left = (int32_t)left + __builtin_ctz(columns),
        .top = (int32_t)top + __builtin_ctz(pixels) / 4,
        .right = (int32_t)left + 32 - __builtin_clz(columns),
        .bottom = (int32_t)top + (31 - __builtin_clz(pixels)) / 4 + 1,
        .area = (uint64_t)__builtin_popcount(pixels),
        .peak = square->peak,
    };
}

/* Add a row of pixels, the one of number `down` in its squares. False: none has a heat. */
static bool add_to_squares(Square *squares, const uint8_t *heat, uint32_t width, uint32_t side, uint32_t down) {
    const uint32_t shift = side == 4 ? 2 : side == 2 ? 1 : 0;
    bool any = false;
    for (uint32_t x = 0; x < width; x += 8) {
        const uint32_t end = width - x < 8 ? width : x + 8;
        if (end - x == 8 && !load64(heat + x)) continue;
        for (uint32_t i = x; i < end; i++) {
            const uint8_t level = heat[i];
            Square *square = &squares[i >> shift];
            square->pixels |= (uint16_t)((level != 0) << (4 * down + (i & (side - 1))));
            square->peak = level > square->peak ? level : square->peak;
        }
        any = true;
    }
    return any;
}

/* A run of squares in a row of squares that hold pixels; `set` is the index of what it belongs to. */
typedef struct {
    uint32_t first, last, set;
} Run;

static uint32_t root_of_set(uint32_t *parents, uint32_t set) {
    while (parents[set] != set) set = parents[set] = parents[parents[set]];
    return set;
}

/* Pixels of two squares that touch have at most 2 * side - 2 pixels between them: they belong together in any case. */
int64_t find_regions(const uint8_t *heat, uint32_t width, uint32_t height, uint32_t distance, RegionBox **found) {
    const uint32_t side = distance >= 6 ? 4 : distance >= 2 ? 2 : 1, across = (width + side - 1) / side;
    size_t room = 1024, sets = 0, above_count = 0;
    Square *squares = core_allocate((across + 1) * sizeof *squares); /* of a row; the last one ends a run */
    Run *above = core_allocate((size_t)(across / 2 + 1) * sizeof *above);
    Run *now = core_allocate((size_t)(across / 2 + 1) * sizeof *now);
    uint32_t *parents = core_allocate(room * sizeof *parents);
    RegionBox *boxes = core_allocate(room * sizeof *boxes);
    bool fits = squares && above && now && parents && boxes;
    if (fits) memset(squares, 0, (across + 1) * sizeof *squares);
    for (uint32_t top = 0; fits && top < height; top += side) {
        const uint32_t bottom = height - top < side ? height : top + side;
        size_t count = 0, at = 0;
        bool any = false;
        for (uint32_t y = top; y < bottom; y++) any |= add_to_squares(squares, heat + (size_t)y * width, width, side, y - top);
        for (uint32_t x = 0; any && x < across; x++) {
            if (!squares[x].pixels) continue;
            const uint32_t first = x;
            RegionBox box = box_of_square(&squares[x], x * side, top);
            while (squares[++x].pixels) {
                const RegionBox more = box_of_square(&squares[x], x * side, top);
                unite(&box, &more);
            }
            if (sets == room) {
                uint32_t *more_parents = core_allocate(2 * room * sizeof *parents);
                RegionBox *more_boxes = core_allocate(2 * room * sizeof *boxes);
                if (!more_parents || !more_boxes) {
                    core_free(more_parents);
                    core_free(more_boxes);
                    fits = false;
                    break;
                }
                memcpy(more_parents, parents, room * sizeof *parents);
                memcpy(more_boxes, boxes, room * sizeof *boxes);
                core_free(parents);
                core_free(boxes);
                parents = more_parents;
                boxes = more_boxes;
                room *= 2;
            }
            const uint32_t set = (uint32_t)sets++;
            parents[set] = set;
            boxes[set] = box;
            now[count++] = (Run){first, x - 1, set};
            while (at < above_count && above[at].last + 1 < first) at++;
            for (size_t i = at; i < above_count && above[i].first <= x; i++) {
                const uint32_t one = root_of_set(parents, above[i].set), other = root_of_set(parents, set);
                if (one == other) continue;
                const uint32_t kept = one < other ? one : other, gone = one < other ? other : one;
                parents[gone] = kept;
                unite(&boxes[kept], &boxes[gone]);
            }
        }
        if (any) memset(squares, 0, (across + 1) * sizeof *squares);
        Run *swapped = above;
        above = now;
        now = swapped;
        above_count = count;
    }
    size_t joined = 0;
    for (uint32_t set = 0; fits && set < sets; set++) {
        if (parents[set] != set) continue;
        RegionBox box = boxes[set];
        for (size_t i = joined; i-- > 0;)
            if (are_near(&boxes[i], &box, distance)) { /* what it has become may be near to others */
                unite(&box, &boxes[i]);
                boxes[i] = boxes[--joined];
                i = joined;
            }
        if (joined == MOST_REGIONS)
            fits = false;
        else
            boxes[joined++] = box;
    }
    core_free(squares);
    core_free(above);
    core_free(now);
    core_free(parents);
    if (fits) {
        *found = boxes;
        return (int64_t)joined;
    }
    core_free(boxes);
    return -1;
}
