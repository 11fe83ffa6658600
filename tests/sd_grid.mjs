// Decodes a grid in Node: `node sd_grid.mjs ENGINE PARAMETERS BODY HEIGHT WIDTH CHANNELS`.
// Prints the SHA-256 of the 16-bit values.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const [wasm, parametersPath, bodyPath, ...size] = process.argv.slice(2);
const [height, width, channels] = size.map(Number);
const { instance } = await WebAssembly.instantiate(readFileSync(wasm), {});
const engine = instance.exports;

const put = (bytes) => {
  const pointer = engine.sc_alloc(bytes.length) >>> 0;
  new Uint8Array(engine.memory.buffer).set(bytes, pointer);
  return pointer;
};
const parameters = readFileSync(parametersPath);
const body = readFileSync(bodyPath);
const count = height * width * channels;
const values = engine.sc_alloc(2 * count) >>> 0;
const result = engine.sc_grid_decode(
  put(parameters), parameters.length, put(body), body.length, width, height, channels, values);
if (result < 0) throw new Error(`the engine answered ${result}`);
const bytes = new Uint8Array(engine.memory.buffer, values, 2 * count);
console.log(createHash("sha256").update(bytes).digest("hex"));
