// Rounding latents so that they cost less: where a step towards the predicted mean saves more bits
// than it adds error. What a bit may cost depends on the place: texture hides errors.
#include "engine.h"
#include "tables.h"

enum { ONE = 256, HIGHEST = 4 * ONE };  // a price of 1
enum { QUIET = 2 * 16 };                // deviation, in 1/16, that even flat blocks are taken to have

// 256 · log2 of a number ≥ 1, to within 2.
static int32_t log2_256(uint32_t value) {
    int top = 31 - __builtin_clz(value);
    int32_t x = (int32_t)((uint64_t)value * 256 >> top) - 256;
    return 256 * top + x + (x * (256 - x) * 88 >> 16);
}

static uint32_t square_root(uint32_t value) {
    uint32_t root = 0;
    for (uint32_t bit = 1u << 15; bit; bit >>= 1)
        if ((root | bit) * (root | bit) <= value) root |= bit;
    return root;
}

// The standard deviation of a block's mean of R, G and B, in 1/16.
static uint32_t deviation(const uint8_t *rgb, int width, int columns, int rows) {
    uint64_t sum = 0, squares = 0;
    for (int y = 0; y < rows; y++, rgb += 3 * (size_t)width)
        for (int x = 0; x < columns; x++) {
            uint32_t value = rgb[3 * x] + rgb[3 * x + 1] + rgb[3 * x + 2];
            sum += value;
            squares += (uint64_t)value * value;
        }
    uint64_t count = (uint64_t)columns * rows;
    return square_root((uint32_t)((squares - sum * sum / count) / count * 256 / 9));
}

void rounding_prices(const uint8_t *rgb, int width, int height, uint16_t *prices) {
    int columns = (width + STRIDE - 1) / STRIDE, rows = (height + STRIDE - 1) / STRIDE;
    int64_t sum = 0;
    uint16_t *to = prices;
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++) {
            int right = width - x * STRIDE, below = height - y * STRIDE;
            const uint8_t *block = rgb + 3 * ((size_t)y * STRIDE * width + x * STRIDE);
            uint32_t spread = deviation(block, width, right < STRIDE ? right : STRIDE,
                                        below < STRIDE ? below : STRIDE);
            sum += *to++ = (uint16_t)log2_256(spread + QUIET);
        }
    int32_t mean = (int32_t)(sum / (to - prices));
    for (uint16_t *price = prices; price < to; price++) {  // (deviation / geometric mean)^0.7
        int32_t log = (*price - mean) * 179 >> 8, whole = 15 - 8 - (log >> 8);
        uint32_t value = whole < 0 ? HIGHEST : (uint32_t)EXP2[log & 255] >> whole;
        *price = (uint16_t)(value < HIGHEST ? value : HIGHEST);
    }
}

// 64 times the bits of a symbol with that share of 65,536.
static int32_t bits_of(uint32_t share) { return (16 * 256 - log2_256(share)) / 4; }

int rounding_pays(uint32_t share, uint32_t nearer, int taken, uint32_t price) {
    int32_t saved = bits_of(share) - bits_of(nearer);
    int32_t added = 4096 - 128 * taken;  // (64 - taken)² - taken²
    return (int64_t)added * 256 < (int64_t)saved * price;
}
