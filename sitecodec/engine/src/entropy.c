// Latents to bits and back. Each latent is coded under a Gaussian whose mean and scale a small
// network predicts from latents already coded: docs/format.md, "Entropy coding".
#include "engine.h"
#include "tables.h"

enum { MARGIN = 4, HISTORY = 4 };

int entropy_open(Entropy *entropy, Model *model, int width, uint32_t position) {
    size_t stride = (size_t)(width + 2 * MARGIN) * model->channels;
    *entropy = (Entropy){.model = model, .width = width};
    entropy->ring = allocate(HISTORY * stride * 2);
    entropy->hidden_a = allocate(model->context.outputs * 2 + 16);
    entropy->hidden_b = allocate(model->hidden.outputs * 2 + 16);
    entropy->parameters = allocate(model->output.outputs * 2 + 16);
    if (!entropy->ring || !entropy->hidden_a || !entropy->hidden_b || !entropy->parameters)
        return ERROR_MEMORY;
    layer_set_level(&model->context, position);
    layer_set_level(&model->hidden, position);
    layer_set_level(&model->output, position);
    return 0;
}

static int16_t *history(const Entropy *entropy, int row, int x) {
    size_t stride = (size_t)(entropy->width + 2 * MARGIN) * entropy->model->channels;
    return entropy->ring + (row & (HISTORY - 1)) * stride +
           (size_t)(x + MARGIN) * entropy->model->channels;
}

static void predict(Entropy *entropy, int x) {
    Model *model = entropy->model;
    const int16_t *rows[MAX_TAPS];
    for (int i = 0; i < model->taps; i++)
        rows[i] = history(entropy, entropy->row + HISTORY + model->tap_y[i], x + model->tap_x[i]);
    layer_row(&model->context, rows, 0, entropy->hidden_a, 1);
    const int16_t *a = entropy->hidden_a, *b = entropy->hidden_b;
    layer_row(&model->hidden, &a, 0, entropy->hidden_b, 1);
    layer_row(&model->output, &b, 0, entropy->parameters, 1);
}

static void remember(Entropy *entropy, int x, int channel, int latent) {
    int last = entropy->model->transform_size - 1, size = latent < 0 ? -latent : latent;
    int value = latent ? entropy->model->transform[size < last ? size : last] : 0;
    history(entropy, entropy->row, x)[channel] = (int16_t)(latent < 0 ? -value : value);
}

// The distribution of one latent: symbols 0…2·reach are the values center − reach…center + reach,
// symbol 2·reach + 1 is the escape.
typedef struct {
    int32_t mean, center, reach;  // mean in 1/64
    uint32_t inverse;             // 2^16 / scale
} Gaussian;

static Gaussian gaussian(const Entropy *entropy, int channel) {
    const Model *model = entropy->model;
    int index = entropy->parameters[model->channels + channel] + 128;
    index = index < 0 ? 0 : index >= model->scale_size ? model->scale_size - 1 : index;
    int32_t mean = entropy->parameters[channel];
    uint32_t inverse = model->inverse_scale[index];
    return (Gaussian){mean, (mean + 32) >> 6, (int32_t)(1 + 327680 / inverse), inverse};
}

// 65,536 times the share of the Gaussian below an edge, for an edge `distance` / 64 from the mean.
static uint32_t below(int32_t distance, uint32_t inverse) {
    uint32_t z = (uint32_t)(distance < 0 ? -distance : distance) * inverse >> 8;
    uint32_t i = z >> 8, share = 65536;
    if (i < PHI_SIZE - 1) share = PHI[i] + (((PHI[i + 1] - PHI[i]) * (z & 255) + 128) >> 8);
    return distance < 0 ? 65536 - share : share;
}

static uint32_t start_of(const Gaussian *g, int32_t symbol) {
    uint32_t count = 2 * g->reach + 1;
    if (symbol <= 0) return 0;
    if (symbol > (int32_t)count) return 65536;
    if (symbol == (int32_t)count) return 65535;
    int32_t edge = 64 * (g->center - g->reach + symbol) - 32 - g->mean;
    return symbol + (below(edge, g->inverse) * (65535 - count) >> 16);
}

static void encode_bit(RangeEncoder *coder, uint32_t bit) { range_encode(coder, bit << 15, 32768); }

static uint32_t decode_bit(RangeDecoder *coder) {
    uint32_t bit = range_decode_target(coder) >> 15;
    range_decode_consume(coder, bit << 15, 32768);
    return bit;
}

static void encode_latent(const Gaussian *g, RangeEncoder *coder, int32_t latent) {
    int32_t offset = latent - g->center, size = offset < 0 ? -offset : offset;
    if (size <= g->reach) {
        uint32_t start = start_of(g, offset + g->reach);
        range_encode(coder, start, start_of(g, offset + g->reach + 1) - start);
        return;
    }
    range_encode(coder, 65535, 1);
    encode_bit(coder, offset < 0);
    uint32_t rest = size - g->reach;  // ≥ 1, Exp-Golomb
    int bits = 31 - __builtin_clz(rest);
    for (int i = 0; i < bits; i++) encode_bit(coder, 1);
    encode_bit(coder, 0);
    for (int i = bits - 1; i >= 0; i--) encode_bit(coder, rest >> i & 1);
}

static int decode_latent(const Gaussian *g, RangeDecoder *coder, int32_t *latent) {
    uint32_t target = range_decode_target(coder);
    if (target == 65535) {
        range_decode_consume(coder, 65535, 1);
        int negative = decode_bit(coder), bits = 0;
        while (decode_bit(coder))
            if (++bits > 16) return ERROR_LATENTS;
        uint32_t rest = 1;
        for (int i = 0; i < bits; i++) rest = rest << 1 | decode_bit(coder);
        int32_t size = (int32_t)rest + g->reach;
        *latent = g->center + (negative ? -size : size);
        return *latent > LATENT_MAX || *latent < -LATENT_MAX ? ERROR_LATENTS : 0;
    }
    int32_t low = 0, high = 2 * g->reach + 1;  // start_of(low) ≤ target < start_of(high)
    uint32_t start = 0, end = 65535;
    for (int32_t probe = g->reach; high - low > 1;) {
        uint32_t at = start_of(g, probe);
        if (at <= target) low = probe, start = at;
        else high = probe, end = at;
        // The likely symbols lie at the centre: look there before halving what is left.
        probe = low == g->reach && high > low + 1 && probe == low ? low + 1 : (low + high) >> 1;
    }
    range_decode_consume(coder, start, end - start);
    *latent = g->center - g->reach + low;
    return 0;
}

// A latent, or its neighbour towards the mean if that is the better bargain.
static int bargain(const Gaussian *g, int latent, int rest, uint32_t price) {
    int offset = latent - g->center, symbol = offset + g->reach, nearer = symbol - 1;
    if (offset < 0) nearer = symbol + 1, rest = -rest;
    if (!offset || symbol < 0 || symbol > 2 * g->reach) return latent;
    uint32_t share = start_of(g, symbol + 1) - start_of(g, symbol);
    uint32_t other = start_of(g, nearer + 1) - start_of(g, nearer);
    return latent + (rounding_pays(share, other, -rest, price) ? nearer - symbol : 0);
}

int entropy_encode_row(Entropy *entropy, RangeEncoder *coder, const int16_t *latents,
                       const Rounding *rounding) {
    int channels = entropy->model->channels;
    for (int x = 0; x < entropy->width; x++) {
        predict(entropy, x);
        for (int c = 0; c < channels; c++) {
            int latent = *latents++;
            Gaussian g = gaussian(entropy, c);
            if (rounding)
                latent = bargain(&g, latent, rounding->rest[x * channels + c],
                                 rounding->strength * rounding->prices[x] >> 8);
            encode_latent(&g, coder, latent);
            remember(entropy, x, c, latent);
        }
    }
    entropy->row++;
    return 0;
}

int entropy_decode_row(Entropy *entropy, RangeDecoder *coder, int16_t *latents) {
    for (int x = 0; x < entropy->width; x++) {
        predict(entropy, x);
        for (int c = 0; c < entropy->model->channels; c++) {
            int32_t latent = 0;
            Gaussian g = gaussian(entropy, c);
            int error = decode_latent(&g, coder, &latent);
            if (error) return error;
            *latents++ = (int16_t)latent;
            remember(entropy, x, c, latent);
        }
    }
    entropy->row++;
    return 0;
}
