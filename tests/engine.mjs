// Runs the engine in Node: `node engine.mjs decode ENGINE MODEL PAYLOAD`, with "" where the payload
// needs no model, or `node engine.mjs encode ENGINE DECODER ENCODER PIXELS WIDTH HEIGHT HUNDREDTHS`.
// Prints the SHA-256 of the pixels or of the payload.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const [what, wasm, ...rest] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(wasm), {});
const engine = instance.exports;

const check = (result) => {
  if (result < 0 && result > -100) throw new Error(`the engine answered ${result}`);
  return result >>> 0;
};
const put = (bytes) => {
  const pointer = check(engine.sc_alloc(bytes.length));
  new Uint8Array(engine.memory.buffer).set(bytes, pointer);
  return pointer;
};
const get = (pointer, size) => new Uint8Array(engine.memory.buffer, pointer, size);
const load = (path) => {
  const bytes = readFileSync(path);
  return check(engine.sc_load(put(bytes), bytes.length));
};
const hash = createHash("sha256");

if (what === "decode") {
  const [modelPath, payloadPath] = rest;
  const payload = readFileSync(payloadPath);
  const model = modelPath ? load(modelPath) : 0;
  const decoder = check(engine.sc_open(model, put(payload), payload.length, 50e6));
  const width = engine.sc_width(decoder);
  const row = width * engine.sc_channels(decoder);
  const strip = check(engine.sc_alloc(row * 7));
  // An odd number of rows at a time: strips must not show.
  for (let rows; (rows = check(engine.sc_read(decoder, strip, 7))); )
    hash.update(get(strip, rows * row));
} else {
  const [decoderPath, encoderPath, pixelsPath, width, height, quality] = rest;
  const decoder = load(decoderPath);
  const encoder = load(encoderPath);
  const analysis = check(
    engine.sc_analyse(encoder, put(readFileSync(pixelsPath)), Number(width), Number(height)));
  const capacity = width * height + 65536;
  const out = check(engine.sc_alloc(capacity));
  hash.update(get(out, check(engine.sc_encode(analysis, decoder, Number(quality), 0, out, capacity))));
}
console.log(hash.digest("hex"));
