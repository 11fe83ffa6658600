// A model file, parsed and checked: docs/format.md, "Model file".
#include "engine.h"

typedef struct {
    const uint8_t *at, *end;
    int failed;
} Reader;

static const uint8_t *take(Reader *reader, size_t count) {
    if (reader->failed || (size_t)(reader->end - reader->at) < count) {
        reader->failed = 1;
        return NULL;
    }
    const uint8_t *bytes = reader->at;
    reader->at += count;
    return bytes;
}

static uint32_t number(Reader *reader, int bytes) {
    const uint8_t *from = take(reader, bytes);
    uint32_t value = 0;
    if (from)
        for (int i = 0; i < bytes; i++) value |= (uint32_t)from[i] << 8 * i;
    return value;
}

static void *array(Reader *reader, size_t count, size_t size) {
    const uint8_t *from = take(reader, count * size);
    void *to = from ? allocate(count * size + 16) : NULL;
    if (!to) {
        reader->failed = 1;
        return NULL;
    }
    __builtin_memcpy(to, from, count * size);
    return to;
}

static int16_t weight(const uint8_t *from, size_t index, int bytes) {
    return bytes == 1 ? (int8_t)from[index]
                      : (int16_t)(from[2 * index] | (uint16_t)from[2 * index + 1] << 8);
}

static void read_layer(Reader *reader, Layer *layer, int inputs, int depthwise, int levels) {
    layer->inputs = inputs;
    layer->outputs = number(reader, 2);
    layer->rows = number(reader, 1);
    layer->columns = number(reader, 1);
    int bytes = number(reader, 1);
    layer->activation = number(reader, 1);
    layer->bias_levels = number(reader, 1);
    number(reader, 1);
    if (reader->failed || layer->outputs < 8 || layer->outputs > MAX_CHANNELS ||
        layer->outputs % 8 || inputs % 8 || (depthwise && layer->outputs != inputs) ||
        layer->rows < 1 || layer->rows > MAX_TAPS || layer->columns < 1 || layer->columns > 8 ||
        (bytes != 1 && bytes != 2) || layer->activation > ACTIVATION_LEAKY ||
        (layer->bias_levels != 1 && layer->bias_levels != levels)) {
        reader->failed = 1;
        return;
    }
    int outputs = layer->outputs, taps = layer->rows * layer->columns;
    layer->scale = array(reader, outputs, 4);
    layer->biases = array(reader, (size_t)outputs * layer->bias_levels, 4);
    layer->bias = allocate(outputs * 4);
    size_t each = (size_t)taps * (depthwise ? 1 : inputs), count = each * outputs;
    const uint8_t *from = take(reader, count * bytes);
    layer->weights = from ? allocate(count * 2) : NULL;
    if (reader->failed || !layer->weights || !layer->bias) {
        reader->failed = 1;
        return;
    }
    if (depthwise) {
        for (int o = 0; o < outputs; o++)
            for (int t = 0; t < taps; t++)
                layer->weights[t * outputs + o] = weight(from, (size_t)o * taps + t, bytes);
    } else {
        int16_t *to = layer->weights;
        for (int group = 0; group < outputs; group += 8)
            for (size_t i = 0; i < each; i += 2)
                for (int lane = 0; lane < 8; lane++)
                    for (int k = 0; k < 2; k++)
                        *to++ = weight(from, (group + lane) * each + i + k, bytes);
    }
    layer_set_level(layer, 0);
}

// Multiplications for one place; a depthwise layer's inputs are counted though it has one for each.
static uint64_t work_of(const Layer *layer) {
    return (uint64_t)layer->rows * layer->columns * layer->inputs * layer->outputs;
}

static void read_entropy(Reader *reader, Model *model) {
    model->transform_size = number(reader, 2);
    model->scale_size = number(reader, 2);
    model->taps = number(reader, 1);
    number(reader, 1);
    if (model->transform_size < 2 || model->scale_size < 2 || model->taps < 1 ||
        model->taps > MAX_TAPS)
        reader->failed = 1;
    for (int i = 0; i < model->taps && !reader->failed; i++) {
        int y = model->tap_y[i] = (int8_t)number(reader, 1);
        int x = model->tap_x[i] = (int8_t)number(reader, 1);
        if (y < -3 || y > 0 || x < -3 || x > 3 || (y == 0 && x >= 0)) reader->failed = 1;
    }
    model->transform = array(reader, model->transform_size, 2);
    model->inverse_scale = array(reader, model->scale_size, 4);
    if (reader->failed) return;
    for (int i = 0; i < model->scale_size; i++)  // scales from 0.04 to 64
        if (model->inverse_scale[i] < 1024 || model->inverse_scale[i] > 1638400)
            reader->failed = 1;
    read_layer(reader, &model->context, model->channels, 0, model->levels);
    read_layer(reader, &model->hidden, model->context.outputs, 0, model->levels);
    read_layer(reader, &model->output, model->hidden.outputs, 0, model->levels);
    model->work += work_of(&model->context) + work_of(&model->hidden) + work_of(&model->output);
    if (model->context.rows != model->taps || model->context.columns != 1 ||
        model->hidden.rows != 1 || model->hidden.columns != 1 || model->output.rows != 1 ||
        model->output.columns != 1 || model->output.outputs != 2 * model->channels)
        reader->failed = 1;
}

static void read_op(Reader *reader, Model *model, int index) {
    Op *op = &model->ops[index];
    op->kind = number(reader, 1);
    op->factor = op->stride = number(reader, 1);
    op->pad = number(reader, 1);
    number(reader, 1);
    op->a = number(reader, 2);
    op->b = number(reader, 2);
    if (op->kind != OP_ADD) op->b = 0;
    if (reader->failed || op->a >= index || op->b >= index) {
        reader->failed = 1;
        return;
    }
    const Op *a = &model->ops[op->a], *b = &model->ops[op->b];
    op->channels = a->channels;
    op->shift = a->shift;
    int good = 1, steps = 0;
    switch (op->kind) {
        case OP_CONV:
            read_layer(reader, &op->layer, a->channels, 0, model->levels);
            op->channels = op->layer.outputs;
            op->shift += op->stride == 2;
            good = op->layer.rows == op->layer.columns &&
                   (op->stride == 1 ? op->layer.rows == 2 * op->pad + 1
                                    : op->stride == 2 && op->layer.rows == 4 && op->pad == 1);
            break;
        case OP_DEPTHWISE:
            read_layer(reader, &op->layer, a->channels, 1, model->levels);
            good = op->stride == 1 && op->layer.rows == op->layer.columns &&
                   op->layer.rows == 2 * op->pad + 1;
            break;
        case OP_ADD:
            good = a->channels == b->channels && a->shift == b->shift;
            break;
        case OP_RELU:
            break;
        case OP_SHUFFLE:
        case OP_UNSHUFFLE:
            while (1 << steps < op->factor) steps++;
            good = op->factor >= 2 && op->factor <= STRIDE && 1 << steps == op->factor;
            if (op->kind == OP_SHUFFLE) {
                good = good && a->channels % (op->factor * op->factor) == 0;
                if (good) op->channels = a->channels / (op->factor * op->factor);
                op->shift -= steps;
            } else {
                op->channels = a->channels * op->factor * op->factor;
                op->shift += steps;
            }
            break;
        default:
            good = 0;
    }
    if (!good || op->channels > MAX_CHANNELS || op->shift < 0 || op->shift > 4 ||
        (op->channels % 8 && op->shift)) {
        reader->failed = 1;
        return;
    }
    uint64_t each = op->layer.outputs ? work_of(&op->layer) : (uint64_t)op->channels;
    model->work += each * STRIDE * STRIDE >> 2 * op->shift;
}

// Parses a model file. The result points at a Model, or is an error.
EXPORT("sc_load") intptr_t sc_load(const uint8_t *file, size_t size) {
    if (size < 24 || size > 1u << 26) return ERROR_MODEL;
    Reader reader = {file, file + size - 4, 0};
    Reader tail = {file + size - 4, file + size, 0};
    uint32_t checksum = number(&tail, 4);
    if (number(&reader, 4) != 0x314d4c53u || crc32(0, file, size - 4) != checksum)
        return ERROR_MODEL;
    Model *model = allocate(sizeof *model);
    if (!model) return ERROR_MEMORY;
    int kind = number(&reader, 1);
    model->decoder = kind == 1;
    model->levels = number(&reader, 1);
    model->channels = number(&reader, 2);
    model->latent_bits = number(&reader, 1);
    model->op_count = number(&reader, 1) + 1;
    number(&reader, 2);
    uint32_t partner = number(&reader, 4);
    model->fingerprint = model->decoder ? checksum : partner;
    if ((kind != 1 && kind != 2) || model->levels < 2 || model->levels > MAX_LEVELS ||
        model->channels < 8 || model->channels > MAX_CHANNELS / 2 || model->channels % 8 ||
        model->latent_bits > 14 || model->op_count > MAX_OPS)
        return ERROR_MODEL;
    model->log_gain = array(&reader, (size_t)model->levels * model->channels, 2);
    if (model->decoder && !reader.failed) read_entropy(&reader, model);
    model->ops[0] = model->decoder
                        ? (Op){.kind = OP_INPUT, .channels = model->channels, .shift = 4}
                        : (Op){.kind = OP_INPUT, .channels = 3, .shift = 0};
    for (int i = 1; i < model->op_count && !reader.failed; i++) read_op(&reader, model, i);
    if (reader.failed || reader.at != reader.end) return ERROR_MODEL;
    const Op *last = &model->ops[model->op_count - 1];
    int wanted = model->decoder ? 3 : model->channels;
    if (last->channels != wanted || last->shift != (model->decoder ? 0 : 4)) return ERROR_MODEL;
    return (intptr_t)model;
}

#include "tables.h"

void model_gains(const Model *model, uint32_t position, int fraction_bits, Gain *gains) {
    uint32_t level = position >> 12, weight = position & 4095;
    const int16_t *a = model->log_gain + (size_t)level * model->channels;
    const int16_t *b = weight ? a + model->channels : a;
    for (int c = 0; c < model->channels; c++) {
        int32_t log = (a[c] * (int32_t)(4096 - weight) + b[c] * (int32_t)weight + 2048) >> 12;
        gains[c].multiplier = EXP2[log & 255];
        gains[c].shift = 15 - (log >> 8) + fraction_bits;
    }
}

int32_t gain_apply(Gain gain, int32_t value) {
    int64_t product = (int64_t)value * gain.multiplier;
    if (gain.shift <= 0) product = gain.shift < -16 ? 0 : product << -gain.shift;
    else if (gain.shift > 46) product = 0;
    else product = (product + ((int64_t)1 << (gain.shift - 1))) >> gain.shift;
    return product > 32767 ? 32767 : product < -32767 ? -32767 : (int32_t)product;
}
