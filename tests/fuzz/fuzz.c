// What libFuzzer runs: the engine's sources, natively, with every allocation a block of its own that
// AddressSanitizer watches. The first byte of an input says what the rest is; checksums, magic and
// fingerprints are put right, so that what is damaged is believed.
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

intptr_t sc_load(const uint8_t *file, size_t size);
intptr_t sc_open(Model *model, const uint8_t *payload, size_t size, uint32_t max_pixels);
int32_t sc_width(const void *decoder);
int32_t sc_height(const void *decoder);
int32_t sc_channels(const void *decoder);
int32_t sc_read(void *decoder, uint8_t *pixels, int32_t rows);
int32_t sc_grid_decode(const uint8_t *parameters, size_t parameters_size, const uint8_t *in,
                       size_t size, int32_t width, int32_t height, int32_t channels,
                       int16_t *values);

// ---- memory: as that of memory.c, but each block by itself

enum { MOST_BLOCKS = 1 << 16, KEPT_BYTES = 1 << 30 };
static void *blocks[MOST_BLOCKS];
static int count;

void *allocate(uint64_t bytes) {
    if (bytes > KEPT_BYTES || count == MOST_BLOCKS) return NULL;
    return blocks[count++] = calloc(1, (size_t)bytes);
}

static void release(int mark) {
    while (count > mark) free(blocks[--count]);
}

// ---- files whose fields fit each other

static void put(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static int failed(intptr_t result) { return result < 0 && result > -100; }

static uint8_t *copy(const uint8_t *data, size_t size, size_t more) {
    uint8_t *to = calloc(1, size + more);
    if (!to) abort();
    if (size) __builtin_memcpy(to, data, size);
    return to;
}

// Sides of at most 16 pixels, but for one that may be 112 longer: several strips.
static void shrink(uint8_t *header) {
    int wide = header[11] >= 252, high = header[13] >= 252 && !wide;
    header[10] = (header[10] & 15) | (wide ? 112 : 0), header[11] = 0;
    header[12] = (header[12] & 15) | (high ? 112 : 0), header[13] = 0;
}

static void read_all(Model *model, uint8_t *payload, size_t size) {
    put(payload, 0x54414c53u);
    put(payload + 16, crc32(crc32(0, payload, 16), payload + HEADER_BYTES, size - HEADER_BYTES));
    intptr_t opened = sc_open(model, payload, size, 0);
    if (failed(opened)) return;
    void *decoder = (void *)opened;
    size_t row = (size_t)sc_width(decoder) * sc_channels(decoder);
    if (row / sc_channels(decoder) * sc_height(decoder) > 1 << 16) return;
    for (int made = 1, rows = 7; made > 0; rows = 16) {
        uint8_t *strip = malloc(row * rows);
        made = sc_read(decoder, strip, rows);
        free(strip);
    }
}

static Model *known;  // the model of payloads, which is loaded once

static void a_payload(const uint8_t *data, size_t size) {
    if (size < HEADER_BYTES) return;
    uint8_t *payload = copy(data, size, 0);
    payload[4] = payload[4] & 1 ? 1 : 2;
    payload[5] = payload[5] & 1 ? 2 : 0;
    put(payload + 6, known->fingerprint);
    shrink(payload);
    read_all(known, payload, size);
    free(payload);
}

// A model, and a payload of it whose latents are the model's first bytes.
static void a_model(const uint8_t *data, size_t size) {
    if (size < 24) return;
    uint8_t *file = copy(data, size, 4), payload[HEADER_BYTES + 64] = {0};
    put(file, 0x314d4c53u);
    put(file + size, crc32(0, file, size));
    intptr_t loaded = sc_load(file, size + 4);
    free(file);
    if (failed(loaded)) return;
    size_t body = size < 64 ? size : 64;
    payload[4] = 1, payload[10] = 19, payload[12] = 16;
    put(payload + 6, ((Model *)loaded)->fingerprint);
    payload[14] = data[size - 1], payload[15] = data[size - 1] & 31;
    __builtin_memcpy(payload + HEADER_BYTES, data, body);
    read_all((Model *)loaded, payload, HEADER_BYTES + body);
}

static void a_grid(const uint8_t *data, size_t size) {
    if (size < 4) return;
    int width = 1 + data[0] % 40, height = 1 + data[1] % 40, channels = data[2] % 18;
    size_t told = data[3], have = size - 4, parameters = told < have ? told : have;
    uint8_t *first = copy(data + 4, parameters, 0), *rest = copy(data + 4 + parameters, have - parameters, 0);
    int16_t *values = calloc((size_t)width * height * channels + 1, sizeof *values);
    sc_grid_decode(first, parameters, rest, have - parameters, width, height, channels, values);
    free(values);
    free(rest);
    free(first);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    static uint8_t file[1 << 16];
    FILE *from = fopen(MODEL_SEED, "rb");
    size_t size = from ? fread(file, 1, sizeof file - 4, from) : 0;
    if (from) fclose(from);
    if (size < 24) abort();
    uint8_t *model = copy(file + 1, size - 1, 4);  // without the byte that says that it is one
    put(model, 0x314d4c53u);
    put(model + size - 1, crc32(0, model, size - 1));
    intptr_t loaded = sc_load(model, size + 3);
    if (failed(loaded)) abort();
    free(model);
    known = (Model *)loaded;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const kinds[3])(const uint8_t *, size_t) = {a_payload, a_model, a_grid};
    if (!size) return 0;
    int mark = count;
    kinds[data[0] % 3](data + 1, size - 1);
    release(mark);
    return 0;
}
