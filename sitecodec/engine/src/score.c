// SSIMULACRA2 (Sneyers 2023, https://github.com/cloudinary/ssimulacra2): the sums over a picture
// and over parts of it that the score is made of. Built into score.wasm, not into the engine that
// visitors get; sitecodec/engine/scores.py turns sums into scores.
//
// A picture goes through row by row: linear light, XYB, horizontal blur into a ring of rows,
// vertical blur, error maps, sums. What depends on the reference only is kept for all six scales,
// so that every further candidate costs three blurs instead of five.
#include "engine.h"

enum { SCALES = 5, PLANES = 3, TERMS = 6, RADIUS = 5, TAPS = 2 * RADIUS + 1, RING = 16 };
enum { ERROR_SIDE = -11, ERROR_TILE = -12 };  // as those of engine.h
enum { SMALLEST = 113, LARGEST = 1 << 16 };  // sides: the last scale has 8 pixels at least
enum { SLACK = 16 };    // floats by which every row is longer, for whole vectors

typedef float Vector __attribute__((vector_size(16), aligned(4)));

typedef struct {
    int width, height, pitch;
    float *values[PLANES];    // of the reference: XYB,
    float *means[PLANES];     // blurred,
    float *squares[PLANES];   // and its square blurred
    float *linear[PLANES];    // of the picture being worked on; NULL for the first scale
} Scale;

typedef struct { int32_t left, top, right, bottom; } Tile;

typedef struct {
    Scale scale[SCALES];
    float *light[PLANES];          // one row in linear light
    float *padded;                 // one row with margins for the blur
    float *ring[RING][PLANES][4];  // rows: XYB; blurred: value, square, product with the reference
    float *blurred[3];
    float *map[TERMS];
    double *sums;                  // [tiles][PLANES][SCALES][TERMS]
} Scorer;

// A Gaussian of sigma 1.5, cut at 5 pixels: what the published implementation's recursive filter
// approximates.
static const float GAUSSIAN[RADIUS + 1] = {0x1.106560p-2f, 0x1.b43c40p-3f, 0x1.bff0fep-4f,
                                           0x1.26eb18p-5f, 0x1.f1fe02p-8f, 0x1.0d956cp-10f};

// Which planes (1 X, 2 Y, 4 B) of a scale the metric gives a weight worth the time.
static const uint8_t USED[SCALES] = {2, 3, 3, 7, 7};

static float from_srgb[256];

// x^(1/p) for p = 2.4 by Newton's method; only the table of 256 values needs it.
static double power_2_4(double x) {  // x^2.4 = x^2 * (x^2)^(1/5)
    double y = x * x, root = 1;
    for (int i = 0; i < 64; i++) root = (4 * root + y / (root * root * root * root)) / 5;
    return y * root;
}

static void fill_table(void) {
    if (from_srgb[255] != 0) return;
    for (int i = 0; i < 256; i++) {
        double value = i / 255.0;
        from_srgb[i] = (float)(value <= 0.04045 ? value / 12.92 : power_2_4((value + 0.055) / 1.055));
    }
}

// Cube root for x from 0.003 to 2, right but for rounding: a guess by dividing the exponent by
// three, then two of Halley's steps.
static inline float cube_root(float x) {
    union { float f; int32_t i; } guess = {x};
    guess.i = (int32_t)((float)guess.i * (1.0f / 3)) + 0x2a5119f2;
    float y = guess.f;
    for (int i = 0; i < 2; i++) {
        float cube = y * y * y;
        y = y * (cube + 2 * x) / (2 * cube + x);
    }
    return y;
}

static void to_xyb(float *const light[PLANES], float *const out[PLANES], int width) {
    const float bias = 0.0037930732552754493f, root = 0.15595420054924863f;
    const float *restrict r = light[0], *restrict g = light[1], *restrict b = light[2];
    float *restrict x = out[0], *restrict y = out[1], *restrict z = out[2];
    for (int i = 0; i < width; i++) {
        float m0 = 0.30f * r[i] + 0.622f * g[i] + 0.078f * b[i] + bias;
        float m1 = 0.23f * r[i] + 0.692f * g[i] + 0.078f * b[i] + bias;
        float m2 = 0.24342268924547819f * r[i] + 0.20476744424496821f * g[i] +
                   0.55180986650955360f * b[i] + bias;
        m0 = cube_root(m0) - root;
        m1 = cube_root(m1) - root;
        m2 = cube_root(m2) - root;
        float luma = 0.5f * (m0 + m1);
        x[i] = 0.5f * (m0 - m1) * 14.0f + 0.42f;
        y[i] = luma + 0.01f;
        z[i] = m2 - luma + 0.55f;
    }
}

// One row of a * b blurred horizontally; beyond the sides there is nothing.
static void blur_row(float *restrict padded, const float *restrict a, const float *restrict b,
                     float *restrict out, int width) {
    float *row = padded + 8;
    if (b)
        for (int i = 0; i < width; i++) row[i] = a[i] * b[i];
    else
        for (int i = 0; i < width; i++) row[i] = a[i];
    for (int i = 0; i < RADIUS; i++) row[-1 - i] = row[width + i] = 0;
    for (int i = 0; i < width; i++)
        out[i] = GAUSSIAN[0] * row[i] + GAUSSIAN[1] * (row[i - 1] + row[i + 1]) +
                 GAUSSIAN[2] * (row[i - 2] + row[i + 2]) + GAUSSIAN[3] * (row[i - 3] + row[i + 3]) +
                 GAUSSIAN[4] * (row[i - 4] + row[i + 4]) + GAUSSIAN[5] * (row[i - 5] + row[i + 5]);
}

// The vertical blur around a row of the ring; above and below the picture is mirrored.
static void blur_column(Scorer *scorer, int plane, int kind, int row, int height,
                        float *restrict out, int width) {
    const float *in[TAPS];
    for (int i = 0; i < TAPS; i++) {
        int y = row + i - RADIUS;
        y = y < 0 ? -1 - y : y >= height ? 2 * height - 1 - y : y;
        in[i] = scorer->ring[y % RING][plane][kind];
    }
    for (int i = 0; i < width; i++)
        out[i] = GAUSSIAN[0] * in[5][i] + GAUSSIAN[1] * (in[4][i] + in[6][i]) +
                 GAUSSIAN[2] * (in[3][i] + in[7][i]) + GAUSSIAN[3] * (in[2][i] + in[8][i]) +
                 GAUSSIAN[4] * (in[1][i] + in[9][i]) + GAUSSIAN[5] * (in[0][i] + in[10][i]);
}

static void light_row(Scorer *scorer, int s, const uint8_t *rgb, int row, float *out[PLANES]) {
    Scale *scale = &scorer->scale[s];
    for (int p = 0; p < PLANES; p++) {
        if (s) {
            out[p] = scale->linear[p] + (size_t)row * scale->pitch;
            continue;
        }
        out[p] = scorer->light[p];
        const uint8_t *in = rgb + (size_t)row * scale->width * PLANES + p;
        for (int i = 0; i < scale->width; i++) out[p][i] = from_srgb[in[PLANES * i]];
    }
}

// Adds a row in linear light to the means of 2x2 pixels that the next scale is made of. At an odd
// end the mean is that of the pixels there are.
static void halve_row(const Scale *scale, const Scale *next, int row, float *const light[PLANES]) {
    int last = row == scale->height - 1 && row % 2 == 0;
    float weight = last ? 0.5f : 0.25f;
    int pairs = scale->width / 2;
    for (int p = 0; p < PLANES; p++) {
        const float *restrict in = light[p];
        float *restrict out = next->linear[p] + (size_t)(row / 2) * next->pitch;
        float keep = row % 2 ? 1.0f : 0.0f;
        for (int i = 0; i < pairs; i++)
            out[i] = out[i] * keep + (in[2 * i] + in[2 * i + 1]) * weight;
        if (scale->width % 2) out[pairs] = out[pairs] * keep + in[scale->width - 1] * (2 * weight);
    }
}

static double row_sum(const float *values, int from, int to) {
    Vector lanes = {0, 0, 0, 0};
    int i = from;
    for (; i + 4 <= to; i += 4) lanes += *(const Vector *)(values + i);
    float sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (; i < to; i++) sum += values[i];
    return sum;
}

// The error maps of one row: where structure differs, where edges have appeared, where they have
// gone; each also to the power of four.
static void map_row(Scorer *scorer, const Scale *scale, int plane, int row) {
    size_t start = (size_t)row * scale->pitch;
    const float *restrict v1 = scale->values[plane] + start, *restrict m1 = scale->means[plane] + start;
    const float *restrict s11 = scale->squares[plane] + start;
    const float *restrict v2 = scorer->ring[row % RING][plane][0], *restrict m2 = scorer->blurred[0];
    const float *restrict s22 = scorer->blurred[1], *restrict s12 = scorer->blurred[2];
    float *restrict ssim = scorer->map[0], *restrict ssim4 = scorer->map[1];
    float *restrict more = scorer->map[2], *restrict more4 = scorer->map[3];
    float *restrict less = scorer->map[4], *restrict less4 = scorer->map[5];
    const float c2 = 0.0009f;
    for (int i = 0; i < scale->width; i++) {
        float difference = m1[i] - m2[i];
        float luminance = 1.0f - difference * difference;
        float structure = 2.0f * (s12[i] - m1[i] * m2[i]) + c2;
        float energy = (s11[i] - m1[i] * m1[i]) + (s22[i] - m2[i] * m2[i]) + c2;
        float d = 1.0f - luminance * structure / energy;
        d = d > 0 ? d : 0;
        float edge1 = __builtin_fabsf(v1[i] - m1[i]), edge2 = __builtin_fabsf(v2[i] - m2[i]);
        float e = (1.0f + edge2) / (1.0f + edge1) - 1.0f;
        float appeared = e > 0 ? e : 0, gone = e < 0 ? -e : 0;
        ssim[i] = d;
        ssim4[i] = (d * d) * (d * d);
        more[i] = appeared;
        more4[i] = (appeared * appeared) * (appeared * appeared);
        less[i] = gone;
        less4[i] = (gone * gone) * (gone * gone);
    }
}

static void add_row(Scorer *scorer, int s, int plane, int row, const Tile *tiles, int count) {
    const Scale *scale = &scorer->scale[s];
    int up = (1 << s) - 1;
    for (int t = 0; t < count; t++) {
        int bottom = (tiles[t].bottom + up) >> s, right = (tiles[t].right + up) >> s;
        if (row < tiles[t].top >> s || row >= bottom) continue;
        if (right > scale->width) right = scale->width;
        double *sums = scorer->sums + ((t * PLANES + plane) * SCALES + s) * TERMS;
        for (int k = 0; k < TERMS; k++)
            sums[k] += row_sum(scorer->map[k], tiles[t].left >> s, right);
    }
}

// All of a picture. Without tiles it becomes the reference.
static void work(Scorer *scorer, const uint8_t *rgb, const Tile *tiles, int count) {
    for (int s = 0; s < SCALES; s++) {
        Scale *scale = &scorer->scale[s];
        int width = scale->width, height = scale->height, reference = !count;
        for (int row = 0; row < height + RADIUS; row++) {
            if (row < height) {
                float *light[PLANES], *xyb[PLANES];
                light_row(scorer, s, rgb, row, light);
                if (s + 1 < SCALES) halve_row(scale, &scale[1], row, light);
                for (int p = 0; p < PLANES; p++)
                    xyb[p] = reference && USED[s] >> p & 1
                                 ? scale->values[p] + (size_t)row * scale->pitch
                                 : scorer->ring[row % RING][p][0];
                to_xyb(light, xyb, width);
                for (int p = 0; p < PLANES; p++) {
                    if (!(USED[s] >> p & 1)) continue;
                    float **out = scorer->ring[row % RING][p];
                    blur_row(scorer->padded, xyb[p], NULL, out[1], width);
                    blur_row(scorer->padded, xyb[p], xyb[p], out[2], width);
                    if (reference) continue;
                    const float *other = scale->values[p] + (size_t)row * scale->pitch;
                    blur_row(scorer->padded, xyb[p], other, out[3], width);
                }
            }
            int done = row - RADIUS;
            if (done < 0) continue;
            for (int p = 0; p < PLANES; p++) {
                if (!(USED[s] >> p & 1)) continue;
                size_t start = (size_t)done * scale->pitch;
                if (reference) {
                    blur_column(scorer, p, 1, done, height, scale->means[p] + start, width);
                    blur_column(scorer, p, 2, done, height, scale->squares[p] + start, width);
                    continue;
                }
                for (int kind = 1; kind < 4; kind++)
                    blur_column(scorer, p, kind, done, height, scorer->blurred[kind - 1], width);
                map_row(scorer, scale, p, done);
                add_row(scorer, s, p, done, tiles, count);
            }
        }
    }
}

static float *plane(size_t pitch, size_t rows) {
    return allocate((uint64_t)pitch * rows * sizeof(float));
}

// A scorer for candidates of the reference, (height, width, 3) sRGB; or an error. Shorter
// sides are the caller's to extend.
EXPORT("sc_score_open") intptr_t sc_score_open(const uint8_t *rgb, int width, int height) {
    if (width < SMALLEST || height < SMALLEST || width > LARGEST ||
        height > LARGEST)
        return ERROR_SIDE;
    fill_table();
    Scorer *scorer = allocate(sizeof(Scorer));
    if (!scorer) return ERROR_MEMORY;
    int ok = 1, w = width, h = height;
    for (int s = 0; s < SCALES; s++) {
        Scale *scale = &scorer->scale[s];
        *scale = (Scale){.width = w, .height = h, .pitch = (w + SLACK) & ~3};
        for (int p = 0; p < PLANES; p++) {
            if (s) ok &= (scale->linear[p] = plane(scale->pitch, h)) != NULL;
            if (USED[s] >> p & 1) {
                ok &= (scale->means[p] = plane(scale->pitch, h)) != NULL;
                ok &= (scale->squares[p] = plane(scale->pitch, h)) != NULL;
                ok &= (scale->values[p] = plane(scale->pitch, h)) != NULL;
            }
        }
        if (!ok) return ERROR_MEMORY;
        w = (w + 1) / 2;
        h = (h + 1) / 2;
    }
    size_t row = width + 2 * SLACK;
    for (int p = 0; p < PLANES; p++) {
        ok &= (scorer->light[p] = plane(row, 1)) != NULL;
        ok &= (scorer->blurred[p] = plane(row, 1)) != NULL;
        for (int i = 0; i < RING; i++)
            for (int k = 0; k < 4; k++) ok &= (scorer->ring[i][p][k] = plane(row, 1)) != NULL;
    }
    for (int k = 0; k < TERMS; k++) ok &= (scorer->map[k] = plane(row, 1)) != NULL;
    ok &= (scorer->padded = plane(row, 1)) != NULL;
    if (!ok) return ERROR_MEMORY;
    work(scorer, rgb, NULL, 0);
    return (intptr_t)scorer;
}

// Fills sums, [count][3 planes][6 scales][6 terms] doubles, with the sums of the candidate's error
// maps over each tile. 0, or an error.
EXPORT("sc_score") int sc_score(Scorer *scorer, const uint8_t *rgb, const Tile *tiles, int count,
                                double *sums) {
    const Scale *whole = &scorer->scale[0];
    for (int t = 0; t < count; t++)
        if (tiles[t].left < 0 || tiles[t].left >= tiles[t].right || tiles[t].top < 0 ||
            tiles[t].top >= tiles[t].bottom || tiles[t].right > whole->width ||
            tiles[t].bottom > whole->height)
            return ERROR_TILE;
    for (int i = 0; i < count * PLANES * SCALES * TERMS; i++) sums[i] = 0;
    scorer->sums = sums;
    work(scorer, rgb, tiles, count);
    return 0;
}
