// Range coder with 32-bit range, bytewise renormalisation and carry propagation, after
// G. N. N. Martin, "Range encoding" (1979) and the carry handling of LZMA's coder.
// Frequencies sum to 65,536. Bytes past the end of the data read as zero, so an encoder
// drops the zeros at its end.
#include "engine.h"

enum { TOTAL_BITS = 16 };
static const uint32_t RENORMALISE = 1u << 24;

void range_encoder_open(RangeEncoder *coder, uint8_t *out, size_t capacity) {
    *coder = (RangeEncoder){.out = out, .capacity = capacity, .range = 0xffffffffu};
}

static void put(RangeEncoder *coder, uint8_t byte) {
    if (!coder->started) {
        coder->started = 1;
        return;
    }
    if (coder->size < coder->capacity) coder->out[coder->size] = byte;
    coder->size++;
}

static void shift_low(RangeEncoder *coder) {
    if (coder->low < 0xff000000u || coder->low > 0xffffffffu) {
        uint8_t carry = (uint8_t)(coder->low >> 32);
        put(coder, (uint8_t)(coder->cache + carry));
        for (; coder->pending; coder->pending--) put(coder, (uint8_t)(0xff + carry));
        coder->cache = (uint8_t)(coder->low >> 24);
    } else {
        coder->pending++;
    }
    coder->low = (uint32_t)(coder->low << 8);
}

void range_encode(RangeEncoder *coder, uint32_t start, uint32_t frequency) {
    uint32_t unit = coder->range >> TOTAL_BITS;
    coder->low += (uint64_t)unit * start;
    coder->range = start + frequency == 1u << TOTAL_BITS ? coder->range - unit * start
                                                         : unit * frequency;
    while (coder->range < RENORMALISE) {
        coder->range <<= 8;
        shift_low(coder);
    }
}

uint32_t range_cost(uint32_t frequency) {
    int top = 31 - __builtin_clz(frequency);
    return (uint32_t)((16 - top) * 256) - ((frequency << 8 >> top) - 256);
}

size_t range_encoder_close(RangeEncoder *coder) {
    // Of all numbers in [low, low + range) take the one with the most zero bits at its end.
    uint64_t last = coder->low + coder->range - 1;
    for (int bits = 32; bits >= 0; bits--) {
        uint64_t value = last >> bits << bits;
        if (value >= coder->low) {
            coder->low = value;
            break;
        }
    }
    for (int i = 0; i < 5; i++) shift_low(coder);
    if (coder->size > coder->capacity) return SIZE_MAX;
    while (coder->size && !coder->out[coder->size - 1]) coder->size--;
    return coder->size;
}

static uint32_t next_byte(RangeDecoder *coder) { return coder->in < coder->end ? *coder->in++ : 0; }

void range_decoder_open(RangeDecoder *coder, const uint8_t *in, size_t size) {
    *coder = (RangeDecoder){.in = in, .end = in + size, .range = 0xffffffffu};
    for (int i = 0; i < 4; i++) coder->code = coder->code << 8 | next_byte(coder);
}

uint32_t range_decode_target(const RangeDecoder *coder) {
    uint32_t target = coder->code / (coder->range >> TOTAL_BITS);
    return target < 0xffff ? target : 0xffff;
}

void range_decode_consume(RangeDecoder *coder, uint32_t start, uint32_t frequency) {
    uint32_t unit = coder->range >> TOTAL_BITS;
    coder->code -= unit * start;
    coder->range = start + frequency == 1u << TOTAL_BITS ? coder->range - unit * start
                                                         : unit * frequency;
    while (coder->range < RENORMALISE) {
        coder->range <<= 8;
        coder->code = coder->code << 8 | next_byte(coder);
    }
}

int range_code_bit(RangeEncoder *encoder, RangeDecoder *decoder, uint32_t one, int bit) {
    uint32_t zero = (1u << TOTAL_BITS) - one;
    if (encoder) {
        range_encode(encoder, bit ? 0 : one, bit ? one : zero);
    } else {
        bit = decoder->code < one * (decoder->range >> TOTAL_BITS);
        range_decode_consume(decoder, bit ? 0 : one, bit ? one : zero);
    }
    return bit;
}
