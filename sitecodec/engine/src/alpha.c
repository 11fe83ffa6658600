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
    if (alpha->pricing) {
        alpha->price += range_cost(bit ? one : 65536 - one);
        return bit;
    }
    bit = range_code_bit(alpha->encoder, alpha->decoder, one, bit);
    if (bit) seen->probability += (65536 - one) / seen->pace;
    else seen->probability -= one / seen->pace;
    if (seen->pace < SLOWEST) seen->pace++;
    return bit;
}

static int plain_bit(Alpha *alpha, int bit) {
    if (alpha->pricing) {
        alpha->price += 256;
    } else if (alpha->encoder) {
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

// What is around a pixel and decides how it is written.
typedef struct { int kinds, step, predicted, pattern; } Around;

static Around around(const uint8_t *at, const uint8_t *above, const uint8_t *second) {
    int w = at[-1], n = *above, nw = above[-1], ne = above[1], nn = *second;
    int kinds = kind_of(w) + 3 * kind_of(n) + 9 * kind_of(nw) + 27 * kind_of(ne);
    int step = most(most(size_of(w - nw), size_of(n - nw)), size_of(ne - n));
    // A slope goes on; elsewhere, or along an axis, LOCO-I's median edge detector.
    int low = least(w, n), high = most(w, n);
    int slopes = step >= SLOPE && nw != w && nw != n;
    int predicted = slopes ? (3 * (w + n) - 2 * nw + ne - nn + 2) >> 2
                           : most(low, least(w + n - nw, high));
    int pattern = ((near(w - nw) * 5 + near(n - nw)) * 5 + near(ne - n)) * 5 + near(n - nn);
    return (Around){kinds, step, most(1, least(predicted, 254)), pattern};
}

static int code_value(Alpha *alpha, Around here, int value) {
    AlphaModel *model = alpha->model;
    if (!decide(alpha, &model->between[here.kinds], kind_of(value) == 1))
        return decide(alpha, &model->opaque[here.kinds], value == 255) ? 255 : 0;
    if (here.step >= STEEP) return steep_value(alpha, model->steep[here.kinds % 9], value);
    int slope = length_of(here.step), difference = value - here.predicted;
    return here.predicted + gentle_difference(alpha, here.pattern, slope, difference);
}

// The value near the wanted one that is the best bargain: `slack` is the squared error that a bit
// is worth, on a steep edge, which hides it, sixteen times that. Transparent or opaque stays so.
static int bargain(Alpha *alpha, Around here, int wanted) {
    uint32_t best = UINT32_MAX, slack = alpha->slack * (here.step >= STEEP ? 16 : 1);
    int value = wanted;
    alpha->pricing = 1;
    for (int away = 0; away < 256 && (uint32_t)(away * away) << 8 < best; away++)
        for (int sign = -1; sign <= 1; sign += 2) {
            int other = wanted + sign * away;
            if (other < 0 || other > 255) continue;
            alpha->price = 0;
            code_value(alpha, here, other);
            uint32_t cost = ((uint32_t)(away * away) << 8) + alpha->price * slack;
            if (cost < best) best = cost, value = other;
        }
    alpha->pricing = 0;
    return value;
}

// One row: `values` are read by an encoder, and written.
void alpha_row(Alpha *alpha, uint8_t *values) {
    size_t stride = alpha->width + 2 * MARGIN;
    int row = alpha->row++;
    uint8_t *at = alpha->rows + (row + 2) % 3 * stride + MARGIN;
    const uint8_t *above = alpha->rows + (row + 1) % 3 * stride + MARGIN;
    const uint8_t *second = alpha->rows + row % 3 * stride + MARGIN;
    for (int x = 0; x < alpha->width; x++) {
        Around here = around(at + x, above + x, second + x);
        int value = alpha->encoder ? values[x] : 0;
        if (alpha->slack && kind_of(value) == 1) value = bargain(alpha, here, value);
        values[x] = at[x] = (uint8_t)code_value(alpha, here, value);
    }
}

// Codes the plane of a picture: the section of a payload, its size first. With `slack` over 0 it is
// changed where that saves more bits than it costs error, in place. Returns the size of all that,
// or an error.
EXPORT_TO_BUILDS("sc_alpha")
int32_t sc_alpha(uint8_t *plane, int32_t width, int32_t height, uint32_t slack, uint8_t *section,
                 size_t capacity) {
    if (width < 1 || height < 1 || width > 65536 || height > 65536) return ERROR_TOO_LARGE;
    if (capacity < ALPHA_SIZE) return ERROR_CAPACITY;
    Alpha alpha;
    RangeEncoder coder;
    range_encoder_open(&coder, section + ALPHA_SIZE, capacity - ALPHA_SIZE);
    if (alpha_open(&alpha, width, &coder, NULL)) return ERROR_MEMORY;
    alpha.slack = slack;
    for (int row = 0; row < height; row++) alpha_row(&alpha, plane + (size_t)row * width);
    size_t size = range_encoder_close(&coder);
    if (size == SIZE_MAX) return ERROR_CAPACITY;
    for (int i = 0; i < ALPHA_SIZE; i++) section[i] = (uint8_t)(size >> 8 * i);
    return (int32_t)(size + ALPHA_SIZE);
}
