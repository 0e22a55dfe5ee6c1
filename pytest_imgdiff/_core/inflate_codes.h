/* The hot loop of inflate.c, which includes this file for each kind of machine: TARGET, NAMED, and whether
   it SHUFFLES bytes. */

TARGET static inline __attribute__((always_inline)) void NAMED(copy_16)(uint8_t *to, const uint8_t *from) {
    uint8_t part[16];
    memcpy(part, from, 16);
    memcpy(to, part, 16);
}

TARGET static inline __attribute__((always_inline)) void NAMED(copy_32)(uint8_t *to, const uint8_t *from) {
    uint8_t part[32];
    memcpy(part, from, 32);
    memcpy(to, part, 32);
}

/* Repeat what stands `far` bytes back until `end`; up to 63 bytes beyond it are written. */
TARGET static inline __attribute__((always_inline)) void NAMED(copy_match)(uint8_t *out, const uint8_t *end, size_t far) {
    if (far >= 32) {
        do {
            NAMED(copy_32)(out, out - far);
            NAMED(copy_32)(out + 32, out + 32 - far);
            out += 64;
        } while (out < end);
        return;
    }
    if (far == 1) {
        uint8_t byte = out[-1];
        do {
            memset(out, byte, 32);
            out += 32;
        } while (out < end);
        return;
    }
#if SHUFFLES
    if (far < 16) {
        /* As many whole periods as 16 bytes hold; one step writes 16 bytes and goes on by those. */
        const __m128i part = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(out - far)),
                                              _mm_load_si128((const __m128i *)REPEATED[far]));
        const size_t step = PERIODS[far];
        do {
            _mm_storeu_si128((__m128i *)out, part);
            out += step;
        } while (out < end);
        return;
    }
#else
    /* What is written repeats with any multiple of its period: twice the distance is as good as the distance. */
    for (; far < 16; far *= 2) {
        NAMED(copy_16)(out, out - far);
        out += far;
    }
#endif
    while (out < end) {
        NAMED(copy_16)(out, out - far);
        out += 16;
    }
}

#define LOOK_UP(table, index_bits) table[bits & ((1u << (index_bits)) - 1)]
#define PUT_LITERALS()                            \
    do {                                          \
        uint16_t both = (uint16_t)(entry >> 8);   \
        memcpy(out, &both, 2);                    \
        out += (entry >> 30) - 1;                         \
        DROP(entry & 63);                         \
    } while (0)

/* Have the next entry of `lengths`, and the bits of whatever it stands for. */
#define NEXT()                                                        \
    do {                                                              \
        if (__builtin_expect(z->input_end - input < AHEAD, false)) {  \
            z->input = input, z->bits = bits, z->have = have;         \
            if (!have_input(z)) return NULL;                          \
            input = z->input, bits = z->bits, have = z->have;         \
        }                                                             \
        REFILL();                                                     \
        entry = LOOK_UP(lengths, LENGTH_BITS);                        \
    } while (0)

/* Decode symbols until the limit is reached or the block ends. A step takes at most 28 bytes of input (have_input sees
   to AHEAD, or to zeros behind the last) and writes at most 8 literals and a match of 258 bytes. The next entry is
   looked up before a match is copied: how long the copy takes is hard to foresee, and the look need not wait for it. */
TARGET static uint8_t *NAMED(inflate_codes)(Inflater *z, uint8_t *out, const uint8_t *limit) {
    const uint32_t *lengths = z->lengths, *distances = z->distances;
    const uint8_t *input = z->input, *start = out;
    const uint64_t before = z->produced;
    uint64_t bits = z->bits;
    uint32_t have = z->have, entry;
    bool ended = false;
    NEXT();
    while (out < limit) {
        if (entry & LITERAL) {
            PUT_LITERALS();
            entry = LOOK_UP(lengths, LENGTH_BITS);
            if (entry & LITERAL) {
                PUT_LITERALS();
                entry = LOOK_UP(lengths, LENGTH_BITS);
                if (entry & LITERAL) {
                    PUT_LITERALS();
                    entry = LOOK_UP(lengths, LENGTH_BITS);
                    if (entry & LITERAL) {
                        PUT_LITERALS();
                        NEXT();
                        continue;
                    }
                }
            }
            REFILL();
        }
        if (entry & EXCEPTIONAL) {
            if (entry & SECOND_TABLE) {
                DROP(LENGTH_BITS);
                entry = lengths[(entry >> 16) + (bits & ((1u << (entry >> 8 & 15)) - 1))];
                if (entry & LITERAL) {
                    PUT_LITERALS();
                    NEXT();
                    continue;
                }
            }
            if (entry & EXCEPTIONAL) {
                if (!(entry & END_OF_BLOCK)) return NULL;
                DROP(entry & 63);
                ended = true;
                break;
            }
        }
        size_t length = (entry >> 16) + ((bits & ((1ull << (entry & 63)) - 1)) >> (entry >> 8 & 15));
        DROP(entry & 63);
        entry = LOOK_UP(distances, DISTANCE_BITS);
        if (entry & EXCEPTIONAL) {
            if (!(entry & SECOND_TABLE)) return NULL;
            DROP(DISTANCE_BITS);
            entry = distances[(entry >> 16) + (bits & ((1u << (entry >> 8 & 15)) - 1))];
            if (entry & EXCEPTIONAL) return NULL;
        }
        size_t far = (entry >> 16) + ((bits & ((1ull << (entry & 63)) - 1)) >> (entry >> 8 & 15));
        DROP(entry & 63);
        if (far > before + (uint64_t)(out - start) || far > z->window) return NULL;
        NEXT();
        NAMED(copy_match)(out, out + length, far);
        out += length;
    }
    z->input = input, z->bits = bits, z->have = have;
    z->produced = before + (uint64_t)(out - start);
    if (ended) z->state = BLOCK_HEADER;
    return out;
}

#undef NEXT
#undef LOOK_UP
#undef PUT_LITERALS
