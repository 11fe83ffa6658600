#include "engine.h"

extern uint8_t __heap_base;
static size_t top;   // end of what is allocated
static size_t used;  // end of what ever was: memory beyond is still zero

static size_t heap_top(void) {
    if (!top) top = ((size_t)&__heap_base + 15) & ~(size_t)15;
    return top;
}

void *allocate(uint64_t bytes) {
    size_t start = heap_top(), limit = 0xfffe0000u;
    if (bytes > limit || start > limit - bytes) return NULL;
    size_t end = (start + (size_t)bytes + 15) & ~(size_t)15;
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

// The compiler may ask for these by name.
void *memset(void *to, int value, size_t count) {
    __builtin_memset(to, value, count);
    return to;
}
void *memcpy(void *to, const void *from, size_t count) {
    __builtin_memcpy(to, from, count);
    return to;
}
