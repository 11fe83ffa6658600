// The few operations of <wasm_simd128.h> that the engine uses, for other machines: slow and plain,
// each as WebAssembly's specification says. For fuzzing with sanitizers only.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef union {
    int8_t i8[16];
    int16_t i16[8];
    int32_t i32[4];
    uint32_t u32[4];
    float f32[4];
} v128_t;

#define SIMD static inline v128_t
#define MAP(lanes, kind, what) \
    do {                       \
        v128_t r;              \
        for (int i = 0; i < lanes; i++) r.kind[i] = (what); \
        return r;              \
    } while (0)

static inline int16_t simd_i16(int32_t v) {
    return (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}
static inline int32_t simd_trunc(float v) {
    return isnan(v) ? 0 : v <= -2147483648.0f ? INT32_MIN : v >= 2147483648.0f ? INT32_MAX : (int32_t)v;
}

SIMD wasm_v128_load(const void *from) {
    v128_t r;
    memcpy(&r, from, 16);
    return r;
}
static inline void wasm_v128_store(void *to, v128_t a) { memcpy(to, &a, 16); }
SIMD wasm_v128_load32_splat(const void *from) {
    uint32_t v;
    memcpy(&v, from, 4);
    MAP(4, u32, v);
}
SIMD wasm_i32x4_splat(int32_t v) { MAP(4, i32, v); }
SIMD wasm_i16x8_splat(int16_t v) { MAP(8, i16, v); }
SIMD wasm_f32x4_splat(float v) { MAP(4, f32, v); }
#define wasm_i32x4_const_splat wasm_i32x4_splat
#define wasm_i16x8_const_splat wasm_i16x8_splat
#define wasm_f32x4_const_splat wasm_f32x4_splat

SIMD wasm_i32x4_add(v128_t a, v128_t b) { MAP(4, u32, a.u32[i] + b.u32[i]); }
SIMD wasm_i16x8_add_sat(v128_t a, v128_t b) { MAP(8, i16, simd_i16(a.i16[i] + b.i16[i])); }
SIMD wasm_i16x8_max(v128_t a, v128_t b) { MAP(8, i16, a.i16[i] > b.i16[i] ? a.i16[i] : b.i16[i]); }
SIMD wasm_i32x4_dot_i16x8(v128_t a, v128_t b) {
    MAP(4, u32, (uint32_t)(a.i16[2 * i] * b.i16[2 * i]) +
                    (uint32_t)(a.i16[2 * i + 1] * b.i16[2 * i + 1]));
}
SIMD wasm_i32x4_extmul_low_i16x8(v128_t a, v128_t b) { MAP(4, i32, a.i16[i] * b.i16[i]); }
SIMD wasm_i32x4_extmul_high_i16x8(v128_t a, v128_t b) { MAP(4, i32, a.i16[i + 4] * b.i16[i + 4]); }
SIMD wasm_i32x4_shuffle(v128_t a, v128_t b, int w, int x, int y, int z) {
    const int from[4] = {w, x, y, z};
    MAP(4, i32, from[i] < 4 ? a.i32[from[i]] : b.i32[from[i] - 4]);
}
SIMD wasm_i16x8_narrow_i32x4(v128_t a, v128_t b) {
    MAP(8, i16, simd_i16(i < 4 ? a.i32[i] : b.i32[i - 4]));
}
SIMD wasm_v128_bitselect(v128_t a, v128_t b, v128_t mask) {
    MAP(4, u32, (a.u32[i] & mask.u32[i]) | (b.u32[i] & ~mask.u32[i]));
}
SIMD wasm_f32x4_convert_i32x4(v128_t a) { MAP(4, f32, (float)a.i32[i]); }
SIMD wasm_f32x4_add(v128_t a, v128_t b) { MAP(4, f32, a.f32[i] + b.f32[i]); }
SIMD wasm_f32x4_mul(v128_t a, v128_t b) { MAP(4, f32, a.f32[i] * b.f32[i]); }
SIMD wasm_f32x4_max(v128_t a, v128_t b) {
    MAP(4, f32, isnan(a.f32[i]) || isnan(b.f32[i]) ? NAN : a.f32[i] > b.f32[i] ? a.f32[i] : b.f32[i]);
}
SIMD wasm_f32x4_lt(v128_t a, v128_t b) { MAP(4, i32, a.f32[i] < b.f32[i] ? -1 : 0); }
SIMD wasm_f32x4_nearest(v128_t a) { MAP(4, f32, rintf(a.f32[i])); }
SIMD wasm_i32x4_trunc_sat_f32x4(v128_t a) { MAP(4, i32, simd_trunc(a.f32[i])); }
