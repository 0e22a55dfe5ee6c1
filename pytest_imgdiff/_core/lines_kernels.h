/* The loops of lines.c over many pixels; it includes this file for each kind of machine: TARGET, NAMED. */

/* The sum of the products of a row's pixels with the factors. */
TARGET static uint64_t NAMED(digest_row)(const uint32_t *words, const uint32_t *factors, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += (uint64_t)words[i] * factors[i];
    return total;
}

/* The same for columns, a row at a time. */
TARGET static void NAMED(digest_columns)(const uint32_t *words, uint32_t factor, size_t count, uint64_t *totals) {
    for (size_t i = 0; i < count; i++) totals[i] += (uint64_t)words[i] * factor;
}

/* The sums of each channel of a row; those of the columns are added to, a row at a time. */
TARGET static void NAMED(sum_row)(const uint32_t *words, size_t count, double *sums) {
    enum { MOST = 256 }; /* two channels of so many pixels fit one word */
    uint64_t totals[4] = {0};
    for (size_t start = 0; start < count; start += MOST) {
        const size_t stop = count - start < MOST ? count : start + MOST;
        uint32_t even = 0, odd = 0;
        for (size_t i = start; i < stop; i++) {
            even += words[i] & 0x00FF00FFu;
            odd += words[i] >> 8 & 0x00FF00FFu;
        }
        totals[0] += even & 0xFFFF;
        totals[1] += odd & 0xFFFF;
        totals[2] += even >> 16;
        totals[3] += odd >> 16;
    }
    for (int channel = 0; channel < 4; channel++) sums[channel] = (double)totals[channel];
}

TARGET static void NAMED(sum_columns)(const uint8_t *restrict samples, size_t count, double *restrict sums) {
    for (size_t i = 0; i < count; i++) sums[i] += samples[i];
}

/* Of as many lines as there are lanes, `size` bytes apart: the sum of the two middle ones of each channel's samples, `step`
   samples apart. The bits of either are found from the highest one on. */
TARGET static void NAMED(middles_of_lines)(const uint8_t *lines, size_t size, size_t step, uint16_t *sums) {
    Bytes samples[MOST_FEW];
    size_t count = 0;
    for (size_t at = 0; at < size; at += 4 * step, count++) {
        uint8_t bytes[sizeof(Bytes)];
        for (size_t lane = 0; lane < LANES; lane++) memcpy(bytes + 4 * lane, lines + lane * size + at, 4);
        memcpy(&samples[count], bytes, sizeof bytes);
    }
    memset(sums, 0, 4 * LANES * sizeof *sums);
    for (size_t middle = 0; middle < 2; middle++) {
        const Bytes before = (Bytes){0} + (uint8_t)((count - 1 + middle) / 2);
        Bytes value = {0};
        for (int bit = 128; bit; bit >>= 1) {
            const Bytes larger = value | (uint8_t)bit;
            Bytes less = {0};
            for (size_t i = 0; i < count; i++) less -= (Bytes)(samples[i] < larger);
            const Bytes fits = (Bytes)(less <= before);
            value = (larger & fits) | (value & ~fits);
        }
        for (size_t i = 0; i < 4 * LANES; i++) sums[i] = (uint16_t)(sums[i] + value[i]);
    }
}

/* How many of `count` pixels differ by more than `limit` in any channel. */
TARGET static uint32_t NAMED(count_unlike)(const uint8_t *one, const uint8_t *two, size_t count, uint8_t limit) {
    const Bytes most = (Bytes){0} + limit;
    Lanes found = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        Bytes a, b;
        memcpy(&a, one + 4 * i, sizeof a);
        memcpy(&b, two + 4 * i, sizeof b);
        const Bytes larger = (Bytes)(a > b);
        const Bytes apart = ((a - b) & larger) | ((b - a) & ~larger);
        found -= (Lanes)((Lanes)(apart > most) != 0);
    }
    uint32_t total = 0;
    for (size_t lane = 0; lane < LANES; lane++) total += found[lane];
    for (; i < count; i++) {
        bool differs = false;
        for (size_t channel = 4 * i; channel < 4 * i + 4; channel++)
            differs |= (one[channel] > two[channel] ? one[channel] - two[channel] : two[channel] - one[channel]) > limit;
        total += differs;
    }
    return total;
}

/* One row of hashes of TILE pixels beside each other, and one of hashes of TILE such rows. */
TARGET static void NAMED(mix_row)(const uint32_t *words, size_t count, uint32_t *restrict mixed) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t value = words[i] * 0x9E3779B1u;
        mixed[i] = value ^ value >> 15;
    }
}

TARGET static void NAMED(hash_across)(const uint32_t *mixed, size_t count, uint32_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) {
        uint32_t value = 0;
        for (size_t place = 0; place < TILE; place++) value = value * 0x85EBCA6Bu + mixed[i + place];
        hashes[i] = value ^ value >> 13;
    }
}

TARGET static void NAMED(hash_down)(const uint32_t *const rows[TILE], size_t count, uint32_t *restrict hashes) {
    for (size_t i = 0; i < count; i++) {
        uint32_t value = 0;
        for (size_t place = 0; place < TILE; place++) value = value * 0xC2B2AE35u + rows[place][i];
        hashes[i] = value ^ value >> 13;
    }
}
