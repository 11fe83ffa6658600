// The second judge: ColorVideoVDP (Mantiuk, Hanji, Ashraf, Asano and Chapiro 2024, "ColorVideoVDP: A
// visual difference predictor for image, video and display distortions") for still pictures, on its
// display `standard_fhd`. Light is split into luminance and two opponent colours, each into bands of
// contrast; contrasts weigh as eyes are sensitive to them, and hide where both pictures have much of
// them. Built into score.wasm; sitecodec/engine/judge.py turns sums into a figure.
//
// What depends on the reference only is kept, so that a candidate costs half of the first.
#include "engine.h"
#include "judge_tables.h"

enum { CHANNELS = 3, LEVELS = 7, BANDS = LEVELS + 1, RADIUS = 6, SLACK = 16 };
enum { ERROR_SIDE = -11, SMALLEST = 16, LARGEST = 8192 };

typedef struct {
    int width, height;
    float *light[CHANNELS];        // of the picture being worked on
    float *contrast[CHANNELS];     // of the reference, times sensitivity
    float *sensitivity[CHANNELS];
} Band;

typedef struct {
    Band band[BANDS];
    int levels;               // bands of contrast; one more holds what is left
    float *expanded[CHANNELS];
    float *difference[CHANNELS], *masker[CHANNELS];
    float *rows;              // scratch
    float rest[CHANNELS];     // sensitivity to what is left
    float rest_light;         // mean luminance of what is left of the reference
} Judge;

static const float TO_OPPONENT[CHANNELS][3] = {
    {0.23320121074f, 0.72883078905f, 0.08899583693f},
    {0.12762077124f, -0.08706808759f, -0.03677739062f},
    {-0.21482250859f, -0.62625369221f, 0.85140332695f},
};
// The display's black, with a room's light of 250 lux on it, and what it adds to that.
static const float BLACK = 0.5978873577f, RANGE = 199.8f;
static const float GAIN[CHANNELS] = {1.0f, 1.45f, 1.0f};
// Calibrated by the metric's authors: exponents, and 2^weights of masking across channels.
static const float MASK_P = 2.264355182647705f;
static const float MASK_Q[CHANNELS] = {1.302622675895691f, 2.8885908126831055f, 3.6807713508605957f};
static const float MASK_BY[CHANNELS][CHANNELS] = {  // [masker][masked]
    {0.8769089f, 0.0160403f, 0.0501243f},
    {5.9198449f, 1.2693299f, 0.1518116f},
    {14.0435639f, 0.4982112f, 0.6976921f},
};
static const float MASK_SCALE = 0.1601411f;  // 10^-0.7955
static const float MOST = 366.6447f;         // 10^2.5642
static const float TINY = 1e-5f;

// A Gaussian of sigma 3 over 13 pixels.
static const float GAUSSIAN[RADIUS + 1] = {0.1370228f, 0.1296180f, 0.1097193f, 0.0831085f,
                                           0.0563318f, 0.0341669f, 0.0185440f};

typedef union { float f; int32_t i; } Bits;

// log2 for positive numbers, to about 2e-6.
static inline float log_2(float x) {
    Bits bits = {x};
    int32_t exponent = (bits.i - 0x3f3504f3) >> 23;  // the mantissa from sqrt(1/2) to sqrt(2)
    bits.i -= exponent << 23;
    float m = bits.f, s = (m - 1) / (m + 1), q = s * s;
    float series = 1 + q * (1.0f / 3 + q * (1.0f / 5 + q * (1.0f / 7 + q * (1.0f / 9))));
    return (float)exponent + 2.88539008f * s * series;
}

static inline float exp_2(float x) {
    x = x < -126 ? -126 : x > 126 ? 126 : x;
    float whole = __builtin_floorf(x + 0.5f), f = x - whole;
    Bits bits = {.i = ((int32_t)whole + 127) << 23};
    float p = 1 + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * (0.00961804f +
              f * (0.00133336f + f * 0.00015469f)))));
    return bits.f * p;
}

static inline float power(float x, float exponent) { return exp_2(exponent * log_2(x)); }

static float lights[256];

static void fill_lights(void) {
    if (lights[255] != 0) return;
    for (int i = 0; i < 256; i++) {
        float v = (float)i / 255;
        float linear = v > 0.04045f ? power((v + 0.055f) / 1.055f, 2.4f) : v / 12.92f;
        lights[i] = RANGE * linear + BLACK;
    }
}

static int reflected(int i, int size) {  // the ends themselves are mirrored, too
    return i < 0 ? -1 - i : i >= size ? 2 * size - 1 - i : i;
}

// Half the size: a kernel of five, pixels at even places.
static void reduce(Judge *judge, const float *in, int width, int height, float *out) {
    const float a = 0.05f, b = 0.25f, c = 0.4f;
    int columns = (width + 1) / 2, rows = (height + 1) / 2;
    float *line = judge->rows + 4;
    for (int y = 0; y < rows; y++, out += columns) {
        const float *r[5];
        for (int k = 0; k < 5; k++)
            r[k] = in + (size_t)reflected(2 * y + k - 2, height) * width;
        for (int x = 0; x < width; x++)
            line[x] = a * (r[0][x] + r[4][x]) + b * (r[1][x] + r[3][x]) + c * r[2][x];
        for (int k = 1; k <= 2; k++) {
            line[-k] = line[reflected(-k, width)];
            line[width - 1 + k] = line[reflected(width - 1 + k, width)];
        }
        for (int x = 0; x < columns; x++) {
            const float *p = line + 2 * x;
            out[x] = a * (p[-2] + p[2]) + b * (p[-1] + p[1]) + c * p[0];
        }
    }
}

// The way back: between the pixels of the smaller picture, whose ends go on.
static void expand(Judge *judge, const float *in, int width, int height, float *out) {
    int columns = (width + 1) / 2, last = (height + 1) / 2 - 1;
    float *line = judge->rows + 4;
    for (int y = 0; y < height; y++, out += width) {
        int middle = y / 2, above = middle ? middle - 1 : 0, below = middle < last ? middle + 1 : last;
        const float *m = in + (size_t)middle * columns, *d = in + (size_t)below * columns;
        const float *u = in + (size_t)above * columns;
        if (y % 2)
            for (int x = 0; x < columns; x++) line[x] = 0.5f * (m[x] + d[x]);
        else
            for (int x = 0; x < columns; x++) line[x] = 0.8f * m[x] + 0.1f * (u[x] + d[x]);
        line[-1] = line[0];
        line[columns] = line[columns - 1];
        for (int x = 0; x < width; x += 2) {
            const float *p = line + x / 2;
            out[x] = 0.8f * p[0] + 0.1f * (p[-1] + p[1]);
            if (x + 1 < width) out[x + 1] = 0.5f * (p[0] + p[1]);
        }
    }
}

// The masking contrast, blurred in place; the pixels beside an end are mirrored at it.
static void blur(Judge *judge, float *values, int width, int height, float *scratch) {
    if (width <= RADIUS || height <= RADIUS) return;
    float *line = judge->rows + 8;
    for (int y = 0; y < height; y++) {
        const float *in = values + (size_t)y * width;
        float *out = scratch + (size_t)y * width;
        for (int x = 0; x < width; x++) line[x] = in[x];
        for (int k = 1; k <= RADIUS; k++) line[-k] = line[k], line[width - 1 + k] = line[width - 1 - k];
        for (int x = 0; x < width; x++) {
            float sum = GAUSSIAN[0] * line[x];
            for (int k = 1; k <= RADIUS; k++) sum += GAUSSIAN[k] * (line[x - k] + line[x + k]);
            out[x] = sum;
        }
    }
    for (int y = 0; y < height; y++) {
        const float *r[2 * RADIUS + 1];
        for (int k = -RADIUS; k <= RADIUS; k++) {
            int row = y + k < 0 ? -(y + k) : y + k >= height ? 2 * height - 2 - (y + k) : y + k;
            r[RADIUS + k] = scratch + (size_t)row * width;
        }
        float *restrict out = values + (size_t)y * width;
        for (int x = 0; x < width; x++) {
            float sum = GAUSSIAN[0] * r[RADIUS][x];
            for (int k = 1; k <= RADIUS; k++)
                sum += GAUSSIAN[k] * (r[RADIUS - k][x] + r[RADIUS + k][x]);
            out[x] = sum;
        }
    }
}

static float sensitivity_at(const float *table, float log2_light) {
    const float low = -7.6438562f, high = 13.2877124f;  // log2 of 0.005 and 10,000
    float place = (log2_light - low) * (31 / (high - low));
    place = place < 0 ? 0 : place > 30.9999f ? 30.9999f : place;
    int index = (int)place;
    float part = place - (float)index;
    return exp_2(table[index] + (table[index + 1] - table[index]) * part);
}

static void open_light(Judge *judge, const uint8_t *rgb) {
    const Band *full = &judge->band[0];
    size_t count = (size_t)full->width * full->height;
    for (size_t i = 0; i < count; i++) {
        float r = lights[rgb[3 * i]], g = lights[rgb[3 * i + 1]], b = lights[rgb[3 * i + 2]];
        for (int c = 0; c < CHANNELS; c++)
            full->light[c][i] =
                TO_OPPONENT[c][0] * r + TO_OPPONENT[c][1] * g + TO_OPPONENT[c][2] * b;
    }
    for (int l = 0; l < judge->levels; l++)
        for (int c = 0; c < CHANNELS; c++)
            reduce(judge, judge->band[l].light[c], judge->band[l].width, judge->band[l].height,
                   judge->band[l + 1].light[c]);
}

// The contrast of a band of the picture being worked on, instead of its light; not yet weighed.
static void to_contrast(Judge *judge, int level) {
    Band *band = &judge->band[level];
    size_t count = (size_t)band->width * band->height;
    float twice = level ? 2 : 1;
    for (int c = 0; c < CHANNELS; c++)
        expand(judge, judge->band[level + 1].light[c], band->width, band->height,
               judge->expanded[c]);
    const float *restrict ground = judge->expanded[0];
    for (int c = 0; c < CHANNELS; c++) {
        float *restrict light = band->light[c];
        const float *restrict wide = judge->expanded[c];
        for (size_t i = 0; i < count; i++) {
            float value = (light[i] - wide[i]) / (ground[i] > 0.01f ? ground[i] : 0.01f);
            light[i] = (value < 1000 ? value : 1000) * twice;
        }
    }
}

static void weigh(const float *restrict contrast, const float *restrict sensitivity, float gain,
                  size_t count, float *restrict out) {
    for (size_t i = 0; i < count; i++) out[i] = contrast[i] * sensitivity[i] * gain;
}

// The squares of what is seen of the differences in a band, each channel's summed.
static void compare(Judge *judge, int level, double *sums) {
    Band *band = &judge->band[level];
    size_t count = (size_t)band->width * band->height;
    float *scratch = judge->expanded[0];
    for (int c = 0; c < CHANNELS; c++) {
        float *restrict test = band->light[c], *restrict apart = judge->difference[c];
        float *restrict masker = judge->masker[c];
        const float *restrict reference = band->contrast[c];
        weigh(test, band->sensitivity[c], GAIN[c], count, apart);
        for (size_t i = 0; i < count; i++) {
            float a = __builtin_fabsf(apart[i]), b = __builtin_fabsf(reference[i]);
            masker[i] = a < b ? a : b;
            apart[i] = __builtin_fabsf(apart[i] - reference[i]);
        }
        blur(judge, masker, band->width, band->height, scratch);
        float least = power(TINY, MASK_Q[c]), q = MASK_Q[c];
        for (size_t i = 0; i < count; i++)
            masker[i] = power(masker[i] * MASK_SCALE + TINY, q) - least;
    }
    float least = power(TINY, MASK_P);
    for (int c = 0; c < CHANNELS; c++) {
        const float *restrict a = judge->masker[0], *restrict b = judge->masker[1];
        const float *restrict d = judge->masker[2];
        float *restrict apart = judge->difference[c];
        for (size_t i = 0; i < count; i++) {
            float mask = 1 + MASK_BY[0][c] * a[i] + MASK_BY[1][c] * b[i] + MASK_BY[2][c] * d[i];
            float seen = (power(apart[i] + TINY, MASK_P) - least) / mask;
            seen = MOST * seen / (MOST + seen) + TINY;
            apart[i] = seen * seen - TINY * TINY;
        }
        for (int y = 0; y < band->height; y++) {
            float row = 0;
            for (int x = 0; x < band->width; x++) row += apart[(size_t)y * band->width + x];
            sums[c] += row;
        }
    }
}

static float mean_of(const float *values, size_t count, float floor) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i] > floor ? values[i] : floor;
    return (float)(sum / (double)count);
}

static void make_reference(Judge *judge) {
    for (int l = 0; l < judge->levels; l++) {
        Band *band = &judge->band[l];
        size_t count = (size_t)band->width * band->height;
        to_contrast(judge, l);
        for (size_t i = 0; i < count; i++) {
            float ground = judge->expanded[0][i];
            float light = log_2(ground > 0.01f ? ground : 0.01f);
            for (int c = 0; c < CHANNELS; c++)
                band->sensitivity[c][i] = sensitivity_at(SENSITIVITY[l][c], light);
        }
        for (int c = 0; c < CHANNELS; c++)
            weigh(band->light[c], band->sensitivity[c], GAIN[c], count, band->contrast[c]);
    }
    Band *rest = &judge->band[judge->levels];
    size_t count = (size_t)rest->width * rest->height;
    judge->rest_light = mean_of(rest->light[0], count, 0.01f);
    for (int c = 0; c < CHANNELS; c++) {
        judge->rest[c] = sensitivity_at(SENSITIVITY[BANDS - 1][c], log_2(judge->rest_light));
        for (size_t i = 0; i < count; i++) rest->contrast[c][i] = rest->light[c][i];
    }
}

// A judge of candidates for the reference, (height, width, 3) sRGB; or an error.
EXPORT("sc_judge_open") intptr_t sc_judge_open(const uint8_t *rgb, int width, int height) {
    if (width < SMALLEST || height < SMALLEST || width > LARGEST || height > LARGEST)
        return ERROR_SIDE;
    fill_lights();
    Judge *judge = allocate(sizeof *judge);
    if (!judge) return ERROR_MEMORY;
    int shorter = width < height ? width : height, ok = 1, w = width, h = height;
    judge->levels = 30 - __builtin_clz((uint32_t)shorter);
    if (judge->levels > LEVELS) judge->levels = LEVELS;
    size_t full = ((size_t)width * height + SLACK) * sizeof(float);
    for (int l = 0; l <= judge->levels; l++) {
        Band *band = &judge->band[l];
        band->width = w, band->height = h;
        size_t size = ((size_t)w * h + SLACK) * sizeof(float);
        for (int c = 0; c < CHANNELS; c++) {
            ok = ok && (band->light[c] = allocate(size)) && (band->contrast[c] = allocate(size)) &&
                 (band->sensitivity[c] = allocate(l < judge->levels ? size : SLACK));
        }
        w = (w + 1) / 2, h = (h + 1) / 2;
    }
    for (int c = 0; c < CHANNELS; c++)
        ok = ok && (judge->expanded[c] = allocate(full)) && (judge->difference[c] = allocate(full)) &&
             (judge->masker[c] = allocate(full));
    if (!ok || !(judge->rows = allocate(((size_t)width + 4 * SLACK) * sizeof(float))))
        return ERROR_MEMORY;
    open_light(judge, rgb);
    make_reference(judge);
    return (intptr_t)judge;
}

// Fills means, [8 bands][3 channels] doubles, with the mean square of what is seen of the candidate's
// differences; the last band is what is left below the others. Returns how many bands there are.
EXPORT("sc_judge") int sc_judge(Judge *judge, const uint8_t *rgb, double *means) {
    for (int i = 0; i < BANDS * CHANNELS; i++) means[i] = 0;
    open_light(judge, rgb);
    Band *rest = &judge->band[judge->levels];
    size_t count = (size_t)rest->width * rest->height;
    float light = mean_of(rest->light[0], count, 0.01f);
    double *last = means + judge->levels * CHANNELS;
    for (int c = 0; c < CHANNELS; c++)
        for (size_t i = 0; i < count; i++) {
            float test = rest->light[c][i] / light, reference = rest->contrast[c][i] / judge->rest_light;
            float seen = __builtin_fabsf((test < 1000 ? test : 1000) -
                                         (reference < 1000 ? reference : 1000)) * judge->rest[c] + TINY;
            last[c] += (seen * seen - TINY * TINY) / (double)count;
        }
    for (int l = 0; l < judge->levels; l++) {
        Band *band = &judge->band[l];
        to_contrast(judge, l);
        double *sums = means + l * CHANNELS;
        compare(judge, l, sums);
        for (int c = 0; c < CHANNELS; c++) sums[c] /= (double)band->width * band->height;
    }
    return judge->levels + 1;
}
