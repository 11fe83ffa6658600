// A picture of few colours <-> bits, without loss: docs/format.md, "Flat pictures", is the
// specification.
//
// A screenshot is areas, and letters that come again. So a pixel is first told to be its left
// neighbour or the one above, else its colour is written bit by bit; mixing.c weighs what its
// surroundings, its place and what followed such surroundings before say of that.
#include "engine.h"

enum { MOST_COLOURS = 4096, HAS_ALPHA = 0x8000, HEAD = 4 };  // of what a payload holds
enum { MARGIN = 8, ROWS_ABOVE = 4, BLOCK = 16 };
enum { IS_LEFT, IS_ABOVE, IS_BLOCK, IS_CHANGE, IN_PALETTE, IN_INDEX };  // kinds of decisions
enum { LONGEST = 31, MATCH_BITS = 16 };

struct Flat {
    int width, row, colours, channels, depth;  // depth: bits of an index
    int decoding;
    Mixer *mixer;
    uint8_t *palette;   // [colours][channels]
    uint16_t *canvas;   // indices, with margins of the background
    size_t stride;
    uint8_t *even;      // for each column, for how many rows it has not changed
    uint32_t *last;     // where a neighbourhood was last seen, by its hash
    uint32_t matched;   // what followed there is expected here, for the `length`-th time
    int length;
    uint16_t trust[3][LONGEST + 1];  // how often that is right, by length
    int recent[2], areas[2];         // colours
    int events[2], gap;              // changes in calm places: this row's, the last's; how far on
};

// ---- the palette: each colour as what it differs by from the one before

static void code_palette(Flat *flat) {
    Mixer *mixer = flat->mixer;
    int channels = flat->channels;
    mixer_expect(mixer, 0, 0);
    for (int i = 0; i < flat->colours * channels; i++) {
        uint8_t *value = flat->palette + i, *colour = value - i % channels;
        int channel = i % channels, above = i >= channels ? value[-channels] : 0;
        int moved = channel && i >= channels ? colour[0] - colour[-channels] : 0;
        int difference = (uint8_t)(*value - above), node = 1;
        for (int bit = 7; bit >= 0; bit--) {
            mixer_clear(mixer);
            mixer_context(mixer, hash3(IN_PALETTE, channel, node));
            mixer_context(mixer, hash4(IN_PALETTE, channel, node, moved));
            mixer_context(mixer, hash4(IN_PALETTE, channel, node, above));
            mixer_choose(mixer, 1000 + channel, 1000 + bit, 1000);
            node = 2 * node + mixer_decide(mixer, IN_PALETTE, 0, difference >> bit & 1);
        }
        if (flat->decoding) *value = (uint8_t)(node + above);
    }
}

// ---- the pixels

#define AT(dx, dy) at[(dx) - (dy) * stride]  // dy rows above

static int far(int distance) {
    if (distance < 8) return distance;
    return distance < 16 ? 8 : distance < 32 ? 9 : distance < 64 ? 10 : 11;
}

// Whether nothing has changed around a pixel.
static int calm(const uint16_t *at, ptrdiff_t stride) {
    int w = AT(-1, 0);
    return w == AT(0, 1) && w == AT(-1, 1) && w == AT(1, 1) && w == AT(-2, 0) && w == AT(2, 1) &&
           w == AT(-2, 1) && w == AT(0, 2) && w == AT(1, 2) && w == AT(-1, 2);
}

// Whether nothing has above a block and before it.
static int calm_block(const uint16_t *at, ptrdiff_t stride) {
    int w = AT(-1, 0), same = w == AT(-2, 0);
    for (int i = -2; i < BLOCK + 2; i++) same &= w == AT(i, 1) && w == AT(i, 2);
    return same;
}

// Contexts of a change where all is calm: where in the row, and what changed in the last ones.
static void choose_calm(Flat *flat, const uint16_t *at, int x, int since, int inside) {
    Mixer *mixer = flat->mixer;
    ptrdiff_t stride = flat->stride;
    const uint8_t *even = flat->even + x;
    int w = AT(-1, 0), here = far(even[0]), soon = far(even[3]), later = far(even[6]);
    int now = within(flat->events[0], 0, 7), before = within(flat->events[1], 0, 15);
    mixer_clear(mixer);
    mixer_context(mixer, hash4(inside, since, flat->events[0] > 0, w));
    mixer_context(mixer, hash4(inside, here, soon, later));
    mixer_context(mixer, hash3(inside, even[0], w));
    mixer_context(mixer, hash5(inside, far(since), now, here, soon));
    mixer_context(mixer, hash3(inside, x, w));
    mixer_context(mixer, hash5(inside, now, before, far(since), here));
    mixer_context(mixer, hash(hash5(inside, AT(3, 2), AT(4, 1), AT(0, 3), AT(-3, 1)), w));
    mixer_context(mixer, hash3(inside, flat->gap, since));
    mixer_expect(mixer, 0, 0);
    mixer_choose(mixer, 900 + far(since) + 16 * (inside > 0), 940 + here,
           960 + within(flat->events[0], 0, 15));
}

// Where was such a neighbourhood last? What followed there is likely to follow here.
static int find_match(Flat *flat, const uint16_t *at, uint32_t around) {
    static const int8_t near[16][2] = {{-1, 0}, {0, 1},  {1, 1},  {-1, 1}, {-2, 0}, {0, 2},
                                       {2, 1},  {-2, 1}, {1, 2},  {-1, 2}, {-3, 0}, {0, 3},
                                       {3, 1},  {-3, 1}, {-2, 2}, {2, 2}};
    ptrdiff_t stride = flat->stride;
    uint32_t *last = flat->last + (around >> (32 - MATCH_BITS));
    if (flat->length) {
        flat->matched++;
    } else if (*last) {
        const uint16_t *there = flat->canvas + *last;
        int same = 0;
        while (same < 16 && there[near[same][0] - near[same][1] * stride] ==
                                AT(near[same][0], near[same][1])) same++;
        flat->matched = *last;
        flat->length = same < 8 ? 0 : same - 7;
    }
    *last = (uint32_t)(at - flat->canvas);
    return flat->length ? flat->canvas[flat->matched] : -1;
}

static void learn(uint16_t *share, int right) { *share += ((right ? 65535 : 0) - *share) >> 6; }

// One pixel; `not_left` if it is known not to be its left neighbour.
static int code_pixel(Flat *flat, const uint16_t *at, int x, int not_left, int value) {
    Mixer *mixer = flat->mixer;
    ptrdiff_t stride = flat->stride;
    int w = AT(-1, 0), n = AT(0, 1), nw = AT(-1, 1), ne = AT(1, 1), ww = AT(-2, 0), nn = AT(0, 2);
    int nne = AT(1, 2), nnw = AT(-1, 2), nww = AT(-2, 1), nee = AT(2, 1);
    int w3 = AT(-3, 0), n3 = AT(0, 3);
    // Larger and larger neighbourhoods.
    uint32_t six = hash3(hash5(1, w, n, ne, nw), ww, nn), ten = hash5(six, nee, nww, nne, nnw);
    uint32_t many = hash3(hash5(ten, w3, n3, AT(1, 3), AT(-3, 1)), AT(-2, 2), AT(2, 2));
    uint32_t most = hash3(many, AT(-4, 0), AT(4, 1));
    most = hash5(most, AT(-4, 1), AT(3, 2), AT(-3, 2), AT(-1, 3));
    uint32_t above = hash(hash5(2, n, nn, ne, nne), hash4(n3, nee, AT(2, 2), AT(1, 3)));
    uint32_t left = hash(hash5(3, w, n, nw, nn), hash4(ww, nnw, nww, AT(-2, 2)));
    int pattern = (w == n) | (w == nw) << 1 | (n == nw) << 2 | (n == ne) << 3 | (w == ww) << 4 |
                  (n == nn) << 5 | (nw == nww) << 6 | (ne == nee) << 7 | (ne == nne) << 8 |
                  (w == ne) << 9 | (nn == nne) << 10 | (nw == nnw) << 11;
    int likely = find_match(flat, at, many), length = within(flat->length, 0, LONGEST), found = -1;

    mixer_clear(mixer);
    mixer_context(mixer, hash(w, n));
    mixer_context(mixer, six);
    mixer_context(mixer, ten);
    mixer_context(mixer, many);
    mixer_context(mixer, most);
    mixer_context(mixer, hash4(w, ww, w3, AT(-4, 0)));
    mixer_context(mixer, hash4(n, nn, n3, AT(0, 4)));
    mixer_context(mixer, pattern);
    mixer_context(mixer, hash(x, w));
    mixer_context(mixer, hash(flat->row, w));
    mixer_context(mixer, above);
    mixer_context(mixer, hash4(w, n, ne, nne));
    for (int k = not_left; k < 2 && found < 0; k++) {
        int neighbour = k ? n : w, agrees = likely == neighbour;
        if (k && n == w) break;
        uint16_t *trust = &flat->trust[agrees ? k : 2][length];
        mixer_expect(mixer, *trust, likely < 0 ? 0 : agrees ? 1 : -1);
        mixer_choose(mixer, 16 * k + (likely < 0 ? 0 : agrees ? 1 + (length > 15) : 3),
               256 * k + (pattern & 255), k);
        int same = mixer_decide(mixer, IS_LEFT + k, 0, value == neighbour);
        if (likely >= 0) learn(trust, same == agrees);
        if (same) found = neighbour;
    }
    if (found < 0) {
        int depth = flat->depth, coarse = depth > 4 ? depth - 4 : 0, node = 1;
        mixer_clear(mixer);
        mixer_context(mixer, 0);
        mixer_context(mixer, w);
        mixer_context(mixer, n);
        mixer_context(mixer, hash(w, n));
        mixer_context(mixer, hash4(w >> coarse, n >> coarse, nw >> coarse, ne >> coarse));
        mixer_context(mixer, hash(flat->recent[0], flat->recent[1]));
        mixer_context(mixer, hash3(w, ww, nw == n));
        mixer_context(mixer, hash3(n, nn, w == nw));
        mixer_context(mixer, ten);
        mixer_context(mixer, most);
        mixer_context(mixer, hash(flat->areas[0], flat->areas[1]));
        mixer_context(mixer, above);
        mixer_context(mixer, left);
        mixer_context(mixer, hash4(w, ww, w3, n));
        mixer_context(mixer, hash4(n, nn, n3, w));
        for (int bit = depth - 1; bit >= 0; bit--) {
            int agrees = likely >= 0 && (likely | 1 << depth) >> (bit + 1) == node;
            int one = likely >> bit & 1;
            uint16_t *trust = &flat->trust[2][length];
            mixer_expect(mixer, *trust, !agrees ? 0 : one ? 1 : -1);
            mixer_choose(mixer, 32 + 2 * (depth - 1 - bit) + agrees,
                         512 + (node & 127) + 128 * agrees, 2 + agrees + (agrees && length > 15));
            int is = mixer_decide(mixer, IN_INDEX + depth - 1 - bit, node, value >> bit & 1);
            if (agrees) learn(trust, is == one);
            node = 2 * node + is;
        }
        found = node - (1 << depth);
        flat->recent[1] = flat->recent[0], flat->recent[0] = found;
    }
    if (found == w && w == ww && w != flat->areas[0])
        flat->areas[1] = flat->areas[0], flat->areas[0] = w;
    flat->length = likely == found ? flat->length + 1 : 0;
    return found;
}

static void code_row(Flat *flat) {
    Mixer *mixer = flat->mixer;
    int width = flat->width, since = 0, in_block = 0;
    ptrdiff_t stride = flat->stride;
    uint16_t *row = flat->canvas + (flat->row + ROWS_ABOVE) * stride + MARGIN;
    flat->events[1] = flat->events[0], flat->events[0] = 0, flat->length = 0;
    for (int x = 0; x < width; x++, since = within(since + 1, 0, 255)) {
        uint16_t *at = row + x, value = flat->decoding ? 0 : *at;
        int w = AT(-1, 0), changes = 0;
        flat->even[x] = AT(0, 1) == AT(0, 2) ? (uint8_t)within(flat->even[x] + 1, 0, 255) : 0;
        if (x % BLOCK == 0) {
            in_block = x + BLOCK <= width && calm_block(at, stride);
            if (in_block) {
                int other = 0;
                for (int i = 0; i < BLOCK && !flat->decoding; i++) other |= at[i] != w;
                choose_calm(flat, at, x, since, 0);
                if (!mixer_decide(mixer, IS_BLOCK, 0, other)) {
                    for (int i = 0; i < BLOCK; i++) {
                        at[i] = (uint16_t)w;
                        if (i) flat->even[x + i] = (uint8_t)within(flat->even[x + i] + 1, 0, 255);
                    }
                    flat->length = 0;
                    x += BLOCK - 1;
                    since = within(since + BLOCK - 1, 0, 255);
                    continue;
                }
            }
        }
        if (calm(at, stride)) {
            choose_calm(flat, at, x, since, in_block ? BLOCK - x % BLOCK : 0);
            changes = mixer_decide(mixer, IS_CHANGE, 0, value != w);
            if (!changes) {
                *at = (uint16_t)w;
                flat->length = 0;
                continue;
            }
            flat->events[0]++;
            flat->gap = since;
            since = in_block = 0;
        } else if (w != AT(0, 1)) {
            since = 0;
        }
        *at = (uint16_t)code_pixel(flat, at, x, changes, value);
    }
    flat->row++;
}

// ---- the whole

static Flat *flat_open(int width, int height, int colours, int channels, int background,
                       RangeEncoder *encoder, RangeDecoder *decoder) {
    Flat *flat = allocate(sizeof *flat);
    if (!flat) return NULL;
    *flat = (Flat){.width = width, .colours = colours, .channels = channels, .decoding = !!decoder};
    while (1 << flat->depth < colours) flat->depth++;
    int slot_bits = 16;
    while (slot_bits < 22 && 1 << slot_bits < 4 * width * height) slot_bits++;
    flat->mixer = mixer_open(slot_bits, encoder, decoder);
    flat->stride = (size_t)width + 2 * MARGIN;
    size_t places = flat->stride * (height + ROWS_ABOVE);
    flat->canvas = allocate(places * sizeof *flat->canvas);
    flat->even = allocate((size_t)width + BLOCK);
    flat->last = allocate(sizeof *flat->last << MATCH_BITS);
    flat->palette = allocate((size_t)colours * channels);
    if (!flat->mixer || !flat->canvas || !flat->even || !flat->last || !flat->palette) return NULL;
    for (size_t i = 0; i < places; i++) flat->canvas[i] = (uint16_t)background;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j <= LONGEST; j++) flat->trust[i][j] = (uint16_t)(32768 + 900 * j);
    return flat;
}

static int fits(int width, int height) {
    return width > 0 && height > 0 && (uint64_t)width * height <= FLAT_MAX_PIXELS;
}

// Makes ready to decode what follows a payload's header: *opened, or an error.
int flat_decode_open(Flat **opened, RangeDecoder *coder, const uint8_t *body, size_t size,
                     int width, int height) {
    if (!fits(width, height)) return ERROR_TOO_LARGE;
    if (size < HEAD) return ERROR_LATENTS;
    int told = body[0] | body[1] << 8, background = body[2] | body[3] << 8;
    int colours = (told & ~HAS_ALPHA) + 1;
    if (colours > MOST_COLOURS || background >= colours) return ERROR_LATENTS;
    int channels = told & HAS_ALPHA ? 4 : 3;
    range_decoder_open(coder, body + HEAD, size - HEAD);
    Flat *flat = *opened = flat_open(width, height, colours, channels, background, NULL, coder);
    if (!flat) return ERROR_MEMORY;
    code_palette(flat);
    return 0;
}

int flat_channels(const Flat *flat) { return flat->channels; }

// Decodes a row of pixels. 0, or an error.
int flat_decode_row(Flat *flat, uint8_t *pixels) {
    const uint16_t *row = flat->canvas + (flat->row + ROWS_ABOVE) * flat->stride + MARGIN;
    code_row(flat);
    for (int x = 0; x < flat->width; x++, pixels += flat->channels) {
        if (row[x] >= flat->colours) {
            flat->row--;  // or a caller that goes on would get beyond the canvas
            return ERROR_LATENTS;
        }
        __builtin_memcpy(pixels, flat->palette + row[x] * flat->channels, flat->channels);
    }
    return 0;
}

// Codes a picture of palette indices, [height][width]: what follows a payload's header. Returns its
// size, or an error.
EXPORT_TO_BUILDS("sc_flat")
int32_t sc_flat(const uint16_t *indices, int32_t width, int32_t height, const uint8_t *palette,
                int32_t colours, int32_t channels, int32_t background, uint8_t *body,
                size_t capacity) {
    if (!fits(width, height)) return ERROR_TOO_LARGE;
    if (capacity < HEAD) return ERROR_CAPACITY;
    RangeEncoder coder;
    range_encoder_open(&coder, body + HEAD, capacity - HEAD);
    Flat *flat = flat_open(width, height, colours, channels, background, &coder, NULL);
    if (!flat) return ERROR_MEMORY;
    for (int y = 0; y < height; y++)
        __builtin_memcpy(flat->canvas + (y + ROWS_ABOVE) * flat->stride + MARGIN,
                         indices + (size_t)y * width, (size_t)width * sizeof *indices);
    __builtin_memcpy(flat->palette, palette, (size_t)colours * channels);
    code_palette(flat);
    for (int y = 0; y < height; y++) code_row(flat);
    size_t size = range_encoder_close(&coder);
    if (size == SIZE_MAX) return ERROR_CAPACITY;
    size_t least = (size_t)least_bytes((uint64_t)width * height);
    if (capacity + HEADER_BYTES < least) return ERROR_CAPACITY;
    for (; size + HEAD + HEADER_BYTES < least; size++) body[HEAD + size] = 0;
    int told = (colours - 1) | (channels == 4 ? HAS_ALPHA : 0);
    body[0] = (uint8_t)told, body[1] = (uint8_t)(told >> 8);
    body[2] = (uint8_t)background, body[3] = (uint8_t)(background >> 8);
    return (int32_t)(size + HEAD);
}
