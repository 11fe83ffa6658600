// Runs a model's layers over a picture a row at a time. Each value keeps only the rows that some
// later layer still needs, so memory grows with the picture's width, not its area.
#include <wasm_simd128.h>

#include "engine.h"

enum { MOST_MEMORY = 1 << 29 };  // bytes of all rings; trained models take a tenth at most
enum { LEFT = 4, RIGHT = 16 };  // columns of zeros beside each row; RIGHT also takes overshoot

typedef struct {
    int width, height, channels;
    int kept;    // rows in the ring
    int done;    // rows made so far
    size_t stride;
    int16_t *ring;
} Value;

struct Graph {
    const Model *model;
    RowSource source;
    void *context;
    int16_t *zeros;  // a row above or below the picture
    Value values[MAX_OPS];
};

// Rows of a source that one row of an op's result needs: from `first`, `count` of them.
static void needs(const Op *op, int row, int *first, int *count) {
    *first = row;
    *count = 1;
    if (op->kind == OP_CONV || op->kind == OP_DEPTHWISE) {
        *first = row * op->stride - op->pad;
        *count = op->layer.rows;
    } else if (op->kind == OP_SHUFFLE) {
        *first = row / op->factor;
    } else if (op->kind == OP_UNSHUFFLE) {
        *first = row * op->factor;
        *count = op->factor;
    }
}

// Makes rows up to `row` of a value. With `dry` nothing is computed: it finds how many rows each
// ring must keep. The depth of the recursion is at most the number of ops.
static int demand(Graph *graph, int index, int row, int dry);
static void compute(Graph *graph, int index, int row);

static int demand_source(Graph *graph, int index, int first, int count, int dry) {
    int last = first + count - 1, height = graph->values[index].height;
    return demand(graph, index, last < height ? last : height - 1, dry);
}

static void keep(Value *value, int first) {
    int kept = value->done - (first > 0 ? first : 0);
    if (kept > value->kept) value->kept = kept;
}

static int demand(Graph *graph, int index, int row, int dry) {
    Value *value = &graph->values[index];
    const Op *op = &graph->model->ops[index];
    while (value->done <= row) {
        int error = 0;
        if (op->kind == OP_INPUT) {
            if (!dry) {
                int16_t *to = value->ring + (value->done % value->kept) * value->stride +
                              LEFT * value->channels;
                error = graph->source(graph->context, value->done, to);
            }
        } else {
            int first, count;
            needs(op, value->done, &first, &count);
            error = demand_source(graph, op->a, first, count, dry);
            if (!error && op->kind == OP_ADD)
                error = demand_source(graph, op->b, first, count, dry);
            if (!error && dry) {
                keep(&graph->values[op->a], first);
                if (op->kind == OP_ADD) keep(&graph->values[op->b], first);
            } else if (!error) {
                compute(graph, index, value->done);
            }
        }
        if (error) return error;
        value->done++;
    }
    return 0;
}

static const int16_t *row_of(const Graph *graph, int index, int row) {
    const Value *value = &graph->values[index];
    if (row < 0 || row >= value->height) return graph->zeros + LEFT * value->channels;
    return value->ring + (row % value->kept) * value->stride + LEFT * value->channels;
}

static void convolve(Graph *graph, const Op *op, Value *value, int row, int16_t *to) {
    const int16_t *rows[MAX_TAPS];
    int channels = op->layer.inputs;
    for (int i = 0; i < op->layer.rows; i++)
        rows[i] = row_of(graph, op->a, row * op->stride - op->pad + i) - op->pad * channels;
    if (op->kind == OP_DEPTHWISE) {
        layer_depthwise_row(&op->layer, rows, to, value->width);
        return;
    }
    layer_row(&op->layer, rows, op->stride * channels, to, value->width);
    if (value->width % 4 && value->width > 1)
        __builtin_memset(to + (size_t)value->width * value->channels, 0,
                         (size_t)(4 - value->width % 4) * value->channels * 2);
}

static void compute(Graph *graph, int index, int row) {
    const Op *op = &graph->model->ops[index];
    Value *value = &graph->values[index];
    int width = value->width, channels = value->channels, r = op->factor;
    int16_t *to = value->ring + (row % value->kept) * value->stride + LEFT * channels;
    const int16_t *a = row_of(graph, op->a, row);
    int from = graph->values[op->a].channels;
    size_t count = (size_t)width * channels;  // a multiple of 8
    switch (op->kind) {
        case OP_CONV:
        case OP_DEPTHWISE:
            convolve(graph, op, value, row, to);
            break;
        case OP_ADD: {
            const int16_t *b = row_of(graph, op->b, row);
            for (size_t i = 0; i < count; i += 8)
                wasm_v128_store(to + i, wasm_i16x8_add_sat(wasm_v128_load(a + i),
                                                           wasm_v128_load(b + i)));
            break;
        }
        case OP_RELU:
            for (size_t i = 0; i < count; i += 8)
                wasm_v128_store(to + i, wasm_i16x8_max(wasm_v128_load(a + i),
                                                       wasm_i16x8_const_splat(0)));
            break;
        case OP_SHUFFLE:
            a = row_of(graph, op->a, row / r) + row % r * r;
            for (int x = 0; x < width; x += r, a += from)
                for (int c = 0; c < channels; c++)
                    for (int dx = 0; dx < r; dx++)
                        to[(size_t)(x + dx) * channels + c] = a[c * r * r + dx];
            break;
        case OP_UNSHUFFLE:
            for (int dy = 0; dy < r; dy++) {
                a = row_of(graph, op->a, row * r + dy);
                for (int x = 0; x < width; x++)
                    for (int dx = 0; dx < r; dx++, a += from)
                        for (int c = 0; c < from; c++)
                            to[(size_t)x * channels + c * r * r + dy * r + dx] = a[c];
            }
            break;
    }
}

static uint64_t ring_size(const Value *value) {
    return (uint64_t)value->kept * value->stride * sizeof *value->ring + 64;
}

// `width` and `height` in pixels, multiples of STRIDE.
int graph_open(Graph **opened, const Model *model, int width, int height, RowSource source,
               void *context) {
    Graph *graph = *opened = allocate(sizeof *graph);
    if (!graph) return ERROR_MEMORY;
    graph->model = model;
    graph->source = source;
    graph->context = context;
    size_t widest = 0;
    for (int i = 0; i < model->op_count; i++) {
        const Op *op = &model->ops[i];
        Value *value = &graph->values[i];
        value->width = width >> op->shift;
        value->height = height >> op->shift;
        value->channels = op->channels;
        value->stride = (size_t)(value->width + LEFT + RIGHT) * op->channels;
        if (value->stride > widest) widest = value->stride;
        value->kept = 1;
    }
    int last = model->op_count - 1;
    // Rings settle within a few rows; a taller dry run would find nothing new.
    int rows = graph->values[last].height, enough = 1024 >> model->ops[last].shift;
    demand(graph, last, (rows < enough ? rows : enough) - 1, 1);
    uint64_t bytes = 0;
    for (int i = 0; i <= last; i++) bytes += ring_size(&graph->values[i]);
    if (bytes > MOST_MEMORY) return ERROR_DEMANDING;
    for (int i = 0; i <= last; i++) {
        Value *value = &graph->values[i];
        value->done = 0;
        value->ring = allocate(ring_size(value));
        if (!value->ring) return ERROR_MEMORY;
    }
    graph->zeros = allocate((uint64_t)widest * 2 + 64);
    return graph->zeros ? 0 : ERROR_MEMORY;
}

int graph_row(Graph *graph, int row, const int16_t **out) {
    int last = graph->model->op_count - 1, error = demand(graph, last, row, 0);
    if (!error) *out = row_of(graph, last, row);
    return error;
}
