/* The loops of ssim.c over many pixels, plain C that compilers turn into vectors. ssim.c includes this file for each kind
   of machine: TARGET, NAMED. */
#define LOOP TARGET static

/* Gray as OpenCV makes it of RGB (BT.601). */
LOOP void NAMED(make_gray)(const uint8_t *rgba, size_t count, uint8_t *gray) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t pixel = load32(rgba + 4 * i);
        gray[i] = (uint8_t)(((pixel & 255) * 9798 + (pixel >> 8 & 255) * 19235 + (pixel >> 16 & 255) * 3735 + 16384) >> 15);
    }
}

/* Read a row of a picture about some columns: as many on either side as a window reaches beyond its centre. */
LOOP void NAMED(read_row)(const Ssim *job, int picture, uint32_t row, uint32_t left, uint32_t right, uint8_t *gray) {
    const uint32_t margin = job->side / 2, from = left < margin ? 0 : left - margin;
    const uint32_t to = job->width - right < margin ? job->width : right + margin;
    const uint8_t *pixels = job->pixels[picture] + (size_t)row * job->width * job->channels;
    uint8_t *first = gray + (from + margin - left);
    if (job->channels == 1)
        memcpy(first, pixels + from, to - from);
    else
        NAMED(make_gray)(pixels + 4 * (size_t)from, to - from, first);
    for (int64_t x = (int64_t)left - margin; x < 0; x++) gray[x + margin - left] = gray[mirrored(x, job->width) + margin - left];
    for (int64_t x = job->width; x < (int64_t)right + margin; x++)
        gray[x + margin - left] = gray[mirrored(x, job->width) + margin - left];
}

/* Let one row enter the windows, and one leave them. */
LOOP void NAMED(slide)(Tile *tile, uint8_t enters[2][COLUMNS], uint8_t leaves[2][COLUMNS], size_t count) {
    const uint8_t *a = enters[0], *b = enters[1], *c = leaves[0], *d = leaves[1];
    for (size_t i = 0; i < count; i++) {
        tile->sums[0][i] = (uint16_t)(tile->sums[0][i] + a[i] - c[i]);
        tile->sums[1][i] = (uint16_t)(tile->sums[1][i] + b[i] - d[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const int16_t more = (int16_t)(a[i] - b[i]), less = (int16_t)(c[i] - d[i]);
        tile->squares[i] += (uint32_t)(uint16_t)(more * more) - (uint32_t)(uint16_t)(less * less);
    }
    for (size_t i = 0; i < count; i++)
        tile->products[i] += (uint32_t)(uint16_t)(a[i] * b[i]) - (uint32_t)(uint16_t)(c[i] * d[i]);
}

/* The loss of a block of windows, of which the first one begins in this column of the tile. */
ALWAYS_INLINE TARGET void NAMED(block_losses)(const Tile *tile, const Window *window, uint32_t side, size_t at, float *losses) {
    uint16_t sums[2][BLOCK];
    uint32_t squares[BLOCK], products[BLOCK];
    for (int picture = 0; picture < 2; picture++) {
        const uint16_t *columns = tile->sums[picture] + at;
        for (size_t i = 0; i < BLOCK; i++) {
            uint16_t sum = 0;
            for (uint32_t k = 0; k < side; k++) sum = (uint16_t)(sum + columns[i + k]);
            sums[picture][i] = sum;
        }
    }
    for (size_t i = 0; i < BLOCK; i++) {
        uint32_t sum = 0;
        for (uint32_t k = 0; k < side; k++) sum += tile->squares[at + i + k];
        squares[i] = sum;
    }
    for (size_t i = 0; i < BLOCK; i++) {
        uint32_t sum = 0;
        for (uint32_t k = 0; k < side; k++) sum += tile->products[at + i + k];
        products[i] = sum;
    }
    for (size_t i = 0; i < BLOCK; i++) {
        const int32_t one = sums[0][i], two = sums[1][i], apart = (one - two) * (one - two);
        const uint32_t energy = (uint32_t)(one * one) + (uint32_t)(two * two);
        const int32_t spread = (int32_t)(window->pixels * squares[i] - (uint32_t)apart);
        const int32_t variance = (int32_t)(window->pixels * (squares[i] + 2 * products[i]) - energy);
        const float u = (float)apart / ((float)(int32_t)energy + window->luminance);
        const float w = (float)spread / ((float)variance + window->contrast);
        float loss = 1.0f - u;
        loss *= w;
        losses[i] = loss + u;
    }
}

LOOP uint64_t NAMED(units_of)(const float *losses, const uint8_t *ignore, size_t count) {
    uint32_t units[BLOCK];
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) units[i] = (uint32_t)(int32_t)(losses[i] * SSIM_UNITS);
    if (ignore)
        for (size_t i = 0; i < count; i++) units[i] = ignore[i] ? 0 : units[i];
    for (size_t i = 0; i < count; i++) total += units[i];
    return total;
}

/* Measure the windows of one row of a tile. */
ALWAYS_INLINE TARGET void NAMED(measure_row)(Ssim *job, const Tile *tile, const Window *window, uint32_t side, uint32_t row,
                                             uint32_t left, uint32_t right) {
    const uint32_t margin = side / 2;
    const bool inside = row >= margin && row < job->height - margin;
    for (uint32_t x = left; x < right; x += BLOCK) {
        const uint32_t count = right - x < BLOCK ? right - x : BLOCK;
        uint32_t some = 0;
        for (uint32_t i = 0; i < count + side - 1; i++) some |= tile->squares[x - left + i];
        if (!some) continue; /* equal windows lose nothing */
        float losses[BLOCK];
        NAMED(block_losses)(tile, window, side, x - left, losses);
        if (job->heat) {
            float *heat = job->heat + (size_t)row * job->width + x;
            for (uint32_t i = 0; i < count; i++) heat[i] = losses[i] * 0.5f < 1.0f ? losses[i] * 0.5f : 1.0f;
        }
        const uint32_t from = x < margin ? margin - x : 0;
        const uint32_t to = x + count > job->width - margin ? job->width - margin - x : count;
        if (!inside || x >= job->width - margin || from >= to) continue;
        const uint8_t *ignore = job->ignore ? job->ignore + (size_t)row * job->width + x + from : NULL;
        job->total += NAMED(units_of)(losses + from, ignore, to - from);
    }
}

LOOP void NAMED(measure_tile)(Ssim *job, Tile *tile, uint32_t left, uint32_t right) {
    const Window window = window_of(job->side);
    const uint32_t side = job->side, margin = side / 2;
    const size_t columns = right - left + 2 * (size_t)margin;
    uint32_t unlike = 0; /* rows of the window that differ */
    memset(tile, 0, sizeof *tile);
    if (job->first == job->last) return;
    for (int64_t row = (int64_t)job->first - margin; row < (int64_t)job->last + margin; row++) {
        const size_t enters = (size_t)(row + KEPT) % KEPT, leaves = (size_t)(row + KEPT - side) % KEPT;
        for (int picture = 0; picture < 2; picture++)
            NAMED(read_row)(job, picture, mirrored(row, job->height), left, right, tile->gray[enters][picture]);
        tile->differs[enters] = memcmp(tile->gray[enters][0], tile->gray[enters][1], columns) != 0;
        unlike += tile->differs[enters];
        unlike -= tile->differs[leaves];
        NAMED(slide)(tile, tile->gray[enters], tile->gray[leaves], columns);
        if (row < (int64_t)job->first + margin || !unlike) continue;
        const uint32_t centre = (uint32_t)(row - margin);
        if (side == 7) /* the usual one */
            NAMED(measure_row)(job, tile, &window, 7, centre, left, right);
        else
            NAMED(measure_row)(job, tile, &window, side, centre, left, right);
    }
}

#undef LOOP
