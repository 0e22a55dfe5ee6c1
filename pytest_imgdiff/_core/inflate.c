/* See inflate.h. The hot loop stands in inflate_codes.h, which is compiled once for any machine and once for BMI2. */
#include "inflate.h"

#if HAVE_AVX2
#include <immintrin.h>
#endif

enum {
    LENGTH_BITS = 11, /* bits of a code that index the main table; longer codes go on in a second one */
    DISTANCE_BITS = 8,
    ORDER_BITS = 7,
    /* A complete code has two codes or more below each prefix: at most 144 second tables of 16 entries, 15 of 128. */
    LENGTH_ENTRIES = (1 << LENGTH_BITS) + 144 * 16,
    DISTANCE_ENTRIES = (1 << DISTANCE_BITS) + 16 * 128,
    MOST_CODES = 320,
    STAGED = 65536, /* bytes of input that are looked at together */
    AHEAD = 32,     /* bytes of input that one step may read */
    PADDING = 128,
};

/* An entry of a table. Literals: LITERAL, the byte at bit 8, and how many bits of input it takes at bit 0. Two that fit
   together: PAIR, and the second byte at bit 16. Lengths and distances: the base at bit 16, the bits of the code at bit
   8, and those of code and extra bits at bit 0. What is EXCEPTIONAL: the place (bit 16) and index bits (bit 8) of a
   second table, the end of the block, or no code at all. */
#define LITERAL (1u << 31)
#define PAIR (1u << 30)
#define EXCEPTIONAL 0x8000u
#define SECOND_TABLE 0x4000u
#define END_OF_BLOCK 0x2000u
#define NO_CODE 0x1000u

typedef enum { LENGTHS, DISTANCES, ORDER } Alphabet;
typedef enum { BLOCK_HEADER, STORED, CODES, ENDED } State;

struct Inflater {
    const Segment *segments;
    size_t count, next, offset; /* the segment under way and how much of it was staged */
    uint32_t crc;               /* of that segment */
    bool damaged;               /* some chunk's CRC is wrong */
    bool all_staged;            /* zeros follow `input_end` */
    const uint8_t *input, *input_end;
    uint64_t bits; /* of the input before `input`; those from `have` on are not to be trusted */
    uint32_t have;
    State state;
    bool last_block;
    uint32_t stored_left;
    uint64_t produced;
    uint32_t window; /* how far back the stream's header allows matches to reach */
    uint32_t lengths[LENGTH_ENTRIES], distances[DISTANCE_ENTRIES];
    uint8_t staged[STAGED + PADDING];
};

static const uint16_t LENGTH_BASE[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                         31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t LENGTH_EXTRA[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                         2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t DISTANCE_BASE[30] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                           193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
static const uint8_t DISTANCE_EXTRA[30] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                           6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};

/* Move what is unread to the front, and stage more behind it. The CRC of each chunk is checked on the way. */
static void stage_more(Inflater *z) {
    z->input -= z->have >> 3; /* whole bytes that were taken and not used */
    z->have &= 7;
    z->bits &= (1u << z->have) - 1;
    size_t left = (size_t)(z->input_end - z->input);
    memmove(z->staged, z->input, left);
    while (left < STAGED && z->next < z->count) {
        const Segment *segment = &z->segments[z->next];
        if (!z->offset) z->crc = crc32_of(0, (const uint8_t *)"IDAT", 4);
        size_t part = segment->length - z->offset;
        if (part > STAGED - left) part = STAGED - left;
        z->crc = crc32_of(z->crc, segment->data + z->offset, part);
        memcpy(z->staged + left, segment->data + z->offset, part);
        left += part;
        z->offset += part;
        if (z->offset == segment->length) {
            if (z->crc != load_be32(segment->data + segment->length)) z->damaged = true;
            z->next++;
            z->offset = 0;
        }
    }
    z->input = z->staged;
    z->input_end = z->staged + left;
    if (z->next == z->count) {
        z->all_staged = true;
        memset(z->staged + left, 0, PADDING);
    }
}

/* Have AHEAD bytes of input, or what is left and zeros. False where the input was used up and more was read. */
ALWAYS_INLINE bool have_input(Inflater *z) {
    if (z->input_end - z->input >= AHEAD) return true;
    if (!z->all_staged) stage_more(z);
    return z->input - (z->have >> 3) <= z->input_end;
}

/* Have 56 bits or more. */
#define REFILL()                           \
    do {                                   \
        bits |= load64(input) << have;     \
        input += (63 - have) >> 3;         \
        have |= 56;                        \
    } while (0)
#define DROP(count)                        \
    do {                                   \
        uint32_t dropped = (count);        \
        bits >>= dropped;                  \
        have -= dropped;                   \
    } while (0)

/* The entry of a symbol, without the bits that its code has. */
static uint32_t entry_of(Alphabet alphabet, int symbol) {
    if (alphabet == ORDER) return (uint32_t)symbol << 16;
    if (alphabet == DISTANCES)
        return symbol > 29 ? EXCEPTIONAL | NO_CODE : (uint32_t)DISTANCE_BASE[symbol] << 16 | DISTANCE_EXTRA[symbol];
    if (symbol < 256) return LITERAL | (uint32_t)symbol << 8;
    if (symbol == 256) return EXCEPTIONAL | END_OF_BLOCK;
    if (symbol > 285) return EXCEPTIONAL | NO_CODE;
    return (uint32_t)LENGTH_BASE[symbol - 257] << 16 | LENGTH_EXTRA[symbol - 257];
}

static uint32_t with_code(uint32_t entry, uint32_t length) {
    if (entry & (LITERAL | EXCEPTIONAL)) return entry | length;
    return (entry & ~31u) | length << 8 | ((entry & 31) + length);
}

/* The next code of so many bits, both with their first bit lowest. */
static uint32_t code_after(uint32_t code, int length) {
    uint32_t bit = 1u << (length - 1);
    for (; code & bit; bit >>= 1) code ^= bit;
    return code | bit;
}

/* Fill a table (and its second tables) from the lengths of codes: RFC 1951, section 3.2.2. False: there is no such
   code. One that is incomplete is taken only where it has a single symbol of one bit, or no distance at all. */
static bool build_table(uint32_t *table, int entries, int index_bits, Alphabet alphabet, const uint8_t *lengths, int count) {
    int with_length[16] = {0}, first[16], longest = 0, used = 0;
    uint16_t sorted[MOST_CODES];
    for (int i = 0; i < count; i++) with_length[lengths[i]]++;
    with_length[0] = 0;
    first[0] = first[1] = 0;
    for (int length = 1; length < 15; length++) first[length + 1] = first[length] + with_length[length];
    int unused = 1;
    for (int length = 1; length <= 15; length++) {
        if (with_length[length]) longest = length;
        used += with_length[length];
        unused = (unused << 1) - with_length[length];
        if (unused < 0) return false;
    }
    if (unused) {
        bool single = used == 1 && with_length[1] == 1, none = used == 0 && alphabet == DISTANCES;
        if (alphabet == ORDER || !(single || none)) return false;
    }
    for (int i = 0; i < count; i++)
        if (lengths[i]) sorted[first[lengths[i]]++] = (uint16_t)i;
    const int second_bits = longest > index_bits ? longest - index_bits : 0;
    int next_second = 1 << index_bits, second = 0, prefix_of_second = -1, at = 0;
    /* The table grows with the length of the codes: what it holds so far stands in both halves of the next one. A code
       that goes on with a zero has the same number, its first bit being the lowest. */
    uint32_t code = 0;
    table[0] = EXCEPTIONAL | NO_CODE | 1;
    for (int length = 1; length <= index_bits; length++) {
        const size_t half = (size_t)1 << (length - 1);
        memcpy(table + half, table, half * sizeof *table);
        for (int i = 0; i < with_length[length]; i++, code = code_after(code, length))
            table[code] = with_code(entry_of(alphabet, sorted[at++]), (uint32_t)length);
    }
    for (int length = index_bits + 1; length <= longest; length++)
        for (int i = 0; i < with_length[length]; i++, code = code_after(code, length)) {
            const int prefix = (int)(code & ((1u << index_bits) - 1));
            if (prefix != prefix_of_second) {
                prefix_of_second = prefix;
                second = next_second;
                next_second += 1 << second_bits;
                if (next_second > entries) return false;
                table[prefix] = EXCEPTIONAL | SECOND_TABLE | (uint32_t)second << 16 | (uint32_t)second_bits << 8;
            }
            const uint32_t entry = with_code(entry_of(alphabet, sorted[at++]), (uint32_t)(length - index_bits));
            for (uint32_t place = code >> index_bits; place < 1u << second_bits; place += 1u << (length - index_bits))
                table[second + (int)place] = entry;
        }
    return true;
}

/* Have literals that fit the index together decoded by one look. Downwards: the entry of the second literal stands at a
   smaller place, or the same, and has to be a single one still. */
static void pair_literals(uint32_t *table) {
    for (int i = (1 << LENGTH_BITS) - 1; i >= 0; i--) {
        uint32_t entry = table[i], length = entry & 15;
        if (!(entry & LITERAL)) continue;
        uint32_t second = table[(uint32_t)i >> length];
        if ((second & LITERAL) && length + (second & 15) <= LENGTH_BITS)
            table[i] = (entry & ~15u) | PAIR | (second & 0xFF00u) << 8 | (length + (second & 15));
    }
}

static bool build_tables(Inflater *z, const uint8_t *lengths, int length_count, const uint8_t *distances, int distance_count) {
    if (!build_table(z->lengths, LENGTH_ENTRIES, LENGTH_BITS, LENGTHS, lengths, length_count)) return false;
    if (!build_table(z->distances, DISTANCE_ENTRIES, DISTANCE_BITS, DISTANCES, distances, distance_count)) return false;
    pair_literals(z->lengths);
    return true;
}

static bool fixed_codes(Inflater *z) {
    uint8_t lengths[288], distances[32];
    for (int i = 0; i < 288; i++) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    memset(distances, 5, sizeof distances);
    return build_tables(z, lengths, 288, distances, 32);
}

/* The codes that a block brings along: RFC 1951, section 3.2.7. The caller has seen to the input. */
static bool dynamic_codes(Inflater *z) {
    static const uint8_t PLACES[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[MOST_CODES], order[19] = {0};
    uint32_t table[1 << ORDER_BITS];
    const uint8_t *input = z->input;
    uint64_t bits = z->bits;
    uint32_t have = z->have;
    REFILL();
    int length_count = 257 + (int)(bits & 31), distance_count = 1 + (int)(bits >> 5 & 31);
    int order_count = 4 + (int)(bits >> 10 & 15);
    DROP(14);
    if (length_count > 286 || distance_count > 30) return false;
    for (int i = 0; i < order_count; i++) {
        REFILL();
        order[PLACES[i]] = bits & 7;
        DROP(3);
    }
    if (!build_table(table, 1 << ORDER_BITS, ORDER_BITS, ORDER, order, 19)) return false;
    for (int i = 0; i < length_count + distance_count;) {
        z->input = input, z->bits = bits, z->have = have;
        if (!have_input(z)) return false;
        input = z->input, bits = z->bits, have = z->have;
        REFILL();
        uint32_t entry = table[bits & ((1 << ORDER_BITS) - 1)];
        int symbol = (int)(entry >> 16), repeat = 1, value = symbol;
        DROP(entry & 31);
        if (symbol == 16) {
            if (!i) return false;
            value = lengths[i - 1];
            repeat = 3 + (int)(bits & 3);
            DROP(2);
        } else if (symbol == 17) {
            value = 0;
            repeat = 3 + (int)(bits & 7);
            DROP(3);
        } else if (symbol == 18) {
            value = 0;
            repeat = 11 + (int)(bits & 127);
            DROP(7);
        }
        if (repeat > length_count + distance_count - i) return false;
        memset(lengths + i, value, (size_t)repeat);
        i += repeat;
    }
    z->input = input, z->bits = bits, z->have = have;
    if (!lengths[256]) return false; /* the block could not end */
    return build_tables(z, lengths, length_count, lengths + length_count, distance_count);
}

/* The lengths of a stored block: RFC 1951, section 3.2.4. */
static bool stored_block(Inflater *z) {
    z->input -= z->have >> 3; /* on to the next whole byte; those that were taken are staged still */
    z->bits = 0;
    z->have = 0;
    if (!have_input(z) || z->input_end - z->input < 4) return false;
    uint32_t length = load32(z->input) & 0xFFFF, inverse = load32(z->input) >> 16;
    z->input += 4;
    if (length != (~inverse & 0xFFFF)) return false;
    z->stored_left = length;
    z->state = STORED;
    return true;
}

static bool block_header(Inflater *z) {
    if (z->last_block) {
        z->state = ENDED;
        return true;
    }
    if (!have_input(z)) return false;
    const uint8_t *input = z->input;
    uint64_t bits = z->bits;
    uint32_t have = z->have;
    REFILL();
    z->last_block = bits & 1;
    uint32_t type = bits >> 1 & 3;
    DROP(3);
    z->input = input, z->bits = bits, z->have = have;
    if (type == 0) return stored_block(z);
    if (type == 3 || !have_input(z)) return false;
    z->state = CODES;
    return type == 1 ? fixed_codes(z) : dynamic_codes(z);
}

static uint8_t *copy_stored(Inflater *z, uint8_t *out, const uint8_t *limit) {
    while (z->stored_left && out < limit) {
        if (z->input >= z->input_end) {
            if (z->all_staged) return NULL;
            stage_more(z);
            continue;
        }
        size_t part = z->stored_left, room = (size_t)(limit - out), staged = (size_t)(z->input_end - z->input);
        if (part > room) part = room;
        if (part > staged) part = staged;
        memcpy(out, z->input, part);
        out += part;
        z->input += part;
        z->stored_left -= (uint32_t)part;
        z->produced += part;
    }
    if (!z->stored_left) z->state = BLOCK_HEADER;
    return out;
}

#define TARGET
#define NAMED(name) name##_anywhere
#define SHUFFLES 0
#include "inflate_codes.h"
#undef TARGET
#undef NAMED
#undef SHUFFLES
#if HAVE_AVX2
/* Of a period of so many bytes: its bytes again and again, and the bytes of all its repetitions that 16 bytes hold. */
static const uint8_t REPEATED[16][16] __attribute__((aligned(16))) = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
    {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0},
    {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3},
    {0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0},
    {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3},
    {0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1},
    {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0}};
static const uint8_t PERIODS[16] = {0, 16, 16, 15, 16, 15, 12, 14, 16, 9, 10, 11, 12, 13, 14, 15};
#define TARGET __attribute__((target("avx2,bmi,bmi2")))
#define NAMED(name) name##_avx2
#define SHUFFLES 1
#include "inflate_codes.h"
#undef TARGET
#undef NAMED
#undef SHUFFLES
#endif

uint8_t *inflate_some(Inflater *z, uint8_t *out, const uint8_t *limit) {
    while (out && z->state != ENDED && (out < limit || z->state == BLOCK_HEADER)) {
        if (z->state == BLOCK_HEADER) {
            if (!block_header(z)) return NULL;
        } else if (z->state == STORED)
            out = copy_stored(z, out, limit);
#if HAVE_AVX2
        else if (core_has_avx2())
            out = inflate_codes_avx2(z, out, limit);
#endif
        else
            out = inflate_codes_anywhere(z, out, limit);
    }
    return out;
}

Inflater *inflate_new(const Segment *segments, size_t count) {
    Inflater *z = core_allocate(sizeof *z);
    if (!z) return NULL;
    memset(z, 0, offsetof(Inflater, lengths));
    z->segments = segments;
    z->count = count;
    z->input = z->input_end = z->staged;
    stage_more(z);
    /* The header, RFC 1950 section 2.2: deflate, no preset dictionary, a right check. */
    const uint8_t *head = z->input;
    bool right = z->input_end - head >= 2 && (head[0] & 15) == 8 && head[0] >> 4 <= 7 && !(head[1] & 32) &&
                 (head[0] << 8 | head[1]) % 31 == 0;
    z->damaged |= !right;
    z->window = 1u << (8 + (right ? head[0] >> 4 : 0));
    z->input += right ? 2 : 0;
    return z;
}

void inflate_free(Inflater *z) { core_free(z); }

bool inflate_has_ended(Inflater *z, uint32_t adler) {
    if (z->state != ENDED) return false;
    z->input -= z->have >> 3;
    z->have = 0;
    z->bits = 0;
    if (z->input > z->input_end) return false;
    if (!z->all_staged) stage_more(z);
    return z->all_staged && !z->damaged && z->input_end - z->input == 4 && load_be32(z->input) == adler;
}
