// sitecodec engine: everything that must give the same bytes on every machine.
//
// Arithmetic is integer throughout, but for one float32 multiply-add per output of a
// layer (see affine() in layer.c), whose operations IEEE 754 fixes to the last bit.
// docs/format.md is the specification; names here are the names there.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))

// DECODER_ONLY makes the module for browsers: what only builds call is not exported, so that the
// linker leaves it out, and layer.c suits V8.
#ifdef DECODER_ONLY
#define EXPORT_TO_BUILDS(name)
#else
#define EXPORT_TO_BUILDS(name) EXPORT(name)
#endif

enum {  // negative results of exported functions; sitecodec/engine/__init__.py words them
    ERROR_MEMORY = -1,
    ERROR_MODEL = -2,
    ERROR_NOT_PAYLOAD = -3,
    ERROR_VERSION = -4,
    ERROR_CODEC = -5,
    ERROR_WRONG_MODEL = -6,
    ERROR_TOO_LARGE = -7,
    ERROR_CHECKSUM = -8,
    ERROR_LATENTS = -9,
    ERROR_CAPACITY = -10,
    ERROR_DEMANDING = -13,  // -11 and -12 are of score.c
};

enum { STRIDE = 16 };          // pixels per latent, in x and in y
enum { MAX_CHANNELS = 1024 };  // of any tensor
enum { MAX_OPS = 128 };
enum { MAX_TAPS = 32 };
enum { MAX_LEVELS = 16 };
enum { LATENT_MAX = 32767 };   // largest |q| a payload may hold
enum { HEADER_BYTES = 20 };
enum { ALPHA_SIZE = 4 };         // bytes that tell the size of a payload's alpha section

// Most pixels that a payload of that many bytes may have: docs/format.md, "Limits and cost".
uint64_t most_pixels(uint64_t bytes);
// Bytes that a payload of so many pixels has at least; encoders add zeros, which change nothing.
uint64_t least_bytes(uint64_t pixels);

// ---- memory.c: a bump allocator over the module's own memory
// Zeroed, 16-byte aligned; NULL when memory is full. The size has 64 bits so that a caller's product
// of sizes cannot wrap on its way here.
void *allocate(uint64_t bytes);

// ---- checksum.c
uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t count);

// ---- range.c: range coder, 16-bit frequencies
typedef struct {
    uint8_t *out;
    size_t size, capacity;
    uint64_t low;
    uint32_t range;
    uint32_t pending;  // bytes held back for a carry
    uint8_t cache;
    uint8_t started;   // the first byte is always zero and is not written
} RangeEncoder;

typedef struct {
    const uint8_t *in, *end;
    uint32_t code, range;
} RangeDecoder;

void range_encoder_open(RangeEncoder *coder, uint8_t *out, size_t capacity);
void range_encode(RangeEncoder *coder, uint32_t start, uint32_t frequency);
uint32_t range_cost(uint32_t frequency);          // about 256 times the bits that it takes
size_t range_encoder_close(RangeEncoder *coder);  // size, or SIZE_MAX when it did not fit
void range_decoder_open(RangeDecoder *coder, const uint8_t *in, size_t size);
uint32_t range_decode_target(const RangeDecoder *coder);
void range_decode_consume(RangeDecoder *coder, uint32_t start, uint32_t frequency);
// By the one of the two coders that is not NULL; `one` is the frequency of a one.
int range_code_bit(RangeEncoder *encoder, RangeDecoder *decoder, uint32_t one, int bit);

// ---- layer.c: weights and the kernels that use them
enum { ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_LEAKY };

typedef struct {
    int inputs, outputs;  // channels
    int rows, columns;    // kernel; for a list of taps rows = taps and columns = 1
    int activation;
    int bias_levels;
    int16_t *weights;     // packed, see layer.c
    float *scale;         // [outputs]
    float *biases;        // [bias_levels][outputs]
    float *bias;          // [outputs], for the quality in use
} Layer;

// One row of `count` outputs. rows[i] points at the first input of kernel row i for the first
// output; neighbouring outputs begin `advance` values further on. Writes whole groups of four
// outputs: the caller clears what it did not want.
void layer_row(const Layer *layer, const int16_t *const *rows, int advance, int16_t *out,
               int count);
void layer_depthwise_row(const Layer *layer, const int16_t *const *rows, int16_t *out, int count);
void layer_set_level(Layer *layer, uint32_t position);

// ---- model.c: a model file, parsed and checked
enum { OP_INPUT, OP_CONV, OP_DEPTHWISE, OP_ADD, OP_RELU, OP_SHUFFLE, OP_UNSHUFFLE };

typedef struct {
    int kind;
    int a, b;        // source values
    int channels;    // of the result
    int factor;      // shuffles
    int stride, pad; // convolutions
    int shift;       // log2 of the result's scale below full size
    Layer layer;
} Op;

typedef struct {
    uint32_t fingerprint;         // CRC-32 of the decoder's file
    int decoder;
    int channels, levels, latent_bits;
    int16_t *log_gain;            // [levels][channels], log2 in 1/256
    uint64_t work;                // a decoder's multiplications for one position of latents
    int op_count;
    Op ops[MAX_OPS];              // ops[0] is the input
    // decoder only
    int transform_size, taps, scale_size;
    int16_t *transform;           // |q| -> context value
    int8_t tap_y[MAX_TAPS], tap_x[MAX_TAPS];
    uint32_t *inverse_scale;      // 2^16 / scale
    Layer context, hidden, output;
} Model;

// value * 2^(log_gain / 256) for one channel at a quality, as a multiplier and a right shift
typedef struct { int32_t multiplier, shift; } Gain;
void model_gains(const Model *model, uint32_t position, int fraction_bits, Gain *gains);
int32_t gain_apply(Gain gain, int32_t value);

// ---- rounding.c: latents that cost less
typedef struct {
    uint32_t strength;       // what a bit may cost, in squared steps times 2^14
    const uint16_t *prices;  // how much of that at each x, in 1/256
    const int8_t *rest;      // what rounding took off each latent, in 1/64
} Rounding;

void rounding_prices(const uint8_t *rgb, int width, int height, uint16_t *prices);
// Whether a latent had better be the next number towards its mean: by the shares of 65,536 of the
// number it was rounded to and of that one, and what rounding took off on the side of the latter.
int rounding_pays(uint32_t share, uint32_t nearer, int taken, uint32_t price);

// ---- entropy.c: latents <-> bits
typedef struct {
    Model *model;
    int width;               // latents in a row
    int16_t *ring;           // transformed latents of the last rows, with margins of zeros
    int ring_rows, row;
    int16_t *hidden_a, *hidden_b, *parameters;
} Entropy;

int entropy_open(Entropy *entropy, Model *model, int width, uint32_t position);
int entropy_encode_row(Entropy *entropy, RangeEncoder *coder, const int16_t *latents,
                       const Rounding *rounding);
int entropy_decode_row(Entropy *entropy, RangeDecoder *coder, int16_t *latents);

// ---- alpha.c: a plane of alpha <-> bits
typedef struct { uint16_t probability, pace; } Decision;  // of a one; how slowly it is learnt

typedef struct {  // nothing but decisions
    Decision between[81], opaque[81], steep[9][256];
    Decision differs[625], below[625], more[625][2], longer[7][8], half[7][9];
} AlphaModel;

typedef struct {
    int width, row;
    AlphaModel *model;
    uint8_t *rows;          // this one and the two before, with margins of zeros
    RangeEncoder *encoder;  // one of the two
    RangeDecoder *decoder;
    uint32_t slack;         // encoders: the squared error that a bit is worth
    uint32_t price;         // of what is priced instead of coded, in bits / 256
    int pricing;
} Alpha;

int alpha_open(Alpha *alpha, int width, RangeEncoder *encoder, RangeDecoder *decoder);
void alpha_row(Alpha *alpha, uint8_t *values);

// ---- mixing.c: decisions whose odds many contexts have a say in
enum { MIXER_CONTEXTS = 16, MIXER_KINDS = 17, MIXER_CHOICES = 1024 };
typedef struct Mixer Mixer;
int within(int x, int low, int high);
uint32_t hash(uint32_t a, uint32_t b);
uint32_t hash3(uint32_t a, uint32_t b, uint32_t c);
uint32_t hash4(uint32_t a, uint32_t b, uint32_t c, uint32_t d);
uint32_t hash5(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e);
Mixer *mixer_open(int slot_bits, RangeEncoder *encoder, RangeDecoder *decoder);
void mixer_clear(Mixer *mixer);                   // first; then as many as MIXER_CONTEXTS
void mixer_context(Mixer *mixer, uint32_t value);
void mixer_expect(Mixer *mixer, int share, int sign);    // of a one, or for -1 a zero
void mixer_choose(Mixer *mixer, int a, int b, int c);   // a set's weights each
int mixer_decide(Mixer *mixer, int kind, uint32_t what, int bit);

// ---- flat.c: a picture of few colours <-> bits
enum { FLAT_MAX_PIXELS = 1 << 24 };  // all of it is kept while it is coded
typedef struct Flat Flat;
int flat_decode_open(Flat **opened, RangeDecoder *coder, const uint8_t *body, size_t size,
                     int width, int height);
int flat_channels(const Flat *flat);
int flat_decode_row(Flat *flat, uint8_t *pixels);

// ---- graph.c: layers over a picture, a row at a time
typedef struct Graph Graph;
typedef int (*RowSource)(void *context, int row, int16_t *out);  // 0, or an error
// Makes ready to compute rows: *opened, or an error.
int graph_open(Graph **opened, const Model *model, int width, int height, RowSource source,
               void *context);
int graph_row(Graph *graph, int row, const int16_t **out);       // rows in order; 0, or an error

// ---- colour.c
void colour_from_rgb(const uint8_t *rgb, int16_t *out, int width, int padded);
void colour_to_rgb(const int16_t *in, uint8_t *rgb, int width);
