// A picture's alpha plane <-> bits, without loss: docs/format.md, "Alpha", is the specification.
//
// Most planes are transparent and opaque areas with soft edges. So a pixel is first told to be one
// of these or between, by what its neighbours are. Between, a steep edge is written bit by bit; a
// gentle slope as the difference from a prediction, under the pattern of the slopes around it.
#include "engine.h"

enum { SLOWEST = 20, MARGIN = 1 };
enum { SLOPE = 6, STEEP = 64 };  // a step from one pixel to the next

static int decide(Alpha *alpha, Decision *seen, int bit) {
    uint32_t one = seen->probability;
    if (alpha->encoder) {
        range_encode(alpha->encoder, bit ? 0 : one, bit ? one : 65536 - one);
    } else {
        bit = range_decode_target(alpha->decoder) < one;
        range_decode_consume(alpha->decoder, bit ? 0 : one, bit ? one : 65536 - one);
    }
    if (bit) seen->probability += (65536 - one) / seen->pace;
    else seen->probability -= one / seen->pace;
    if (seen->pace < SLOWEST) seen->pace++;
    return bit;
}

static int plain_bit(Alpha *alpha, int bit) {
    if (alpha->encoder) {
        range_encode(alpha->encoder, (uint32_t)bit << 15, 32768);
    } else {
        bit = range_decode_target(alpha->decoder) >> 15;
        range_decode_consume(alpha->decoder, (uint32_t)bit << 15, 32768);
    }
    return bit;
}

// 0, or ERROR_MEMORY. Of the two coders one is NULL.
int alpha_open(Alpha *alpha, int width, RangeEncoder *encoder, RangeDecoder *decoder) {
    *alpha = (Alpha){.width = width, .encoder = encoder, .decoder = decoder};
    alpha->model = allocate(sizeof *alpha->model);
    alpha->rows = allocate(3 * (size_t)(width + 2 * MARGIN));
    if (!alpha->model || !alpha->rows) return ERROR_MEMORY;
    Decision *decisions = (Decision *)alpha->model;
    for (size_t i = 0; i < sizeof *alpha->model / sizeof *decisions; i++)
        decisions[i] = (Decision){32768, 2};
    return 0;
}

static int size_of(int value) { return value < 0 ? -value : value; }
static int most(int a, int b) { return a > b ? a : b; }
static int least(int a, int b) { return a < b ? a : b; }
static int kind_of(int value) { return value == 0 ? 0 : value == 255 ? 2 : 1; }
static int near(int difference) { return most(-2, least(difference, 2)) + 2; }
static int length_of(int value) { return value ? 32 - __builtin_clz(value) : 0; }

static int steep_value(Alpha *alpha, Decision *tree, int value) {
    int node = 1;
    for (int i = 7; i >= 0; i--) node = node << 1 | decide(alpha, &tree[node], value >> i & 1);
    return node - 256;
}

// The difference from the prediction. `pattern` is that of the steps around, `slope` the bits of the
// largest.
static int gentle_difference(Alpha *alpha, int pattern, int slope, int difference) {
    AlphaModel *model = alpha->model;
    if (!decide(alpha, &model->differs[pattern], difference != 0)) return 0;
    int below = decide(alpha, &model->below[pattern], difference < 0);
    int size = size_of(difference), given = length_of(size), length = 1;
    if (decide(alpha, &model->more[pattern][below], given > 1))
        for (length = 2; length < 8; length++)
            if (!decide(alpha, &model->longer[slope][length], given > length)) break;
    int value = 1;
    for (int i = length - 2; i >= 0; i--) {
        int bit = size >> i & 1;
        bit = i == length - 2 ? decide(alpha, &model->half[slope][length], bit)
                              : plain_bit(alpha, bit);
        value = value << 1 | bit;
    }
    return below ? -value : value;
}

// One row: `values` are read by an encoder and written by a decoder.
void alpha_row(Alpha *alpha, uint8_t *values) {
    size_t stride = alpha->width + 2 * MARGIN;
    int row = alpha->row++;
    uint8_t *at = alpha->rows + (row + 2) % 3 * stride + MARGIN;
    const uint8_t *above = alpha->rows + (row + 1) % 3 * stride + MARGIN;
    const uint8_t *second = alpha->rows + row % 3 * stride + MARGIN;
    AlphaModel *model = alpha->model;
    for (int x = 0; x < alpha->width; x++) {
        int w = at[x - 1], n = above[x], nw = above[x - 1], ne = above[x + 1], nn = second[x];
        int kinds = kind_of(w) + 3 * kind_of(n) + 9 * kind_of(nw) + 27 * kind_of(ne);
        int value = alpha->encoder ? values[x] : 0;
        if (!decide(alpha, &model->between[kinds], kind_of(value) == 1)) {
            value = decide(alpha, &model->opaque[kinds], value == 255) ? 255 : 0;
        } else {
            int step = most(most(size_of(w - nw), size_of(n - nw)), size_of(ne - n));
            if (step >= STEEP) {
                value = steep_value(alpha, model->steep[kinds % 9], value);
            } else {
                // A slope goes on; elsewhere, or along an axis, LOCO-I's median edge detector.
                int low = least(w, n), high = most(w, n);
                int slopes = step >= SLOPE && nw != w && nw != n;
                int predicted = slopes ? (3 * (w + n) - 2 * nw + ne - nn + 2) >> 2
                                       : most(low, least(w + n - nw, high));
                predicted = most(1, least(predicted, 254));
                int pattern = ((near(w - nw) * 5 + near(n - nw)) * 5 + near(ne - n)) * 5 +
                              near(n - nn);
                value = predicted + gentle_difference(alpha, pattern, length_of(step),
                                                      value - predicted);
            }
        }
        values[x] = at[x] = (uint8_t)value;
    }
}

// Codes the plane of a picture: the section of a payload, its size first. Returns the size of all
// that, or an error.
EXPORT("sc_alpha")
int32_t sc_alpha(uint8_t *plane, int32_t width, int32_t height, uint8_t *section,
                 size_t capacity) {
    if (width < 1 || height < 1 || width > 65536 || height > 65536) return ERROR_TOO_LARGE;
    if (capacity < ALPHA_SIZE) return ERROR_CAPACITY;
    Alpha alpha;
    RangeEncoder coder;
    range_encoder_open(&coder, section + ALPHA_SIZE, capacity - ALPHA_SIZE);
    if (alpha_open(&alpha, width, &coder, NULL)) return ERROR_MEMORY;
    for (int row = 0; row < height; row++) alpha_row(&alpha, plane + (size_t)row * width);
    size_t size = range_encoder_close(&coder);
    if (size == SIZE_MAX) return ERROR_CAPACITY;
    for (int i = 0; i < ALPHA_SIZE; i++) section[i] = (uint8_t)(size >> 8 * i);
    return (int32_t)(size + ALPHA_SIZE);
}
