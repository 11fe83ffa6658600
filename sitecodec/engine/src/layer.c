// The kernels. Values are int16, weights int16 (stored as 8 or 16 bits), sums int32 modulo 2^32,
// so their order does not matter.
//
// Packed weights: for each group of 8 outputs, for each kernel row, for each pair of inputs
// (inputs of all kernel columns in memory order), two vectors of 4 outputs × 2 inputs: what one
// pair-wise dot product of 8 int16 takes.
#include <wasm_simd128.h>

#include "engine.h"

// The one place with floating point: float(sum) * scale + bias, two roundings, then the
// activation, rounded to the nearest integer (ties to even).
static inline v128_t affine(v128_t sum, const float *scale, const float *bias, int activation) {
    v128_t v = wasm_f32x4_add(wasm_f32x4_mul(wasm_f32x4_convert_i32x4(sum), wasm_v128_load(scale)),
                              wasm_v128_load(bias));
    if (activation == ACTIVATION_RELU)
        v = wasm_f32x4_max(v, wasm_f32x4_const_splat(0));
    else if (activation == ACTIVATION_LEAKY)
        v = wasm_v128_bitselect(wasm_f32x4_mul(v, wasm_f32x4_const_splat(0.1f)), v,
                                wasm_f32x4_lt(v, wasm_f32x4_const_splat(0)));
    return wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(v));
}

static inline void finish(const Layer *layer, int output, v128_t low, v128_t high, int16_t *to) {
    const float *scale = layer->scale + output, *bias = layer->bias + output;
    wasm_v128_store(to, wasm_i16x8_narrow_i32x4(affine(low, scale, bias, layer->activation),
                                                affine(high, scale + 4, bias + 4,
                                                       layer->activation)));
}

// How inputs come to be multiplied: a pair of them in all four lanes. V8 makes one instruction of
// the load and the splat of a pair. wasmtime's compiler cannot: there it is 15 % faster to load 8
// inputs, of which layers have multiples, and to splat their pairs in registers; in V8 10 % slower.
#ifdef DECODER_ONLY
enum { AT_ONCE = 2 };
typedef const int16_t *Inputs;
#define INPUTS(x) (x)
#define PAIR(inputs, i) wasm_v128_load32_splat(inputs)
#define EACH_PAIR(DO) DO(0)
#else
enum { AT_ONCE = 8 };
typedef v128_t Inputs;
#define INPUTS(x) wasm_v128_load(x)
#define PAIR(inputs, i) wasm_i32x4_shuffle(inputs, inputs, i, i, i, i)
#define EACH_PAIR(DO) DO(0) DO(1) DO(2) DO(3)
#endif

#define WEIGHTS(i) v128_t w0 = wasm_v128_load(w + 16 * i), w1 = wasm_v128_load(w + 16 * i + 8)
#define STEP(low, high, inputs, i)                                    \
    do {                                                              \
        v128_t pair = PAIR(inputs, i);                                \
        low = wasm_i32x4_add(low, wasm_i32x4_dot_i16x8(w0, pair));    \
        high = wasm_i32x4_add(high, wasm_i32x4_dot_i16x8(w1, pair));  \
    } while (0)

static void one(const Layer *layer, const int16_t *const *rows, int16_t *out) {
    int length = layer->inputs * layer->columns;
    const int16_t *w = layer->weights;
    for (int output = 0; output < layer->outputs; output += 8) {
        v128_t low = wasm_i32x4_const_splat(0), high = low;
        for (int r = 0; r < layer->rows; r++) {
            const int16_t *x = rows[r], *end = x + length;
            for (; x < end; x += AT_ONCE, w += 8 * AT_ONCE) {
                Inputs inputs = INPUTS(x);
#define PIXEL(i) { WEIGHTS(i); STEP(low, high, inputs, i); }
                EACH_PAIR(PIXEL)
            }
        }
        finish(layer, output, low, high, out + output);
    }
}

void layer_row(const Layer *layer, const int16_t *const *rows, int advance, int16_t *out,
               int count) {
    if (count == 1) {
        one(layer, rows, out);
        return;
    }
    int length = layer->inputs * layer->columns, outputs = layer->outputs;
    size_t group = (size_t)layer->rows * length * 8;
    for (int output = 0; output < outputs; output += 8) {
        const int16_t *weights = layer->weights + (size_t)(output / 8) * group;
        for (int x = 0; x < count; x += 4) {
            v128_t a0 = wasm_i32x4_const_splat(0), a1 = a0, b0 = a0, b1 = a0;
            v128_t c0 = a0, c1 = a0, d0 = a0, d1 = a0;
            const int16_t *w = weights;
            for (int r = 0; r < layer->rows; r++) {
                const int16_t *xa = rows[r] + (size_t)x * advance, *end = xa + length;
                const int16_t *xb = xa + advance, *xc = xb + advance, *xd = xc + advance;
                for (; xa < end; xa += AT_ONCE, xb += AT_ONCE, xc += AT_ONCE, xd += AT_ONCE) {
                    Inputs a = INPUTS(xa), b = INPUTS(xb), c = INPUTS(xc), d = INPUTS(xd);
#define PIXELS(i)           \
    {                       \
        WEIGHTS(i);         \
        STEP(a0, a1, a, i); \
        STEP(b0, b1, b, i); \
        STEP(c0, c1, c, i); \
        STEP(d0, d1, d, i); \
    }
                    EACH_PAIR(PIXELS)
                    w += 8 * AT_ONCE;
                }
            }
            int16_t *to = out + (size_t)x * outputs + output;
            finish(layer, output, a0, a1, to);
            finish(layer, output, b0, b1, to + outputs);
            finish(layer, output, c0, c1, to + 2 * outputs);
            finish(layer, output, d0, d1, to + 3 * outputs);
        }
    }
}

// Depthwise: weights are [rows][columns][channels], each channel its own kernel.
void layer_depthwise_row(const Layer *layer, const int16_t *const *rows, int16_t *out, int count) {
    int channels = layer->outputs;
    for (int x = 0; x < count; x++)
        for (int c = 0; c < channels; c += 8) {
            v128_t low = wasm_i32x4_const_splat(0), high = low;
            const int16_t *w = layer->weights + c;
            for (int r = 0; r < layer->rows; r++) {
                const int16_t *p = rows[r] + (size_t)x * channels + c;
                for (int k = 0; k < layer->columns; k++, p += channels, w += channels) {
                    v128_t a = wasm_v128_load(p), b = wasm_v128_load(w);
                    low = wasm_i32x4_add(low, wasm_i32x4_extmul_low_i16x8(a, b));
                    high = wasm_i32x4_add(high, wasm_i32x4_extmul_high_i16x8(a, b));
                }
            }
            finish(layer, c, low, high, out + (size_t)x * channels + c);
        }
}

// Biases may differ between quality levels; between two of them they are interpolated.
void layer_set_level(Layer *layer, uint32_t position) {
    int one = layer->bias_levels == 1;
    const float *a = layer->biases + (one ? 0 : (size_t)(position >> 12) * layer->outputs);
    float weight = (float)(position & 4095) * (1.0f / 4096.0f);
    const float *b = weight > 0 ? a + layer->outputs : a;
    for (int i = 0; i < layer->outputs; i++)  // inf - inf is no number: one row is taken as it is
        layer->bias[i] = one ? a[i] : a[i] + (b[i] - a[i]) * weight;
}
