/* The kernels of visible.c, which includes this file for each kind of machine: TARGET, NAMED.

   Every lane does what the reference does, in its order: so the bits are the same on every machine. */
#define KERNEL TARGET static __attribute__((noinline)) void

/* Eight samples a loop are what the compiler makes of these; rows never overlap what is written. */
#define EACH(count) for (size_t i = 0; i < (count); i++)

/* One row of RGB or RGBA in the space of contrasts. */
KERNEL NAMED(space_row)(const uint8_t *from, size_t count, size_t channels, int depth, float *restrict x, float *restrict y,
                        float *restrict z) {
    if (depth == 1 && channels == 4) {
        const float scale = (float)(1.0 / 255);
        EACH(count) {
            uint32_t pixel;
            memcpy(&pixel, from + 4 * i, 4);
            const float red = (float)(int32_t)(pixel & 255) * scale, green = (float)(int32_t)(pixel >> 8 & 255) * scale,
                        blue = (float)(int32_t)(pixel >> 16 & 255) * scale;
            x[i] = red * SPACE[0][0] + green * SPACE[0][1] + blue * SPACE[0][2];
            y[i] = red * SPACE[1][0] + green * SPACE[1][1] + blue * SPACE[1][2];
            z[i] = red * SPACE[2][0] + green * SPACE[2][1] + blue * SPACE[2][2];
        }
        return;
    }
    EACH(count) {
        const uint8_t *pixel = from + i * channels * (size_t)depth;
        const float red = sample(pixel, depth), green = sample(pixel + depth, depth), blue = sample(pixel + 2 * depth, depth);
        x[i] = red * SPACE[0][0] + green * SPACE[0][1] + blue * SPACE[0][2];
        y[i] = red * SPACE[1][0] + green * SPACE[1][1] + blue * SPACE[1][2];
        z[i] = red * SPACE[2][0] + green * SPACE[2][1] + blue * SPACE[2][2];
    }
}

KERNEL NAMED(halfway_row)(const float *restrict one, const float *restrict two, size_t count, float *restrict to) {
    EACH(count) to[i] = (one[i] + two[i]) * 0.5f;
}

/* How far the vectors of two rows are apart. */
KERNEL NAMED(apart_row)(const Vectors one, const Vectors two, size_t count, float *restrict to) {
    const float *a = one.x, *b = one.y, *c = one.z, *d = two.x, *e = two.y, *f = two.z;
    EACH(count) {
        const float x = a[i] - d[i], y = b[i] - e[i], z = c[i] - f[i];
        to[i] = __builtin_sqrtf(x * x + y * y + z * z);
    }
}

KERNEL NAMED(length_row)(const Vectors one, size_t count, float *restrict to) {
    const float *x = one.x, *y = one.y, *z = one.z;
    EACH(count) to[i] = __builtin_sqrtf(x[i] * x[i] + y[i] * y[i] + z[i] * z[i]);
}

KERNEL NAMED(difference_energy_row)(const Vectors one, const Vectors two, size_t count, float *restrict to) {
    const float *a = one.x, *b = one.y, *c = one.z, *d = two.x, *e = two.y, *f = two.z;
    EACH(count) {
        const float x = a[i] - d[i], y = b[i] - e[i], z = c[i] - f[i];
        to[i] = x * x + y * y + z * z;
    }
}

KERNEL NAMED(product_row)(const Vectors one, const Vectors two, size_t count, float *restrict to) {
    const float *a = one.x, *b = one.y, *c = one.z, *d = two.x, *e = two.y, *f = two.z;
    EACH(count) to[i] = a[i] * d[i] + b[i] * e[i] + c[i] * f[i];
}

/* Chroma softened along a row: `to[i]` is about `from[i + 3]`. */
KERNEL NAMED(soften_row)(const float *restrict from, size_t count, float *restrict to) {
    EACH(count) {
        float total = from[i + 3] * CHROMA[0];
        total = total + (from[i + 2] + from[i + 4]) * CHROMA[1];
        total = total + (from[i + 1] + from[i + 5]) * CHROMA[2];
        to[i] = total + (from[i] + from[i + 6]) * CHROMA[3];
    }
}

/* The local mean: nine rows blurred down and then across. `to` has `count`, `down` and the rows 8 more. */
KERNEL NAMED(mean_row)(const float *const rows[9], size_t count, float *restrict down, float *restrict to) {
    const float *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3], *e = rows[4], *f = rows[5], *g = rows[6], *h = rows[7],
                *k = rows[8];
    EACH(count + 8) {
        float total = e[i] * NEAR[0];
        total = total + (d[i] + f[i]) * NEAR[1];
        total = total + (c[i] + g[i]) * NEAR[2];
        total = total + (b[i] + h[i]) * NEAR[3];
        down[i] = total + (a[i] + k[i]) * NEAR[4];
    }
    EACH(count) {
        float total = down[i + 4] * NEAR[0];
        total = total + (down[i + 3] + down[i + 5]) * NEAR[1];
        total = total + (down[i + 2] + down[i + 6]) * NEAR[2];
        total = total + (down[i + 1] + down[i + 7]) * NEAR[3];
        to[i] = total + (down[i] + down[i + 8]) * NEAR[4];
    }
}

/* The low pass of colour: seventeen rows, `stride` apart, likewise. */
KERNEL NAMED(low_row)(const float *restrict rows, size_t stride, size_t count, float *restrict down, float *restrict to) {
    EACH(count + 16) {
        float total = rows[8 * stride + i] * LOW[0];
        for (size_t step = 1; step <= 8; step++)
            total = total + (rows[(8 - step) * stride + i] + rows[(8 + step) * stride + i]) * LOW[step];
        down[i] = total;
    }
    EACH(count) {
        float total = down[i + 8] * LOW[0];
        for (size_t step = 1; step <= 8; step++) total = total + (down[i + 8 - step] + down[i + 8 + step]) * LOW[step];
        to[i] = total;
    }
}

/* Means of 2x2 of two rows. `sums` has room for twice as many. */
KERNEL NAMED(halved_row)(const float *restrict above, const float *restrict below, size_t count, float *restrict sums,
                         float *restrict to) {
    EACH(2 * count) sums[i] = above[i] + below[i];
    EACH(count) to[i] = (sums[2 * i] + sums[2 * i + 1]) * 0.25f;
}

/* The same of the difference of two pictures. */
KERNEL NAMED(halved_difference_row)(const float *restrict one, const float *restrict two, size_t stride, size_t count,
                                    float *restrict sums, float *restrict to) {
    EACH(2 * count) sums[i] = (one[i] - two[i]) + (one[stride + i] - two[stride + i]);
    EACH(count) to[i] = (sums[2 * i] + sums[2 * i + 1]) * 0.25f;
}

KERNEL NAMED(variance_row)(const float *restrict energy, const Vectors mean, size_t count, float *restrict to) {
    const float *x = mean.x, *y = mean.y, *z = mean.z;
    EACH(count) {
        const float variance = energy[i] - (x[i] * x[i] + y[i] * y[i] + z[i] * z[i]);
        to[i] = variance > 0.0f ? variance : 0.0f;
    }
}

/* The share of energy that is not explained where pictures are, of what is seen. */
KERNEL NAMED(share_row)(const float *restrict energy, const float *restrict one, const float *restrict two,
                        const float *restrict apart, size_t count, float *restrict to) {
    EACH(count) {
        float share = energy[i] / (one[i] + two[i] + NOISE);
        share = share < 1.0f ? share : 1.0f;
        to[i] = apart[i] > SEEN ? share : 0.0f;
    }
}

/* Energy and variance half a pixel to the right. */
KERNEL NAMED(right_rows)(const float *restrict still, const float *restrict right, const Vectors mean, size_t count,
                         float *restrict energy, float *restrict variance) {
    const float *x = mean.x, *y = mean.y, *z = mean.z;
    EACH(count) {
        const float whole = (still[i + 1] + still[i]) * 0.25f + right[i] * 0.5f, u = (x[i + 1] + x[i]) * 0.5f,
                    v = (y[i + 1] + y[i]) * 0.5f, w = (z[i + 1] + z[i]) * 0.5f, rest = whole - (u * u + v * v + w * w);
        energy[i] = whole;
        variance[i] = rest > 0.0f ? rest : 0.0f;
    }
}

/* The same half a pixel down, of two rows. */
KERNEL NAMED(down_rows)(const float *restrict above, const float *restrict below, const float *restrict down,
                        const Vectors one, const Vectors two, size_t count, float *restrict energy, float *restrict variance) {
    const float *a = one.x, *b = one.y, *c = one.z, *d = two.x, *e = two.y, *f = two.z;
    EACH(count) {
        const float whole = (below[i] + above[i]) * 0.25f + down[i] * 0.5f, u = (d[i] + a[i]) * 0.5f,
                    v = (e[i] + b[i]) * 0.5f, w = (f[i] + c[i]) * 0.5f, rest = whole - (u * u + v * v + w * w);
        energy[i] = whole;
        variance[i] = rest > 0.0f ? rest : 0.0f;
    }
}

/* The same half a pixel to the right and down. above, below: the moments of both rows. */
KERNEL NAMED(corner_rows)(const float *const above[MOMENTS], const float *const below[MOMENTS], size_t count,
                          float *restrict energy, float *restrict variance) {
    const float *s = above[STILL], *t = below[STILL], *r = above[RIGHT], *q = below[RIGHT], *d = above[DOWN],
                *diagonal = above[DIAGONAL], *other = below[OTHER];
    const float *a = above[MEAN], *b = above[MEAN + 1], *c = above[MEAN + 2], *e = below[MEAN], *f = below[MEAN + 1],
                *g = below[MEAN + 2];
    EACH(count) {
        const float sides = (q[i] + r[i]) + (d[i + 1] + d[i]), corners = diagonal[i] + other[i];
        const float whole = ((t[i + 1] + t[i]) + (s[i + 1] + s[i])) * 0.0625f + (sides + corners) * 0.125f;
        const float u = ((e[i + 1] + e[i]) * 0.5f + (a[i + 1] + a[i]) * 0.5f) * 0.5f,
                    v = ((f[i + 1] + f[i]) * 0.5f + (b[i + 1] + b[i]) * 0.5f) * 0.5f,
                    w = ((g[i + 1] + g[i]) * 0.5f + (c[i + 1] + c[i]) * 0.5f) * 0.5f;
        const float rest = whole - (u * u + v * v + w * w);
        energy[i] = whole;
        variance[i] = rest > 0.0f ? rest : 0.0f;
    }
}

KERNEL NAMED(sum_row)(const float *one, const float *two, size_t count, float *restrict to) {
    EACH(count) to[i] = one[i] + two[i];
}

KERNEL NAMED(with_noise_row)(const float *restrict variance, size_t count, float *restrict to) {
    EACH(count) to[i] = variance[i] + NOISE;
}

/* The least share so far, and that for three shifts: `shares` are their energies, variances and products. */
KERNEL NAMED(least_row)(const Shift *shift, const float *restrict energy, const float *restrict variance, size_t count,
                        float *restrict best) {
    const float *moved = shift->energy, *spread = shift->variance, *product = shift->product, part = shift->part;
    EACH(count) {
        const float share = ((moved[i] + energy[i]) - product[i] * part) / (spread[i] + variance[i]);
        best[i] = share < best[i] ? share : best[i];
    }
}

KERNEL NAMED(lower_row)(const float *restrict best, size_t count, float *restrict to) {
    EACH(count) {
        const float least = best[i] > 0.0f ? best[i] : 0.0f;
        to[i] = least < to[i] ? least : to[i];
    }
}

/* Whether any pixel of a row is more than explained without shifts. */
TARGET static __attribute__((noinline)) bool NAMED(is_asked)(const float *restrict share, const float *restrict apart, size_t count) {
    int asked = 0;
    EACH(count) {
        const int one = (share[i] > 0.1f) & (apart[i] > 0.08f), two = (share[i] > 0.15f) & (apart[i] > 0.025f),
                  three = (share[i] > 0.35f) & (apart[i] > SEEN);
        asked |= one | two | three;
    }
    return asked;
}

KERNEL NAMED(largest)(const float *restrict values, size_t count, float *largest) {
    enum { LANES = 16 };
    float lanes[LANES] = {0}, found = *largest;
    const size_t whole = count / LANES * LANES;
    for (size_t begin = 0; begin < whole; begin += LANES)
        EACH(LANES) lanes[i] = values[begin + i] > lanes[i] ? values[begin + i] : lanes[i];
    for (size_t i = whole; i < count; i++) found = values[i] > found ? values[i] : found;
    EACH(LANES) found = lanes[i] > found ? lanes[i] : found;
    *largest = found;
}

/* A row shifted by a part of a pixel: the rest of it stays. */
KERNEL NAMED(mixed_row)(const float *restrict here, const float *restrict far, float share, size_t count, float *restrict to) {
    const float rest = 1.0f - share;
    EACH(count) to[i] = here[i] * rest + far[i] * share;
}

KERNEL NAMED(least_energy_row)(const Vectors one, const Vectors two, size_t count, float *restrict least) {
    const float *a = one.x, *b = one.y, *c = one.z, *d = two.x, *e = two.y, *f = two.z;
    EACH(count) {
        const float x = a[i] - d[i], y = b[i] - e[i], z = c[i] - f[i], energy = x * x + y * y + z * z;
        least[i] = energy < least[i] ? energy : least[i];
    }
}

KERNEL NAMED(least_length_row)(const float *restrict energy, size_t count, float *restrict found) {
    EACH(count) {
        const float length = __builtin_sqrtf(energy[i]);
        found[i] = length < found[i] ? length : found[i];
    }
}

/* Which pixels only fade, of those that are seen: 1 or 0; and the texture of both pictures. */
KERNEL NAMED(fades_row)(const float *const means[9], const float *restrict apart, size_t count, float *restrict fades,
                        float *restrict seen, float *restrict texture) {
    const float *p = means[0], *q = means[1], *r = means[2], *a = means[3], *b = means[4], *c = means[5], *d = means[6],
                *e = means[7], *f = means[8];
    EACH(count) {
        const float u = a[i] - d[i], v = b[i] - e[i], w = c[i] - f[i];
        const float x = (a[i] + d[i]) * 0.5f, y = (b[i] + e[i]) * 0.5f, z = (c[i] + f[i]) * 0.5f;
        const float shared = (p[i] - q[i]) * 0.5f - (u * x + v * y + w * z);
        const float signal = (p[i] + q[i]) * 0.5f - r[i] * 0.25f;
        float change = r[i] - (u * u + v * v + w * w), level = signal - (x * x + y * y + z * z);
        change = change > 0.0f ? change : 0.0f;
        level = level > 0.0f ? level : 0.0f;
        float one = p[i] - (a[i] * a[i] + b[i] * b[i] + c[i] * c[i]), two = q[i] - (d[i] * d[i] + e[i] * e[i] + f[i] * f[i]);
        one = one > 0.0f ? one : 0.0f;
        two = two > 0.0f ? two : 0.0f;
        texture[i] = one + two;
        const float differs = apart[i] > SEEN ? 1.0f : 0.0f;
        seen[i] = differs;
        fades[i] = shared * shared > FADE * change * level ? differs : 0.0f;
    }
}

/* Sums of 2x2 of two rows of small whole numbers. */
KERNEL NAMED(fours_row)(const float *restrict above, const float *restrict below, size_t count, float *restrict sums,
                        uint8_t *restrict to) {
    EACH(2 * count) sums[i] = above[i] + below[i];
    EACH(count) to[i] = (uint8_t)(sums[2 * i] + sums[2 * i + 1]);
}

/* Sums of 13x13 bytes; `down` has room for 12 more. */
KERNEL NAMED(near_row)(const uint8_t *restrict rows, size_t stride, size_t count, uint16_t *restrict down,
                       uint16_t *restrict to) {
    EACH(count + EDGES_NEAR - 1) {
        uint16_t sum = 0;
        for (size_t row = 0; row < EDGES_NEAR; row++) sum = (uint16_t)(sum + rows[row * stride + i]);
        down[i] = sum;
    }
    EACH(count) {
        uint16_t sum = 0;
        for (size_t column = 0; column < EDGES_NEAR; column++) sum = (uint16_t)(sum + down[i + column]);
        to[i] = sum;
    }
}

#define VECTORS(planes, at) ((Vectors){(planes)[0] + (at), (planes)[1] + (at), (planes)[2] + (at)})

/* Fill the planes of both pictures. Beyond the picture goes on the mean of what both have at its edge. */
KERNEL NAMED(fill)(const Block *block, Work *work) {
    const size_t above = block->top < MARGIN ? MARGIN - block->top : 0, before = block->left < MARGIN ? MARGIN - block->left : 0;
    const size_t first_row = block->top - (MARGIN - above), first_column = block->left - (MARGIN - before);
    const size_t bottom = block->bottom + MARGIN < block->height ? block->bottom + MARGIN : block->height;
    const size_t right = block->right + MARGIN < block->width ? block->right + MARGIN : block->width;
    const size_t rows = bottom - first_row, columns = right - first_column, stride = work->stride;
    const size_t pixel = block->channels * (size_t)block->depth;
    for (size_t row = 0; row < rows; row++) {
        const size_t from = ((first_row + row) * block->width + first_column) * pixel, to = (above + row) * stride + before;
        for (int side = 0; side < 2; side++) {
            float *const *planes = work->sides[side];
            NAMED(space_row)(block->pixels[side] + from, columns, block->channels, block->depth, planes[0] + to, planes[1] + to,
                             planes[2] + to);
        }
    }
    if (rows == work->rows && columns == work->columns) return;
    for (int channel = 0; channel < 3; channel++) {
        float *one = work->sides[0][channel], *two = work->sides[1][channel];
        for (size_t row = above; row < above + rows; row++) {
            float *a = one + row * stride, *b = two + row * stride;
            const float left = (a[before] + b[before]) * 0.5f;
            const float last = (a[before + columns - 1] + b[before + columns - 1]) * 0.5f;
            for (size_t i = 0; i < before; i++) a[i] = b[i] = left;
            for (size_t i = before + columns; i < work->columns; i++) a[i] = b[i] = last;
        }
        /* The mean of what already is a mean is the same. */
        for (int end = 0; end < 2; end++) {
            const size_t edge = end ? above + rows - 1 : above, begin = end ? above + rows : 0, stop = end ? work->rows : above;
            if (begin == stop) continue;
            NAMED(halfway_row)(one + edge * stride, two + edge * stride, work->columns, one + begin * stride);
            for (size_t row = begin; row < stop; row++) {
                if (row > begin) memcpy(one + row * stride, one + begin * stride, work->columns * sizeof *one);
                memcpy(two + row * stride, one + begin * stride, work->columns * sizeof *two);
            }
        }
    }
}

/* Soften chroma: `soft` begins TILE_MARGIN pixels before what is asked for. */
KERNEL NAMED(soften)(const Block *block, Work *work) {
    const size_t rows = block->bottom - block->top + 2 * TILE_MARGIN, columns = block->right - block->left + 2 * TILE_MARGIN;
    const size_t begin = (MARGIN - TILE_MARGIN) * work->stride + MARGIN - TILE_MARGIN;
    for (int side = 0; side < 2; side++) {
        work->soft[side][0] = work->sides[side][0] + begin;
        for (int channel = 1; channel < 3; channel++)
            for (size_t row = 0; row < rows; row++)
                NAMED(soften_row)(work->sides[side][channel] + begin + row * work->stride - CHROMA_REACH, columns,
                                  work->soft[side][channel] + row * work->stride);
    }
}

/* What is unexplained where both pictures are, and which tiles have to be explained by shifts. */
KERNEL NAMED(in_place)(const Block *block, Work *work, const Found *found) {
    const size_t rows = block->bottom - block->top, columns = block->right - block->left, stride = work->stride;
    const size_t begin = TILE_MARGIN - REACH, wide = columns + 2 * REACH;
    float *ring[3][9], *down = take(work, wide), *means[9], *variances[2];
    for (int plane = 0; plane < 3; plane++)
        for (int slot = 0; slot < 9; slot++) ring[plane][slot] = take(work, wide);
    for (int plane = 0; plane < 9; plane++) means[plane] = take(work, columns);
    for (int side = 0; side < 2; side++) variances[side] = take(work, columns);
    for (size_t row = 0; row < rows + 2 * REACH; row++) {
        const size_t at = (begin + row) * stride + begin;
        const Vectors one = VECTORS(work->soft[0], at), two = VECTORS(work->soft[1], at);
        NAMED(product_row)(one, one, wide, ring[0][row % 9]);
        NAMED(product_row)(two, two, wide, ring[1][row % 9]);
        NAMED(difference_energy_row)(one, two, wide, ring[2][row % 9]);
        if (row < 2 * REACH) continue;
        const size_t to = row - 2 * REACH;
        const float *apart = work->apart + (MARGIN + to) * stride + MARGIN;
        float *share = found->unexplained + to * columns;
        float most = 0;
        NAMED(largest)(apart, columns, &most);
        if (!(most > SEEN)) {
            memset(share, 0, columns * sizeof *share);
            continue;
        }
        const float *from[9];
        for (int plane = 0; plane < 9; plane++) {
            for (size_t slot = 0; slot < 9; slot++)
                from[slot] = plane < 3 ? ring[plane][(to + slot) % 9]
                                       : work->soft[plane > 5][plane % 3] + (begin + to + slot) * stride + begin;
            NAMED(mean_row)(from, columns, down, means[plane]);
        }
        for (int side = 0; side < 2; side++)
            NAMED(variance_row)(means[side], (Vectors){means[3 + 3 * side], means[4 + 3 * side], means[5 + 3 * side]}, columns,
                                variances[side]);
        NAMED(share_row)(means[2], variances[0], variances[1], apart, columns, share);
        for (size_t tile = 0; tile * TILE < columns; tile++) {
            const size_t left = tile * TILE, count = columns - left < TILE ? columns - left : TILE;
            uint8_t *asked = &work->asked[to / TILE * work->tiles + tile];
            *asked = *asked || NAMED(is_asked)(share + left, apart + left, count);
        }
    }
}

/* The products of one row of a tile: five of each picture with itself, nine of both. */
KERNEL NAMED(tile_products)(Work *work, size_t at, size_t count, float *const products[PRODUCTS]) {
    static const int AUTO[5][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}, {1, -1}};
    const ptrdiff_t stride = (ptrdiff_t)work->stride;
    for (int side = 0; side < 2; side++) {
        const Vectors here = VECTORS(work->soft[side], at);
        for (int i = 0; i < 5; i++) {
            const ptrdiff_t there = (ptrdiff_t)at + AUTO[i][1] * stride + AUTO[i][0];
            NAMED(product_row)(VECTORS(work->soft[side], there), here, count, products[5 * side + i]);
        }
    }
    const Vectors still = VECTORS(work->soft[1], at);
    for (int y = -1; y <= 1; y++)
        for (int x = -1; x <= 1; x++) {
            const ptrdiff_t there = (ptrdiff_t)at + y * stride + x;
            NAMED(product_row)(VECTORS(work->soft[0], there), still, count, products[CROSS + 3 * (y + 1) + x + 1]);
        }
}

/* The least share under all shifts, of one row. `at`: the number of its row of means; there is one row on either side. */
KERNEL NAMED(least_by_shifts_row)(const Tile *tile, size_t at, size_t count, float *const sums[9], float *noisy,
                                  float *restrict best) {
    for (size_t i = 0; i < count; i++) best[i] = 1.0f;
    for (int side = 0; side < 2; side++) {
        const float *energy = tile->energy[!side][0][at % 3] + 1;
        const float *whole[3][3];
        NAMED(with_noise_row)(tile->variance[!side][0][at % 3] + 1, count, noisy);
        for (int y = -1; y <= 1; y++)
            for (int x = -1; x <= 1; x++)
                whole[y + 1][x + 1] = side ? tile->means[CROSS_MEANS + 3 * (1 - y) + 1 - x][(at + (size_t)(y + 1) + 2) % 3] + 1 + x
                                           : tile->means[CROSS_MEANS + 3 * (y + 1) + x + 1][at % 3] + 1;
        for (int kind = 0; kind < 4; kind++) {
            const int across = kind & 1, down = kind >> 1;
            for (int y = -1; y <= 1 - down; y++)
                for (int x = -1; x <= 1 - across; x++) {
                    if (side && !kind && !x && !y) continue; /* as if the other picture were not shifted */
                    const float *product = whole[y + 1][x + 1];
                    float *sum = sums[8];
                    if (kind == 1) {
                        sum = sums[2 * (y + 1) + x + 1];
                        NAMED(sum_row)(product, whole[y + 1][x + 2], count, sum);
                    } else if (kind == 2)
                        NAMED(sum_row)(product, whole[y + 2][x + 1], count, sum);
                    else if (kind == 3)
                        NAMED(sum_row)(sums[2 * (y + 1) + x + 1], sums[2 * (y + 2) + x + 1], count, sum);
                    const size_t slot = (at + (size_t)(y + 1) + 2) % 3;
                    const Shift shift = {tile->energy[side][kind][slot] + 1 + x, tile->variance[side][kind][slot] + 1 + x,
                                         kind ? sum : product, kind == 0 ? 2.0f : kind == 3 ? 0.5f : 1.0f};
                    NAMED(least_row)(&shift, energy, noisy, count, best);
                }
        }
    }
}

/* Explain by shifts what is in a rectangle of the block. */
KERNEL NAMED(by_shifts)(const Block *block, Work *work, const Found *found, size_t top, size_t bottom, size_t left, size_t right) {
    const size_t stride = work->stride, columns = right - left, wide = columns + 2 * (REACH + 1), count = columns + 2;
    const size_t block_columns = block->right - block->left, mark = work->taken;
    Tile *tile = &work->tile;
    float *ring[PRODUCTS][9], *down = take(work, wide), *sums[9], *noisy = take(work, columns), *best = take(work, columns);
    for (int plane = 0; plane < PRODUCTS; plane++)
        for (int slot = 0; slot < 9; slot++) ring[plane][slot] = take(work, wide);
    for (int i = 0; i < 9; i++) sums[i] = take(work, columns);
    for (int slot = 0; slot < 3; slot++) {
        for (int plane = 0; plane < MEANS; plane++) tile->means[plane][slot] = take(work, count);
        for (int side = 0; side < 2; side++)
            for (int kind = 0; kind < 4; kind++) {
                tile->energy[side][kind][slot] = take(work, count);
                tile->variance[side][kind][slot] = take(work, count);
            }
    }
    /* Row 0 of the products is that REACH + 1 pixels above the rectangle; row 0 of the means, the one above it. */
    for (size_t row = 0; row < bottom - top + 2 * (REACH + 1); row++) {
        const size_t at = (top + row + 1) * stride + left + 1;
        float *products[PRODUCTS];
        for (int plane = 0; plane < PRODUCTS; plane++) products[plane] = ring[plane][row % 9];
        NAMED(tile_products)(work, at, wide, products);
        if (row < 2 * REACH) continue;
        const size_t mean = row - 2 * REACH, slot = mean % 3, before = (mean + 2) % 3;
        const float *from[9];
        for (int plane = 0; plane < MEANS; plane++) {
            for (size_t i = 0; i < 9; i++)
                from[i] = plane < PRODUCTS ? ring[plane][(mean + i) % 9]
                                           : work->soft[plane >= PRODUCTS + 3][(plane - PRODUCTS) % 3] +
                                                 (top + mean + i + 1) * stride + left + 1;
            NAMED(mean_row)(from, count, down, tile->means[plane][slot]);
        }
        for (int side = 0; side < 2; side++) {
            const float *here[MOMENTS], *above[MOMENTS];
            for (int i = 0; i < MOMENTS; i++) {
                const int plane = i < MEAN ? 5 * side + i : PRODUCTS + 3 * side + i - MEAN;
                here[i] = tile->means[plane][slot];
                above[i] = tile->means[plane][before];
            }
            const Vectors means = {here[MEAN], here[MEAN + 1], here[MEAN + 2]};
            memcpy(tile->energy[side][0][slot], here[STILL], count * sizeof(float));
            NAMED(variance_row)(here[STILL], means, count, tile->variance[side][0][slot]);
            NAMED(right_rows)(here[STILL], here[RIGHT], means, count - 1, tile->energy[side][1][slot],
                              tile->variance[side][1][slot]);
            if (!mean) continue;
            NAMED(down_rows)(above[STILL], here[STILL], above[DOWN], (Vectors){above[MEAN], above[MEAN + 1], above[MEAN + 2]},
                             means, count, tile->energy[side][2][before], tile->variance[side][2][before]);
            NAMED(corner_rows)(above, here, count - 1, tile->energy[side][3][before], tile->variance[side][3][before]);
        }
        if (mean < 2) continue;
        NAMED(least_by_shifts_row)(tile, mean - 1, columns, sums, noisy, best);
        NAMED(lower_row)(best, columns, found->unexplained + (top + mean - 2) * block_columns + left);
    }
    work->taken = mark;
}

/* Explain by shifts the tiles that ask for it; those beside and below one another at once, as far as rows stay in cache. */
KERNEL NAMED(tiles_by_shifts)(const Block *block, Work *work, const Found *found) {
    const size_t rows = block->bottom - block->top, columns = block->right - block->left;
    const size_t tiles = work->tiles, lines = (rows + TILE - 1) / TILE;
    for (size_t line = 0; line < lines; line++)
        for (size_t tile = 0; tile < tiles; tile++) {
            uint8_t *asked = work->asked + line * tiles + tile;
            if (!*asked) continue;
            size_t high = 1, wide = 1;
            while (line + high < lines && asked[high * tiles]) high++;
            if (tile + 1 < tiles) {
                size_t beside = 0;
                while (beside < high && asked[beside * tiles + 1]) beside++;
                wide += beside == high;
            }
            for (size_t i = 0; i < high; i++) memset(asked + i * tiles, 0, wide);
            const size_t bottom = (line + high) * TILE, right = (tile + wide) * TILE;
            NAMED(by_shifts)(block, work, found, line * TILE, bottom < rows ? bottom : rows, tile * TILE,
                             right < columns ? right : columns);
        }
}

/* The low pass of a plane in half the resolution that was made of `halved`, with one pixel around what is asked for. */
KERNEL NAMED(low)(const Halves *halves, const float *halved, float *down, float *to) {
    for (size_t row = 0; row < halves->rows + 2; row++)
        NAMED(low_row)(halved + row * halves->stride, halves->stride, halves->columns + 2, down, to + row * halves->stride);
}

/* The least distance of the low-passed colours under shifts, of a rectangle; `difference` is that of one and two. */
KERNEL NAMED(low_by_shifts)(Work *work, const Halves *halves, float *const one[3], float *const two[3], float *const found,
                            size_t top, size_t bottom, size_t left, size_t right) {
    static const float STEPS[5] = {-1.0f, -0.5f, 0.0f, 0.5f, 1.0f};
    const size_t stride = halves->stride, count = right - left;
    float *across[3][3], *mixed[3], *least = take(work, count);
    for (int channel = 0; channel < 3; channel++) {
        mixed[channel] = take(work, count);
        for (int row = 0; row < 3; row++) across[row][channel] = take(work, count);
    }
    for (size_t row = top; row < bottom; row++) {
        for (size_t i = 0; i < count; i++) least[i] = INFINITY;
        for (int side = 0; side < 2; side++) {
            float *const *moved = side ? two : one, *const *rest = side ? one : two;
            const size_t middle = (row + 1) * stride + left + 1;
            const Vectors still = VECTORS(rest, middle);
            for (int x = 0; x < 5; x++) {
                const size_t far = STEPS[x] > 0 ? middle - 1 : middle + 1;
                for (int line = 0; line < 3; line++)
                    for (int channel = 0; channel < 3; channel++) {
                        const float *from = moved[channel] + line * stride - stride;
                        if (STEPS[x] != 0)
                            NAMED(mixed_row)(from + middle, from + far, (STEPS[x] > 0 ? STEPS[x] : -STEPS[x]) * 0.5f, count,
                                             across[line][channel]);
                        else
                            memcpy(across[line][channel], from + middle, count * sizeof(float));
                    }
                for (int y = 0; y < 5; y++) {
                    if (x == 2 && y == 2) continue;
                    float *const *shifted = across[1];
                    if (y != 2) {
                        const int line = STEPS[y] > 0 ? 0 : 2;
                        for (int channel = 0; channel < 3; channel++)
                            NAMED(mixed_row)(across[1][channel], across[line][channel],
                                             (STEPS[y] > 0 ? STEPS[y] : -STEPS[y]) * 0.5f, count, mixed[channel]);
                        shifted = mixed;
                    }
                    NAMED(least_energy_row)(VECTORS(shifted, 0), still, count, least);
                }
            }
        }
        NAMED(least_length_row)(least, count, found + row * stride + left);
    }
}

/* Where no edge can have moved, in half the resolution: 1, or 0. */
KERNEL NAMED(steady)(const Block *block, Work *work, const Halves *halves, uint8_t *to) {
    const size_t around = MARGIN - EDGES_NEAR, stride = work->stride;
    const size_t rows = block->bottom - block->top + 2 * EDGES_NEAR, columns = block->right - block->left + 2 * EDGES_NEAR;
    const size_t wide = columns + 2 * REACH, begin = around - REACH, side_rows = halves->rows + EDGES_NEAR - 1,
                 side_columns = halves->columns + EDGES_NEAR - 1;
    float *ring[3][9], *down = take(work, wide), *means[9], *fades[2], *seen[2], *texture[2], *halved = take(work, side_columns);
    uint8_t *numbers[3];
    uint16_t *sums[4];
    for (int plane = 0; plane < 3; plane++) {
        for (int slot = 0; slot < 9; slot++) ring[plane][slot] = take(work, wide);
        numbers[plane] = take_bytes(work, side_rows * halves->stride);
    }
    for (int plane = 0; plane < 9; plane++) means[plane] = take(work, columns);
    for (int slot = 0; slot < 2; slot++) {
        texture[slot] = take(work, columns);
        fades[slot] = take(work, columns);
        seen[slot] = take(work, columns);
    }
    for (int i = 0; i < 4; i++) sums[i] = (uint16_t *)(void *)take(work, halves->stride);
    for (size_t row = 0; row < rows + 2 * REACH; row++) {
        const size_t at = (begin + row) * stride + begin;
        const Vectors one = VECTORS(work->sides[0], at), two = VECTORS(work->sides[1], at);
        NAMED(product_row)(one, one, wide, ring[0][row % 9]);
        NAMED(product_row)(two, two, wide, ring[1][row % 9]);
        NAMED(difference_energy_row)(one, two, wide, ring[2][row % 9]);
        if (row < 2 * REACH) continue;
        const size_t mean = row - 2 * REACH, now = mean % 2, last = !now;
        const float *from[9];
        for (int plane = 0; plane < 9; plane++) {
            for (size_t slot = 0; slot < 9; slot++)
                from[slot] = plane < 3 ? ring[plane][(mean + slot) % 9]
                                       : work->sides[plane > 5][plane % 3] + (begin + mean + slot) * stride + begin;
            NAMED(mean_row)(from, columns, down, means[plane]);
        }
        NAMED(fades_row)((const float *const *)means, work->apart + (around + mean) * stride + around, columns, fades[now],
                         seen[now], texture[now]);
        if (!mean || mean % 2 || mean / 2 > side_rows) continue;
        const size_t half = (mean / 2 - 1) * halves->stride;
        NAMED(fours_row)(fades[last] + 1, fades[now] + 1, side_columns, down, numbers[0] + half);
        NAMED(fours_row)(seen[last] + 1, seen[now] + 1, side_columns, down, numbers[1] + half);
        NAMED(halved_row)(texture[last] + 1, texture[now] + 1, side_columns, down, halved);
        for (size_t i = 0; i < side_columns; i++) numbers[2][half + i] = halved[i] >= FLAT;
    }
    for (size_t row = 0; row < halves->rows; row++) {
        for (int plane = 0; plane < 3; plane++)
            NAMED(near_row)(numbers[plane] + row * halves->stride, halves->stride, halves->columns, sums[3], sums[plane]);
        for (size_t i = 0; i < halves->columns; i++)
            to[row * halves->stride + i] =
                (sums[1][i] && (float)sums[0][i] >= FADED * (float)sums[1][i]) || !sums[2][i];
    }
}

/* The coherent low-passed difference relative to the least one that is seen. */
KERNEL NAMED(colour)(const Block *block, Work *work, const Found *found) {
    const size_t height = block->bottom - block->top, width = block->right - block->left, stride = work->stride;
    const Halves halves = {(height + 1) / 2, (width + 1) / 2, work->half_stride};
    const size_t rows = halves.rows + 2 * LOW_REACH + 2, columns = halves.columns + 2 * LOW_REACH + 2;
    const size_t begin = MARGIN - 2 * (LOW_REACH + 1), size = rows * halves.stride;
    float *halved[3], *low[3], *first[3], *whole = take(work, size), *length = take(work, size), *down = take(work, 2 * columns);
    uint8_t *coherent = take_bytes(work, size), *steady = take_bytes(work, size);
    for (int channel = 0; channel < 3; channel++) {
        halved[channel] = take(work, size);
        low[channel] = take(work, size);
        first[channel] = take(work, size);
    }
    for (size_t row = 0; row < rows; row++) {
        const size_t at = (begin + 2 * row) * stride + begin;
        for (int channel = 0; channel < 3; channel++)
            NAMED(halved_difference_row)(work->sides[0][channel] + at, work->sides[1][channel] + at, stride, columns, down,
                                         halved[channel] + row * halves.stride);
        NAMED(halved_row)(work->apart + at, work->apart + at + stride, columns, down, first[0] + row * halves.stride);
    }
    for (int channel = 0; channel < 3; channel++) NAMED(low)(&halves, halved[channel], down, low[channel]);
    NAMED(low)(&halves, first[0], down, whole);
    size_t top = halves.rows, bottom = 0, left = halves.columns, right = 0;
    bool any = false;
    for (size_t row = 0; row < halves.rows; row++) {
        const size_t at = (row + 1) * halves.stride + 1;
        float *lengths = length + row * halves.stride;
        NAMED(length_row)(VECTORS(low, at), halves.columns, lengths);
        for (size_t i = 0; i < halves.columns; i++) {
            const bool is_coherent = lengths[i] > COHERENT * whole[at + i];
            coherent[row * halves.stride + i] = is_coherent;
            if (!is_coherent) continue;
            any = any || lengths[i] > EVIDENT_FADE;
            top = row < top ? row : top;
            bottom = row + 1;
            left = i < left ? i : left;
            right = i + 1 > right ? i + 1 : right;
        }
    }
    if (!any) return;
    if (block->shifts) {
        for (int channel = 0; channel < 3; channel++) {
            for (size_t row = 0; row < rows; row++) {
                const float *from = work->sides[0][channel] + (begin + 2 * row) * stride + begin;
                NAMED(halved_row)(from, from + stride, columns, down, halved[channel] + row * halves.stride);
            }
            NAMED(low)(&halves, halved[channel], down, first[channel]);
            for (size_t i = 0; i < (halves.rows + 2) * halves.stride; i++)
                low[channel][i] = first[channel][i] - low[channel][i];
        }
        NAMED(low_by_shifts)(work, &halves, first, low, length, top, bottom, left, right);
    }
    NAMED(steady)(block, work, &halves, steady);
    for (size_t row = 0; row < height; row++)
        for (size_t column = 0; column < width; column++) {
            const size_t at = row / 2 * halves.stride + column / 2;
            const float limit = steady[at] ? EVIDENT_FADE : EVIDENT_COLOUR;
            found->colour[row * width + column] = coherent[at] ? length[at] / limit : 0.0f;
        }
}

KERNEL NAMED(look)(const Block *block, Work *work, const Found *found) {
    const size_t rows = block->bottom - block->top, columns = block->right - block->left, stride = work->stride;
    float most = 0, inside = 0;
    NAMED(fill)(block, work);
    for (size_t row = 0; row < work->rows; row++) {
        float *apart = work->apart + row * stride;
        NAMED(apart_row)(VECTORS(work->sides[0], row * stride), VECTORS(work->sides[1], row * stride), work->columns, apart);
        NAMED(largest)(apart, work->columns, &most);
        if (row < MARGIN || row >= MARGIN + rows) continue;
        memcpy(found->contrast + (row - MARGIN) * columns, apart + MARGIN, columns * sizeof *apart);
        NAMED(largest)(apart + MARGIN, columns, &inside);
    }
    const size_t mark = work->taken;
    if (inside > SEEN) {
        NAMED(soften)(block, work);
        NAMED(in_place)(block, work, found);
        if (block->shifts) {
            work->taken = mark;
            NAMED(tiles_by_shifts)(block, work, found);
        }
    } else
        memset(found->unexplained, 0, rows * columns * sizeof(float));
    memset(found->colour, 0, rows * columns * sizeof(float));
    work->taken = mark;
    if (most > EVIDENT_FADE) NAMED(colour)(block, work, found);
}

#undef VECTORS
#undef KERNEL
#undef EACH
