// What the module exports: a payload in, rows of pixels out, and for builds the other way round.
#include "engine.h"

enum { VERSION_OPAQUE = 1, VERSION_ALPHA = 2, CODEC_WEB = 0, CODEC_FLAT = 2 };
enum { MAX_QUALITY = 10000 };  // qualities are in hundredths

static uint32_t little(const uint8_t *from, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint32_t)from[i] << 8 * i;
    return value;
}

static void put_little(uint8_t *to, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static int padded(int size) { return (size + STRIDE - 1) / STRIDE * STRIDE; }

// A quality's place among a model's levels, in 1/4096 of a level.
static uint32_t position_of(const Model *model, uint32_t quality) {
    return (quality * (uint32_t)(model->levels - 1) * 4096 + MAX_QUALITY / 2) / MAX_QUALITY;
}

static uint32_t checksum(const uint8_t *payload, size_t size) {
    return crc32(crc32(0, payload, 16), payload + HEADER_BYTES, size - HEADER_BYTES);
}

// Multiplications of a model for a picture: what a core does in a minute or two.
static const uint64_t MOST_WORK = 1ull << 40;

typedef struct {
    int width, height, row;  // pixels; the next row to be read
    RangeDecoder coder;
    Entropy entropy;
    Gain *gains;
    int16_t *latents;
    Graph *graph;
    int channels;            // of what is read: 3, or 4 with alpha
    RangeDecoder alpha_coder;
    Alpha alpha;
    uint8_t *alpha_values;   // of a row
    Flat *flat;              // instead of all that, for a picture of few colours
} Decoder;

static int next_latents(void *context, int row, int16_t *out) {
    (void)row;
    Decoder *decoder = context;
    int channels = decoder->entropy.model->channels;
    int error = entropy_decode_row(&decoder->entropy, &decoder->coder, decoder->latents);
    const int16_t *latent = decoder->latents;
    for (int x = 0; x < decoder->entropy.width && !error; x++)
        for (int c = 0; c < channels; c++)
            *out++ = (int16_t)gain_apply(decoder->gains[c], *latent++);
    return error;
}

// Makes ready to decode latents, and alpha if there is any. 0, or an error.
static int open_latents(Decoder *decoder, Model *model, const uint8_t *payload, size_t size) {
    uint32_t position = position_of(model, little(payload + 14, 2));
    int width = decoder->width, height = decoder->height;
    int columns = padded(width) / STRIDE, rows = padded(height) / STRIDE;
    if ((uint64_t)columns * rows > MOST_WORK / model->work) return ERROR_DEMANDING;
    const uint8_t *body = payload + HEADER_BYTES, *end = payload + size;
    decoder->channels = 3;
    if (payload[4] == VERSION_ALPHA) {
        decoder->channels = 4;
        if (end - body < ALPHA_SIZE) return ERROR_LATENTS;
        size_t section = little(body, ALPHA_SIZE);
        body += ALPHA_SIZE;
        if (section > (size_t)(end - body)) return ERROR_LATENTS;
        range_decoder_open(&decoder->alpha_coder, body, section);
        body += section;
        decoder->alpha_values = allocate(width);
        if (!decoder->alpha_values ||
            alpha_open(&decoder->alpha, width, NULL, &decoder->alpha_coder))
            return ERROR_MEMORY;
    }
    range_decoder_open(&decoder->coder, body, end - body);
    int error =
        graph_open(&decoder->graph, model, padded(width), padded(height), next_latents, decoder);
    if (error) return error;
    decoder->gains = allocate(model->channels * sizeof *decoder->gains);
    decoder->latents = allocate((size_t)columns * model->channels * 2);
    if (!decoder->gains || !decoder->latents ||
        entropy_open(&decoder->entropy, model, columns, position))
        return ERROR_MEMORY;
    for (int i = 1; i < model->op_count; i++)
        if (model->ops[i].layer.outputs) layer_set_level(&model->ops[i].layer, position);
    model_gains(model, position, -model->latent_bits, decoder->gains);
    return 0;
}

// Checks a payload and makes ready to decode it; a picture of few colours needs no model. The
// result points at a Decoder, or is an error. Without `max_pixels` the format's limits hold.
EXPORT("sc_open")
intptr_t sc_open(Model *model, const uint8_t *payload, size_t size, uint32_t max_pixels) {
    if (size < HEADER_BYTES || little(payload, 4) != 0x54414c53u) return ERROR_NOT_PAYLOAD;
    int version = payload[4], flat = payload[5] == CODEC_FLAT;
    if (version != VERSION_OPAQUE && version != VERSION_ALPHA) return ERROR_VERSION;
    if (!flat && payload[5] != CODEC_WEB) return ERROR_CODEC;
    if (flat && version == VERSION_ALPHA) return ERROR_VERSION;
    if (checksum(payload, size) != little(payload + 16, 4)) return ERROR_CHECKSUM;
    if (!flat && (!model || !model->decoder || little(payload + 6, 4) != model->fingerprint))
        return ERROR_WRONG_MODEL;
    int width = (int)little(payload + 10, 2) + 1, height = (int)little(payload + 12, 2) + 1;
    if ((uint64_t)width * height > (max_pixels ? max_pixels : most_pixels(size)))
        return ERROR_TOO_LARGE;
    if (little(payload + 14, 2) > MAX_QUALITY) return ERROR_LATENTS;
    Decoder *decoder = allocate(sizeof *decoder);
    if (!decoder) return ERROR_MEMORY;
    decoder->width = width;
    decoder->height = height;
    int error;
    if (flat) {
        error = flat_decode_open(&decoder->flat, &decoder->coder, payload + HEADER_BYTES,
                                 size - HEADER_BYTES, width, height);
        if (!error) decoder->channels = flat_channels(decoder->flat);
    } else {
        error = open_latents(decoder, model, payload, size);
    }
    return error ? error : (intptr_t)decoder;
}

EXPORT("sc_width") int32_t sc_width(const Decoder *decoder) { return decoder->width; }
EXPORT("sc_height") int32_t sc_height(const Decoder *decoder) { return decoder->height; }
EXPORT("sc_channels") int32_t sc_channels(const Decoder *decoder) { return decoder->channels; }

// Alpha beside colours: RGB becomes RGBA, in place.
static void add_alpha(uint8_t *pixels, const uint8_t *alpha, int width) {
    for (int x = width - 1; x >= 0; x--) {
        uint8_t r = pixels[3 * x], g = pixels[3 * x + 1], b = pixels[3 * x + 2];
        uint8_t *to = pixels + 4 * (size_t)x;
        to[0] = r, to[1] = g, to[2] = b, to[3] = alpha[x];
    }
}

// Decodes up to `rows` more rows, each pixel RGB or, where sc_channels is 4, RGBA. Returns how many,
// 0 at the end, or an error.
EXPORT("sc_read") int32_t sc_read(Decoder *decoder, uint8_t *pixels, int32_t rows) {
    int made = 0;
    for (; made < rows && decoder->row < decoder->height; made++, decoder->row++) {
        const int16_t *row;
        int error = decoder->flat ? flat_decode_row(decoder->flat, pixels)
                                  : graph_row(decoder->graph, decoder->row, &row);
        if (error) return error;
        if (!decoder->flat) colour_to_rgb(row, pixels, decoder->width);
        if (decoder->alpha_values) {
            alpha_row(&decoder->alpha, decoder->alpha_values);
            add_alpha(pixels, decoder->alpha_values, decoder->width);
        }
        pixels += (size_t)decoder->channels * decoder->width;
    }
    return made;
}

typedef struct {
    int width, height;  // pixels
    const uint8_t *rgb;
    const Model *model;
    int16_t *analysed;  // [rows][columns][channels]
    uint16_t *prices;   // [rows][columns]
} Analysis;

static int next_pixels(void *context, int row, int16_t *out) {
    const Analysis *analysis = context;
    int y = row < analysis->height ? row : analysis->height - 1;
    colour_from_rgb(analysis->rgb + 3 * (size_t)y * analysis->width, out, analysis->width,
                    padded(analysis->width));
    return 0;
}

// Analyses a picture of width × height RGB pixels (1…65,536 each). The result points at an
// Analysis, which sc_encode turns into payloads at any number of qualities, or is an error.
EXPORT_TO_BUILDS("sc_analyse")
intptr_t sc_analyse(const Model *model, const uint8_t *rgb, int32_t width, int32_t height) {
    if (model->decoder) return ERROR_WRONG_MODEL;
    if (width < 1 || height < 1 || width > 65536 || height > 65536) return ERROR_TOO_LARGE;
    int columns = padded(width) / STRIDE, rows = padded(height) / STRIDE;
    size_t line = (size_t)columns * model->channels;
    Analysis *analysis = allocate(sizeof *analysis);
    int16_t *analysed = allocate((uint64_t)line * rows * 2);
    uint16_t *prices = allocate((uint64_t)columns * rows * 2);
    if (!analysis || !analysed || !prices) return ERROR_MEMORY;
    *analysis = (Analysis){width, height, rgb, model, analysed, prices};
    rounding_prices(rgb, width, height, prices);
    Graph *graph;
    int failed =
        graph_open(&graph, model, padded(width), padded(height), next_pixels, analysis);
    if (failed) return failed;
    for (int row = 0; row < rows; row++) {
        const int16_t *from;
        int error = graph_row(graph, row, &from);
        if (error) return error;
        __builtin_memcpy(analysed + row * line, from, line * 2);
    }
    return (intptr_t)analysis;
}

// The analysed picture, [rows][columns][channels] with as many fraction bits as the model says.
EXPORT_TO_BUILDS("sc_analysed") const int16_t *sc_analysed(const Analysis *analysis) {
    return analysis->analysed;
}

// Codes rows of latents. Returns the payload's size, or an error. `rounding`, unless it is null, is
// for the row that `source` gave last.
static int32_t code(Model *decoder, int width, int height, uint32_t quality, RowSource source,
                    void *context, const Rounding *rounding, uint8_t *payload, size_t capacity) {
    if (quality > MAX_QUALITY) return ERROR_LATENTS;
    if (capacity < HEADER_BYTES) return ERROR_CAPACITY;
    int columns = padded(width) / STRIDE, rows = padded(height) / STRIDE;
    int16_t *latents = allocate((size_t)columns * decoder->channels * 2);
    Entropy entropy;
    if (!latents || entropy_open(&entropy, decoder, columns, position_of(decoder, quality)))
        return ERROR_MEMORY;
    RangeEncoder coder;
    range_encoder_open(&coder, payload + HEADER_BYTES, capacity - HEADER_BYTES);
    for (int row = 0; row < rows; row++) {
        source(context, row, latents);
        entropy_encode_row(&entropy, &coder, latents, rounding);
    }
    size_t size = range_encoder_close(&coder);
    if (size == SIZE_MAX) return ERROR_CAPACITY;
    size += HEADER_BYTES;
    uint64_t least = least_bytes((uint64_t)width * height);
    if (capacity < least) return ERROR_CAPACITY;
    for (; size < least; size++) payload[size] = 0;
    put_little(payload, 0x54414c53u, 4);
    payload[4] = VERSION_OPAQUE;
    payload[5] = CODEC_WEB;
    put_little(payload + 6, decoder->fingerprint, 4);
    put_little(payload + 10, width - 1, 2);
    put_little(payload + 12, height - 1, 2);
    put_little(payload + 14, quality, 2);
    put_little(payload + 16, checksum(payload, size), 4);
    return (int32_t)size;
}

typedef struct {
    const Analysis *analysis;
    Gain *gains, *fine;  // to latents, and to latents in 1/64
    int8_t *rest;
    Rounding rounding;
} Quantiser;

static int next_quantised(void *context, int row, int16_t *out) {
    Quantiser *quantiser = context;
    const Analysis *analysis = quantiser->analysis;
    int channels = analysis->model->channels, columns = padded(analysis->width) / STRIDE;
    const int16_t *from = analysis->analysed + (size_t)row * columns * channels;
    int8_t *rest = quantiser->rest;
    quantiser->rounding.prices = analysis->prices + (size_t)row * columns;
    for (int x = 0; x < columns; x++)
        for (int c = 0; c < channels; c++, from++) {
            int32_t latent = gain_apply(quantiser->gains[c], *from);
            int32_t left = gain_apply(quantiser->fine[c], *from) - 64 * latent;
            *rest++ = (int8_t)(left > 32 ? 32 : left < -32 ? -32 : left);
            *out++ = (int16_t)latent;
        }
    return 0;
}

// Quantises and codes at a quality of 0…MAX_QUALITY. With a `strength` over 0 latents are rounded
// to what costs less. Returns the payload's size, or an error.
EXPORT_TO_BUILDS("sc_encode")
int32_t sc_encode(const Analysis *analysis, Model *decoder, uint32_t quality, uint32_t strength,
                  uint8_t *payload, size_t capacity) {
    const Model *model = analysis->model;
    if (!decoder->decoder || model->fingerprint != decoder->fingerprint ||
        model->channels != decoder->channels || model->levels != decoder->levels)
        return ERROR_WRONG_MODEL;
    if (quality > MAX_QUALITY) return ERROR_LATENTS;
    int8_t *rest = allocate((size_t)padded(analysis->width) / STRIDE * model->channels);
    Quantiser quantiser = {analysis, allocate(model->channels * sizeof(Gain)),
                           allocate(model->channels * sizeof(Gain)), rest, {strength, 0, rest}};
    if (!quantiser.gains || !quantiser.fine || !rest) return ERROR_MEMORY;
    model_gains(model, position_of(decoder, quality), model->latent_bits, quantiser.gains);
    model_gains(model, position_of(decoder, quality), model->latent_bits - 6, quantiser.fine);
    return code(decoder, analysis->width, analysis->height, quality, next_quantised, &quantiser,
                strength ? &quantiser.rounding : 0, payload, capacity);
}

typedef struct {
    const int16_t *latents;
    size_t line;
} Given;

static int next_given(void *context, int row, int16_t *out) {
    const Given *given = context;
    __builtin_memcpy(out, given->latents + row * given->line, given->line * 2);
    return 0;
}

// Codes latents that were quantised elsewhere, [rows][columns][channels], |q| ≤ LATENT_MAX.
EXPORT_TO_BUILDS("sc_code")
int32_t sc_code(Model *decoder, const int16_t *latents, int32_t width, int32_t height,
                uint32_t quality, uint8_t *payload, size_t capacity) {
    if (!decoder->decoder) return ERROR_WRONG_MODEL;
    if (width < 1 || height < 1 || width > 65536 || height > 65536) return ERROR_TOO_LARGE;
    Given given = {latents, (size_t)(padded(width) / STRIDE) * decoder->channels};
    return code(decoder, width, height, quality, next_given, &given, 0, payload, capacity);
}
