#include "engine.h"

extern uint8_t __heap_base;
static size_t top;   // end of what is allocated
static size_t used;  // end of what ever was: memory beyond is still zero

static size_t heap_top(void) {
    if (!top) top = ((size_t)&__heap_base + 15) & ~(size_t)15;
    return top;
}

void *allocate(size_t bytes) {
    size_t start = heap_top(), limit = 0xfffe0000u;
    if (bytes > limit || start > limit - bytes) return NULL;
    size_t end = (start + bytes + 15) & ~(size_t)15;
    size_t have = __builtin_wasm_memory_size(0) << 16;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + 0xffff) >> 16) == (size_t)-1)
        return NULL;
    top = end;
    if (start < used) __builtin_memset((void *)start, 0, (end < used ? end : used) - start);
    if (end > used) used = end;
    return (void *)start;
}

EXPORT("sc_alloc") void *sc_alloc(size_t bytes) { return allocate(bytes); }

// What was allocated after sc_mark() is given back by sc_release(mark).
EXPORT("sc_mark") size_t sc_mark(void) { return heap_top(); }
EXPORT("sc_release") void sc_release(size_t mark) { top = mark; }

// Reflected CRC-32, polynomial 0xEDB88320, as in zlib and PNG.
uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t count) {
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
            table[i] = c;
        }
    crc = ~crc;
    for (size_t i = 0; i < count; i++) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >> 8);
    return ~crc;
}

// The compiler may ask for these by name.
void *memset(void *to, int value, size_t count) {
    __builtin_memset(to, value, count);
    return to;
}
void *memcpy(void *to, const void *from, size_t count) {
    __builtin_memcpy(to, from, count);
    return to;
}
