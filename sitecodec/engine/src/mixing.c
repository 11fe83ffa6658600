// Decisions whose odds many contexts have a say in: docs/format.md, "Mixing", is the specification.
//
// Each context remembers how often a decision came out as one where it was the same. What they say
// is weighed by logistic mixing, after M. Mahoney, "Adaptive weighing of context models for
// lossless data compression" (2005), by sets of weights that learn which contexts to trust.
#include "engine.h"

enum { MATCH = 2 * MIXER_CONTEXTS, ALWAYS, INPUTS = MATCH + 4 };  // vectors of four: two are 0
enum { SETS = 3 };
enum { END = 2815 };  // of the logistic scale: 256 ln(p / (1 - p))
enum { SHARES = 32, PACES = 8, MOST_SEEN = 30 };
enum { WEIGHT = 5500, MOST_WEIGHT = 400000 };  // in 1/65,536

typedef struct { uint16_t share; uint8_t check, seen; } Slot;  // of ones, in 1/65,536

struct Mixer {
    RangeEncoder *encoder;  // one of the two
    RangeDecoder *decoder;
    Slot *slots;            // of all contexts, by their hashes
    int slot_bits;
    uint16_t squash[2 * END + 1];
    int16_t stretch[4096], paces[MOST_SEEN + 1];
    uint16_t map[MIXER_KINDS][MIXER_CONTEXTS][SHARES * PACES];  // what slots' words came to
    int32_t weights[SETS][MIXER_CHOICES][INPUTS];
    // for the next decision
    uint32_t contexts[MIXER_CONTEXTS];
    int count, match, choice[SETS];
};

int within(int x, int low, int high) { return x < low ? low : x > high ? high : x; }
static int squash(const Mixer *mixer, int x) { return mixer->squash[within(x, -END, END) + END]; }
static int stretch(const Mixer *mixer, int share) { return mixer->stretch[share >> 4]; }

static void make_tables(Mixer *mixer) {
    uint64_t power = 1 << 24;  // exp(x / 256), 24 fraction bits
    mixer->squash[END] = 32768;
    for (int x = 1; x <= END; x++) {
        power += (power * 65664 + (1 << 23)) >> 24;  // exp(1 / 256) - 1
        uint32_t share = (uint32_t)((1ull << 40) / (power + (1 << 24)));
        mixer->squash[END - x] = (uint16_t)(share ? share : 1);
        mixer->squash[END + x] = (uint16_t)(65536 - mixer->squash[END - x]);
    }
    for (int i = 0, x = -END; i < 4096; i++) {
        while (x < END && squash(mixer, x) < 16 * i + 8) x++;
        mixer->stretch[i] = (int16_t)x;
    }
    for (int i = 0; i <= MOST_SEEN; i++) mixer->paces[i] = (int16_t)(32768 / (2 * i + 3));
    for (int kind = 0; kind < MIXER_KINDS; kind++)
        for (int i = 0; i < MIXER_CONTEXTS; i++)
            for (int j = 0; j < SHARES * PACES; j++)
                mixer->map[kind][i][j] = (uint16_t)(
                    j % PACES ? squash(mixer, (2 * (j / PACES) + 1) * END / SHARES - END) : 32768);
    for (int set = 0; set < SETS; set++)
        for (int i = 0; i < MIXER_CHOICES; i++)
            for (int j = 0; j < INPUTS; j++) mixer->weights[set][i][j] = WEIGHT;
}

static int pace_of(int seen) {
    return seen < 4 ? seen : seen < 6 ? 4 : seen < 12 ? 5 : seen < MOST_SEEN - 6 ? 6 : 7;
}

static uint32_t scramble(uint32_t x) {
    x = (x ^ x >> 15) * 0x2545F491u;
    x = (x ^ x >> 13) * 0xD168AAADu;
    return x ^ x >> 16;
}

// A decision in the contexts at hand. `what` tells apart those of one kind.
int mixer_decide(Mixer *mixer, int kind, uint32_t what, int bit) {
    Slot *slots[MIXER_CONTEXTS];
    uint16_t *maps[MIXER_CONTEXTS];
    int32_t inputs[INPUTS] = {0};
    int count = mixer->count;
    uint32_t salt = ((uint32_t)kind << 16 | what) * 0x9E3779B1u;
    for (int i = 0; i < count; i++) {
        uint32_t hash = scramble(mixer->contexts[i] + salt);
        Slot *slot = slots[i] = mixer->slots + (hash >> (32 - mixer->slot_bits));
        if (slot->check != (uint8_t)hash) *slot = (Slot){32768, (uint8_t)hash, 0};
        int said = stretch(mixer, slot->share);
        int place = (said + END) * SHARES / (2 * END + 1) * PACES + pace_of(slot->seen);
        maps[i] = &mixer->map[kind][i][place];
        inputs[2 * i] = slot->seen ? said : 0;
        inputs[2 * i + 1] = stretch(mixer, *maps[i]);
    }
    inputs[MATCH] = mixer->match;
    inputs[ALWAYS] = 256;
    int shares[SETS], sum = 0;
    for (int set = 0; set < SETS; set++) {
        const int32_t *weights = mixer->weights[set][mixer->choice[set]];
        int32_t dot = 0;
        for (int i = 0; i < INPUTS; i++) dot += weights[i] * inputs[i] >> 8;
        dot = within(dot >> 8, -END, END);
        shares[set] = squash(mixer, dot);
        sum += dot;
    }
    uint32_t share = (uint32_t)within(squash(mixer, sum / SETS), 2, 65534);
    bit = range_code_bit(mixer->encoder, mixer->decoder, share, bit);
    int truth = bit ? 65535 : 0;
    for (int set = 0; set < SETS; set++) {
        int32_t *weights = mixer->weights[set][mixer->choice[set]];
        int32_t error = (truth - shares[set]) >> 2;
        for (int i = 0; i < INPUTS; i++) {
            int32_t moved = weights[i] + ((inputs[i] * error + (1 << 12)) >> 13);
            weights[i] = within(moved, -MOST_WEIGHT, MOST_WEIGHT);
        }
    }
    for (int i = 0; i < count; i++) {
        Slot *slot = slots[i];
        slot->share += ((truth - slot->share) * mixer->paces[slot->seen]) >> 14;
        if (slot->seen < MOST_SEEN) slot->seen++;
        *maps[i] += (truth - *maps[i]) >> 7;
    }
    return bit;
}

uint32_t hash(uint32_t a, uint32_t b) {
    uint32_t x = a * 0x2F0B4C47u + b * 0xB5297A4Du + 0x68E31DA4u;
    return (x ^ x >> 15) * 0x9E3779B1u;
}
uint32_t hash3(uint32_t a, uint32_t b, uint32_t c) { return hash(hash(a, b), c); }
uint32_t hash4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return hash(hash3(a, b, c), d);
}
uint32_t hash5(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e) {
    return hash(hash4(a, b, c, d), e);
}

// Contexts of different numbers never share a slot but by chance.
void mixer_context(Mixer *mixer, uint32_t value) {
    mixer->contexts[mixer->count] = hash(value, (uint32_t)mixer->count);
    mixer->count++;
}
void mixer_choose(Mixer *mixer, int a, int b, int c) {
    mixer->choice[0] = a, mixer->choice[1] = b, mixer->choice[2] = c;
}

void mixer_clear(Mixer *mixer) { mixer->count = 0; }

void mixer_expect(Mixer *mixer, int share, int sign) {
    mixer->match = sign * stretch(mixer, share);
}

// NULL when memory is full. Of the two coders one is NULL.
Mixer *mixer_open(int slot_bits, RangeEncoder *encoder, RangeDecoder *decoder) {
    Mixer *mixer = allocate(sizeof *mixer);
    Slot *slots = allocate(sizeof *slots << slot_bits);
    if (!mixer || !slots) return NULL;
    mixer->encoder = encoder, mixer->decoder = decoder;
    mixer->slots = slots, mixer->slot_bits = slot_bits;
    make_tables(mixer);
    return mixer;
}
