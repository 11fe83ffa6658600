// How many pixels a payload of so many bytes may hold, so that no small file costs a long time.
#include "engine.h"

enum { FREE_PIXELS = 1 << 21, PIXELS_A_BYTE = 1 << 12, MOST_PIXELS = 50000000 };

uint64_t most_pixels(uint64_t bytes) {
    uint64_t most = FREE_PIXELS + PIXELS_A_BYTE * bytes;
    return most < MOST_PIXELS ? most : MOST_PIXELS;
}

uint64_t least_bytes(uint64_t pixels) {
    if (pixels > MOST_PIXELS) pixels = MOST_PIXELS;
    return pixels <= FREE_PIXELS ? 0 : (pixels - FREE_PIXELS + PIXELS_A_BYTE - 1) / PIXELS_A_BYTE;
}
