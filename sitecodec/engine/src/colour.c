// sRGB bytes to and from full-range BT.601 Y'CbCr, as int16 in steps of 2^-13 about zero.
#include "engine.h"

// Coefficients in 2^29 / 255; a row's sum is exact, so grey stays grey and white is white.
void colour_from_rgb(const uint8_t *rgb, int16_t *out, int width, int padded) {
    for (int x = 0; x < padded; x++, out += 3) {
        const uint8_t *p = rgb + 3 * (size_t)(x < width ? x : width - 1);
        int32_t r = p[0], g = p[1], b = p[2];
        out[0] = (int16_t)(((629507 * r + 1235856 * g + 240013 * b + 32768) >> 16) - 4096);
        out[1] = (int16_t)((-355253 * r - 697435 * g + 1052688 * b + 32768) >> 16);
        out[2] = (int16_t)((1052688 * r - 881496 * g - 171192 * b + 32768) >> 16);
    }
}

static uint8_t clamp(int32_t value) {
    value = (value + 65536) >> 17;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

void colour_to_rgb(const int16_t *in, uint8_t *rgb, int width) {
    for (int x = 0; x < width; x++, in += 3, rgb += 3) {
        int32_t y = (in[0] + 4096) * 4080, cb = in[1], cr = in[2];
        rgb[0] = clamp(y + 5720 * cr);
        rgb[1] = clamp(y - 1404 * cb - 2914 * cr);
        rgb[2] = clamp(y + 7230 * cb);
    }
}
