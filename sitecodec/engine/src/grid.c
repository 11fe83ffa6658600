// A grid of small integers (Stable Diffusion's latents, quantised) <-> bits, by adaptive binary
// arithmetic coding. docs/format.md, "Grid coding", is the specification.
//
// Each value is predicted from its neighbours and from the channels before it at its place, with
// weights that the payload carries. What is left is taken as logistic, its scale learnt in
// contexts of the errors around it; the few binary decisions that name a value get their
// probability from that, corrected by how such decisions came out so far.
#include "engine.h"
#include "tail.h"

enum { MAX_GRID_CHANNELS = 16, SPATIAL = 6 };     // neighbours: W N NW NE WW NN
enum { VALUE_MIN = -128, VALUE_MAX = 127 };
enum { ACTIVITIES = 8, CROSSES = 3 };             // scale contexts
enum { ZERO, SIGN, FIRST, LATER, DECISIONS };     // kinds of binary decision
enum { BUCKETS = 16, UNARY = 40 };
enum { SCALE_LIMIT = 255, CALIBRATION_LIMIT = 1024 };
enum { PROBABILITY_MIN = 32, PROBABILITY_MAX = 65536 - 32 };

typedef struct { uint32_t total, count; } Scale;  // of absolute errors, in 1/64
typedef struct { uint32_t ones, expected, count; } Calibration;  // sums in 1/256

typedef struct {
    int base;                 // mean absolute error, in 1/64
    int bias;                 // in 1/16
    int pull;                 // of the decoded value towards its prediction, in 1/256
    int spatial[SPATIAL];     // in 1/64
    int cross[MAX_GRID_CHANNELS];  // on the errors of the channels before, in 1/64
    Scale scales[CROSSES][ACTIVITIES];
    Calibration calibrations[DECISIONS][BUCKETS];
} Channel;

typedef struct {
    int width, height, channels, x, y;
    Channel *channel;
    int8_t *values;           // [3 rows][width][channels]
    uint16_t *errors;         // [2 rows][width][channels], |value - prediction| in 1/64
    int error[MAX_GRID_CHANNELS];  // at this place, signed
    RangeEncoder *encoder;    // one of the two
    RangeDecoder *decoder;
} Grid;

typedef struct { int prediction, center; uint64_t inverse; Scale *scale; } Expected;

static int limit(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

// A channel's parameters as the payload has them; returns what follows, NULL beyond `end`.
static const uint8_t *read_channel(Channel *channel, int index, const uint8_t *from,
                                   const uint8_t *end) {
    if (end - from < 3 + SPATIAL + index) return NULL;
    int base = 1 << (from[0] >> 4);
    channel->base = base + ((base * (from[0] & 15)) >> 4);
    channel->pull = from[1];
    channel->bias = (int8_t)from[2];
    for (int i = 0; i < SPATIAL; i++) channel->spatial[i] = (int8_t)from[3 + i];
    for (int k = 0; k < index; k++) channel->cross[k] = (int8_t)from[3 + SPATIAL + k];
    static const uint8_t activity[ACTIVITIES] = {7, 9, 11, 13, 16, 20, 26, 40};
    static const uint8_t cross[CROSSES] = {13, 16, 20};
    for (int j = 0; j < CROSSES; j++)
        for (int i = 0; i < ACTIVITIES; i++) {
            uint32_t scale = (uint32_t)(channel->base * activity[i] * cross[j]) >> 8;
            channel->scales[j][i] = (Scale){4 * (scale ? scale : 1), 4};
        }
    return from + 3 + SPATIAL + index;
}

static int grid_open(Grid *grid, int width, int height, int channels, const uint8_t *parameters,
                     size_t size) {
    if (width < 1 || height < 1 || width > 32768 || height > 32768) return ERROR_TOO_LARGE;
    if (channels < 1 || channels > MAX_GRID_CHANNELS) return ERROR_LATENTS;
    size_t line = (size_t)width * channels;
    *grid = (Grid){.width = width, .height = height, .channels = channels};
    grid->channel = allocate(channels * sizeof *grid->channel);
    grid->values = allocate(3 * line);
    grid->errors = allocate(2 * line * sizeof *grid->errors);
    if (!grid->channel || !grid->values || !grid->errors) return ERROR_MEMORY;
    const uint8_t *end = parameters + size;
    for (int c = 0; c < channels; c++) {
        parameters = read_channel(&grid->channel[c], c, parameters, end);
        if (!parameters) return ERROR_LATENTS;
    }
    return parameters == end ? 0 : ERROR_LATENTS;
}

static int value_at(const Grid *grid, int back, int x, int c) {
    return grid->values[((size_t)((grid->y - back + 3) % 3) * grid->width + x) * grid->channels + c];
}

static int error_at(const Grid *grid, int back, int x, int c) {
    return grid->errors[((size_t)((grid->y - back) & 1) * grid->width + x) * grid->channels + c];
}

static Expected expect(const Grid *grid, int c) {
    Channel *channel = &grid->channel[c];
    int x = grid->x, y = grid->y, last = grid->width - 1;
    int v[SPATIAL] = {0}, a = 16;  // activity, where 16 is usual
    if (x || y) {
        int w = x ? value_at(grid, 0, x - 1, c) : value_at(grid, 1, x, c);
        int n = y ? value_at(grid, 1, x, c) : w;
        v[0] = w;
        v[1] = n;
        v[2] = x && y ? value_at(grid, 1, x - 1, c) : n;
        v[3] = y && x < last ? value_at(grid, 1, x + 1, c) : n;
        v[4] = x > 1 ? value_at(grid, 0, x - 2, c) : w;
        v[5] = y > 1 ? value_at(grid, 2, x, c) : n;
        int ew = x ? error_at(grid, 0, x - 1, c) : error_at(grid, 1, x, c);
        int en = y ? error_at(grid, 1, x, c) : ew;
        int enw = x && y ? error_at(grid, 1, x - 1, c) : en;
        int ene = y && x < last ? error_at(grid, 1, x + 1, c) : en;
        a = 2 * (3 * ew + 3 * en + enw + ene) / channel->base;
    }
    int prediction = channel->bias * 4;
    for (int i = 0; i < SPATIAL; i++) prediction += channel->spatial[i] * v[i];
    int cross = 0;
    for (int k = 0; k < c; k++) {
        int error = grid->error[k];
        prediction += (channel->cross[k] * error) >> 6;
        cross += 16 * (error < 0 ? -error : error) / grid->channel[k].base;
    }
    prediction = limit(prediction, 64 * VALUE_MIN, 64 * VALUE_MAX);
    static const uint8_t edges[ACTIVITIES - 1] = {8, 10, 12, 15, 18, 23, 31};
    int i = 0;
    while (i < ACTIVITIES - 1 && a >= edges[i]) i++;
    int j = !c || (cross >= 9 * c && cross < 20 * c) ? 1 : cross < 9 * c ? 0 : 2;
    Scale *scale = &channel->scales[j][i];
    // 16 table steps per unit, ln 4 mean absolute errors per unit, 24 fractional bits
    uint64_t inverse = scale->count * 372130559ull / scale->total;
    return (Expected){prediction, (prediction + 32) >> 6, inverse, scale};
}

// 2^24 times the share beyond an edge that lies `distance` / 64 past the prediction.
static uint32_t tail(int distance, uint64_t inverse) {
    if (distance < 0) return (1u << 24) - tail(-distance, inverse);
    uint64_t z = distance * inverse >> 16;  // 1/256 of a table step
    uint32_t i = (uint32_t)(z >> 8 < TAIL_SIZE ? z >> 8 : TAIL_SIZE);
    if (i >= TAIL_SIZE - 1) return 1;
    return TAIL[i] - (((TAIL[i] - TAIL[i + 1]) * (uint32_t)(z & 255)) >> 8) + 1;
}

// The share above value v's lower edge, seen from the prediction in direction `sign`.
static uint32_t beyond(const Expected *e, int steps, int sign) {
    int edge = 64 * (e->center + sign * steps) - 32 * sign;
    return tail(sign * (edge - e->prediction), e->inverse);
}

static uint32_t share(uint32_t part, uint32_t rest) {
    return (uint32_t)(((uint64_t)part << 16) / (part + rest));
}

static Calibration *calibration(Channel *channel, int kind, uint32_t p) {
    return &channel->calibrations[kind][p >> 12 < BUCKETS ? p >> 12 : BUCKETS - 1];
}

// The probability of a one in 1/65,536: p, with its odds corrected by what came of such decisions.
static uint32_t calibrated(const Calibration *seen, uint32_t p) {
    p = p < PROBABILITY_MIN ? PROBABILITY_MIN : p > PROBABILITY_MAX ? PROBABILITY_MAX : p;
    uint64_t prior = 16 << 8, zeros = ((uint64_t)seen->count << 8) - seen->ones;
    uint64_t unexpected = ((uint64_t)seen->count << 8) - seen->expected;
    uint64_t one = (p * (seen->ones + prior) * (unexpected + prior)) >> 8;
    uint64_t zero = ((65536 - p) * (zeros + prior) * (seen->expected + prior)) >> 8;
    uint32_t result = (uint32_t)((one << 16) / (one + zero));
    return result < PROBABILITY_MIN   ? PROBABILITY_MIN
           : result > PROBABILITY_MAX ? PROBABILITY_MAX
                                      : result;
}

static void learn(Calibration *seen, uint32_t p, int bit) {
    p = p < PROBABILITY_MIN ? PROBABILITY_MIN : p > PROBABILITY_MAX ? PROBABILITY_MAX : p;
    seen->ones += (uint32_t)bit << 8;
    seen->expected += p >> 8;
    if (++seen->count < CALIBRATION_LIMIT) return;
    seen->ones >>= 1;
    seen->expected >>= 1;
    seen->count >>= 1;
}

// Codes one decision whose modelled probability of a one is p / 65,536; gives back the bit.
static int decide(Grid *grid, Channel *channel, int kind, uint32_t p, int bit) {
    Calibration *seen = calibration(channel, kind, p);
    bit = range_code_bit(grid->encoder, grid->decoder, calibrated(seen, p), bit);
    learn(seen, p, bit);
    return bit;
}

static int plain_bit(Grid *grid, int bit) {
    if (grid->encoder) {
        range_encode(grid->encoder, (uint32_t)bit << 15, 32768);
    } else {
        bit = (int)(range_decode_target(grid->decoder) >> 15);
        range_decode_consume(grid->decoder, (uint32_t)bit << 15, 32768);
    }
    return bit;
}

// What is left above UNARY, as an Exp-Golomb number.
static int code_rest(Grid *grid, int rest) {
    int bits = 0;
    if (grid->encoder)
        while ((rest + 1) >> (bits + 1)) bits++;
    int sent = 0;
    while (sent < 9 && plain_bit(grid, sent < bits)) sent++;
    int value = 1;
    for (int i = sent - 1; i >= 0; i--) value = value << 1 | plain_bit(grid, (rest + 1) >> i & 1);
    return value - 1;
}

// Codes the value of channel c at the present place; gives it back.
static int code_value(Grid *grid, int c, const Expected *e, int value) {
    Channel *channel = &grid->channel[c];
    int offset = value - e->center;
    uint32_t above = beyond(e, 1, 1), below = beyond(e, 1, -1), whole = 1u << 24;
    uint32_t middle = above + below < whole ? whole - above - below : 1;
    if (decide(grid, channel, ZERO, share(middle, above + below), offset == 0)) return e->center;
    int sign = decide(grid, channel, SIGN, share(below, above), offset < 0) ? -1 : 1;
    int size = 1;
    uint32_t here = sign < 0 ? below : above;
    for (; size < UNARY; size++) {
        uint32_t next = beyond(e, size + 1, sign);
        uint32_t stay = here > next ? here - next : 1;
        if (decide(grid, channel, size == 1 ? FIRST : LATER, share(stay, next), sign * offset == size))
            break;
        here = next;
    }
    if (size == UNARY) size += code_rest(grid, sign * offset - UNARY);
    return e->center + sign * size;
}

static uint32_t decision_cost(Channel *channel, int kind, uint32_t p, int bit) {
    uint32_t one = calibrated(calibration(channel, kind, p), p);
    return range_cost(bit ? one : 65536 - one);
}

static uint32_t value_cost(Channel *channel, const Expected *e, int value) {
    int offset = value - e->center, sign = offset < 0 ? -1 : 1;
    uint32_t above = beyond(e, 1, 1), below = beyond(e, 1, -1), whole = 1u << 24;
    uint32_t middle = above + below < whole ? whole - above - below : 1;
    uint32_t cost = decision_cost(channel, ZERO, share(middle, above + below), offset == 0);
    if (!offset) return cost;
    cost += decision_cost(channel, SIGN, share(below, above), offset < 0);
    uint32_t here = sign < 0 ? below : above;
    for (int size = 1; size < UNARY && size <= sign * offset; size++) {
        uint32_t next = beyond(e, size + 1, sign);
        uint32_t stay = here > next ? here - next : 1;
        cost += decision_cost(channel, size == 1 ? FIRST : LATER, share(stay, next),
                              sign * offset == size);
        here = next;
    }
    return cost;
}

static void remember(Grid *grid, int c, const Expected *e, int value) {
    size_t x = (size_t)grid->x * grid->channels + c, line = (size_t)grid->width * grid->channels;
    int error = 64 * value - e->prediction, size = error < 0 ? -error : error;
    grid->values[(size_t)(grid->y % 3) * line + x] = (int8_t)value;
    grid->errors[(size_t)(grid->y & 1) * line + x] = (uint16_t)size;
    grid->error[c] = error;
    e->scale->total += (uint32_t)size;
    if (++e->scale->count < SCALE_LIMIT) return;
    e->scale->total = (e->scale->total + 1) >> 1;
    e->scale->count >>= 1;
}

// The decoded value in 1/64: pulled from the middle of its step towards the prediction.
static int reconstructed(const Channel *channel, const Expected *e, int value) {
    int towards = limit(e->prediction - 64 * value, -32, 32);
    return 64 * value + ((towards * channel->pull + 128) >> 8);
}

// The cheapest value for `wanted` / 64: squared error in steps, plus `lambda` / 65,536 per bit.
static int choose(Grid *grid, int c, const Expected *e, int wanted, uint32_t lambda) {
    int nearest = limit((wanted + 32) >> 6, VALUE_MIN, VALUE_MAX);
    if (!lambda) return nearest;
    int best = nearest;
    uint64_t least = ~0ull;
    int inward = e->center > nearest ? 1 : e->center < nearest ? -1 : 0;
    for (int i = 0; i < (inward ? 3 : 1); i++) {
        int value = nearest + i * inward;
        if ((e->center - value) * inward < 0) break;
        int error = wanted - reconstructed(&grid->channel[c], e, value);
        uint64_t cost = ((uint64_t)error * error << 12) +
                        (uint64_t)value_cost(&grid->channel[c], e, value) * lambda;
        if (cost < least) least = cost, best = value;
    }
    return best;
}

// Codes [height][width][channels] of `source`, in 1/64 of a step, into `out`. `chosen` receives
// the values (-128…127). Returns the size, or an error.
EXPORT_TO_BUILDS("sc_grid_encode")
int32_t sc_grid_encode(const uint8_t *parameters, size_t parameters_size, const int16_t *source,
                       int32_t width, int32_t height, int32_t channels, uint32_t lambda,
                       int8_t *chosen, uint8_t *out, size_t capacity) {
    Grid grid;
    int error = grid_open(&grid, width, height, channels, parameters, parameters_size);
    if (error) return error;
    RangeEncoder coder;
    range_encoder_open(&coder, out, capacity);
    grid.encoder = &coder;
    for (grid.y = 0; grid.y < height; grid.y++)
        for (grid.x = 0; grid.x < width; grid.x++)
            for (int c = 0; c < channels; c++) {
                Expected e = expect(&grid, c);
                int value = choose(&grid, c, &e, *source++, lambda);
                code_value(&grid, c, &e, value);
                remember(&grid, c, &e, value);
                *chosen++ = (int8_t)value;
            }
    size_t size = range_encoder_close(&coder);
    return size == SIZE_MAX ? ERROR_CAPACITY : (int32_t)size;
}

// Decodes into `values`, in 1/64 of a step. Returns 0, or an error.
EXPORT_TO_BUILDS("sc_grid_decode")
int32_t sc_grid_decode(const uint8_t *parameters, size_t parameters_size, const uint8_t *in,
                       size_t size, int32_t width, int32_t height, int32_t channels,
                       int16_t *values) {
    Grid grid;
    int error = grid_open(&grid, width, height, channels, parameters, parameters_size);
    if (error) return error;
    RangeDecoder coder;
    range_decoder_open(&coder, in, size);
    grid.decoder = &coder;
    for (grid.y = 0; grid.y < height; grid.y++)
        for (grid.x = 0; grid.x < width; grid.x++)
            for (int c = 0; c < channels; c++) {
                Expected e = expect(&grid, c);
                int value = code_value(&grid, c, &e, 0);
                if (value < VALUE_MIN || value > VALUE_MAX) return ERROR_LATENTS;
                remember(&grid, c, &e, value);
                *values++ = (int16_t)reconstructed(&grid.channel[c], &e, value);
            }
    return 0;
}
