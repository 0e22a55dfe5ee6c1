/* The loops of pixels.c over many pixels, plain C that compilers turn into vectors. pixels.c includes this file for each
   kind of machine: TARGET, NAMED. */
#define LOOP TARGET static

/* Find the pixels of a row with a channel that differs by more than `harmless`; returns how many there are. */
LOOP size_t NAMED(find_unlike)(const uint32_t *one, const uint32_t *two, size_t width, uint8_t harmless, uint32_t *places) {
    enum { BLOCK = 16 };
    size_t found = 0, x = 0;
    for (; x + BLOCK <= width; x += BLOCK) {
        uint32_t differs = 0;
        for (int i = 0; i < BLOCK; i++) differs |= one[x + i] ^ two[x + i];
        if (!differs) continue;
        uint8_t beyond[4 * BLOCK];
        const uint8_t *a = (const uint8_t *)(one + x), *b = (const uint8_t *)(two + x);
        for (int i = 0; i < 4 * BLOCK; i++) {
            uint8_t more = a[i] > b[i] ? (uint8_t)(a[i] - b[i]) : (uint8_t)(b[i] - a[i]);
            beyond[i] = more > harmless;
        }
        for (int i = 0; i < BLOCK; i++) {
            places[found] = (uint32_t)x + (uint32_t)i;
            found += load32(beyond + 4 * i) != 0;
        }
    }
    for (; x < width; x++) {
        const uint8_t *a = (const uint8_t *)(one + x), *b = (const uint8_t *)(two + x);
        bool beyond = false;
        for (int i = 0; i < 4; i++) beyond |= (a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]) > harmless;
        places[found] = (uint32_t)x;
        found += beyond;
    }
    return found;
}

/* yiq.py, _rounded_deltas. */
LOOP void NAMED(yiq_deltas)(const uint32_t *one, const uint32_t *two, size_t count, float *deltas) {
    for (size_t i = 0; i < count; i++) {
        float red = (float)(int32_t)((one[i] & 255) - (two[i] & 255));
        float green = (float)(int32_t)((one[i] >> 8 & 255) - (two[i] >> 8 & 255));
        float blue = (float)(int32_t)((one[i] >> 16 & 255) - (two[i] >> 16 & 255));
        float delta = red * (red * YIQ_FORM[0] + green * YIQ_FORM[1] + blue * YIQ_FORM[2]);
        delta += green * (green * YIQ_FORM[3] + blue * YIQ_FORM[4]);
        deltas[i] = delta + blue * blue * YIQ_FORM[5];
    }
}

/* differences.py: the heat of what differs, in single precision. */
LOOP void NAMED(yiq_levels)(const float *deltas, size_t count, uint8_t *levels) {
    for (size_t i = 0; i < count; i++) {
        float level = sqrtf(deltas[i] * (float)(1 / LARGEST_DELTA)) * 255.0f;
        level = level < 1.0f ? 1.0f : level;
        levels[i] = (uint8_t)(int32_t)(level > 255.0f ? 255.0f : level);
    }
}

LOOP void NAMED(oklab_levels)(const float *distances, size_t count, uint8_t *levels) {
    for (size_t i = 0; i < count; i++) {
        float level = distances[i] * 255.0f;
        level = level < 1.0f ? 1.0f : level;
        levels[i] = (uint8_t)(int32_t)(level > 255.0f ? 255.0f : level);
    }
}

/* oklab.py, _rounded_roots. Loops this simple become vectors. */
LOOP void NAMED(rounded_roots)(float *values, size_t count) {
    uint32_t bits[GROUP];
    float roots[GROUP];
    for (size_t i = 0; i < count; i++) values[i] = values[i] < LEAST_LIGHT ? LEAST_LIGHT : values[i];
    memcpy(bits, values, count * sizeof *bits);
    for (size_t i = 0; i < count; i++) bits[i] = bits[i] / 3 + FIRST_ROOT_32;
    memcpy(roots, bits, count * sizeof *roots);
    for (int round = 0; round < ROUNDS_32; round++)
        for (size_t i = 0; i < count; i++) {
            float root = roots[i], cube = root * root * root;
            roots[i] = root - root * (cube - values[i]) / (cube + cube + values[i]);
        }
    memcpy(values, roots, count * sizeof *values);
}

/* Each of `of` is a combination of three others. */
LOOP void NAMED(combined)(float *of, const float *x, const float *y, const float *z, const double weights[3], size_t count) {
    const float first = (float)weights[0], second = (float)weights[1], third = (float)weights[2];
    for (size_t i = 0; i < count; i++) of[i] = x[i] * first + y[i] * second + z[i] * third;
}

/* oklab.py, _rounded: from light, red, green and blue, to toe-corrected lightness, a and b. */
LOOP void NAMED(rounded_colours)(float light[3][GROUP], float colours[3][GROUP], size_t count) {
    float cones[3][GROUP];
    for (int k = 0; k < 3; k++) {
        NAMED(combined)(cones[k], light[0], light[1], light[2], LMS[k], count);
        NAMED(rounded_roots)(cones[k], count);
    }
    for (int k = 0; k < 3; k++) NAMED(combined)(colours[k], cones[0], cones[1], cones[2], OF_CONES[k], count);
    for (size_t i = 0; i < count; i++) {
        float x = colours[0][i] * (float)K3 - (float)K1;
        colours[0][i] = (x + sqrtf(x * x + colours[0][i] * (float)(4 * K2 * K3))) * 0.5f;
    }
}

/* oklab.py, _rounded_distances. */
LOOP void NAMED(oklab_distances)(float light[2][3][GROUP], size_t count, float *distances) {
    float colours[2][3][GROUP];
    for (int side = 0; side < 2; side++) NAMED(rounded_colours)(light[side], colours[side], count);
    for (size_t i = 0; i < count; i++) {
        float a = colours[0][1][i] - colours[1][1][i], b = colours[0][2][i] - colours[1][2][i];
        distances[i] = sqrtf(a * a + b * b) + fabsf(colours[0][0][i] - colours[1][0][i]);
    }
}

/* Which pixels of a row that is not the first or the last have at least three equal neighbours; not of those at its ends. */
LOOP void NAMED(find_flat)(const uint32_t *row, size_t pitch, size_t width, uint8_t *flat) {
    const uint32_t *above = row - pitch, *below = row + pitch;
    for (size_t x = 1; x + 1 < width; x++) {
        uint32_t pixel = row[x], equal = 0;
        equal += (pixel == above[x - 1]) + (pixel == above[x]) + (pixel == above[x + 1]);
        equal += (pixel == row[x - 1]) + (pixel == row[x + 1]);
        equal += (pixel == below[x - 1]) + (pixel == below[x]) + (pixel == below[x + 1]);
        flat[x] = equal > 2;
    }
}

LOOP size_t NAMED(unequal)(const uint32_t *one, const uint32_t *two, size_t count) {
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) found += one[i] != two[i];
    return found;
}

/* metrics/pixel_match.py */
LOOP uint64_t NAMED(beyond)(const uint32_t *one, const uint32_t *two, size_t count, uint32_t limit, uint8_t *heat) {
    enum { BLOCK = 64 };
    uint64_t found = 0;
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t size = count - start < BLOCK ? count - start : BLOCK;
        const uint32_t *a = one + start, *b = two + start;
        uint32_t differs = 0, beyond = 0;
        for (size_t i = 0; i < size; i++) differs |= a[i] ^ b[i];
        if (!differs) continue;
        for (size_t i = 0; i < size; i++) {
            uint32_t most = 0;
            for (int shift = 0; shift < 32; shift += 8) {
                int32_t more = (int32_t)(a[i] >> shift & 255) - (int32_t)(b[i] >> shift & 255);
                uint32_t size_of = (uint32_t)(more < 0 ? -more : more);
                most = size_of > most ? size_of : most;
            }
            most = most > limit ? most : 0;
            beyond += most != 0;
            if (heat) heat[start + i] = (uint8_t)most;
        }
        found += beyond;
    }
    return found;
}

/* metrics/intensity.py */
LOOP Sums NAMED(sums)(const uint32_t *one, const uint32_t *two, size_t count) {
    enum { BLOCK = 64 };
    Sums sums = {{0}, 0};
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t size = count - start < BLOCK ? count - start : BLOCK;
        const uint32_t *a = one + start, *b = two + start;
        uint32_t differs = 0, squared = 0;
        for (size_t i = 0; i < size; i++) differs |= a[i] ^ b[i];
        if (!differs) continue;
        for (int channel = 0; channel < 4; channel++) {
            uint32_t absolute = 0;
            for (size_t i = 0; i < size; i++) {
                int32_t more = (int32_t)(a[i] >> 8 * channel & 255) - (int32_t)(b[i] >> 8 * channel & 255);
                absolute += (uint32_t)(more < 0 ? -more : more);
                squared += (uint32_t)(more * more);
            }
            sums.absolute[channel] += absolute;
        }
        sums.squared += squared;
    }
    return sums;
}

#undef LOOP
