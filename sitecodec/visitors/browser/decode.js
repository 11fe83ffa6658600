// Part of worker.js: the engine, and pictures out of payloads.

  let machine;

  const check = (result) => {
    if (result < 0 && result > -100) throw new Error("the engine answered " + result);
    return result >>> 0;
  };

  const put = (exports, bytes) => {
    const pointer = check(exports.sc_alloc(bytes.length));
    if (!pointer) throw new Error("out of memory");
    new Uint8Array(exports.memory.buffer).set(bytes, pointer);
    return pointer;
  };

  const start = async (engine, bytes) => {
    const { instance } = await WebAssembly.instantiate(engine, {});
    const exports = instance.exports;
    const model = bytes ? check(exports.sc_load(put(exports, bytes), bytes.length)) : 0;
    machine = { exports, model, mark: exports.sc_mark() };
  };

  const ready = async () => {
    if (!machine) {
      const cache = await openStore();
      const found = await limited(Promise.all(parts.map((url) => cache.match(url))), SILENCE);
      if (!found.every(Boolean)) {
        // The browser has cleared them away: no fault of the picture's.
        prepared = false;
        throw null;
      }
      const files = await Promise.all(
        found.map(async (response) => unpacked(await bytesOf(response, SILENCE))));
      await limited(start(...files), PATIENCE);
    }
    return machine;
  };

  // Milliseconds a pixel takes, for guesses.
  let speed = 5e-4;

  // Lets what came in meanwhile be handled; a timer would sleep.
  const channel = new MessageChannel();
  const woken = [];
  channel.port1.onmessage = () => woken.shift()();
  const pause = () => new Promise((resolve) => {
    woken.push(resolve);
    channel.port2.postMessage(0);
  });

  const bmpHeader = (width, height, stride, alpha) => {
    const bytes = new Uint8Array(alpha ? 138 : 54);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 0x424d);
    view.setUint32(2, bytes.length + stride * height, true);
    view.setUint32(10, bytes.length, true);
    view.setUint32(14, bytes.length - 14, true);
    view.setInt32(18, width, true);
    // Negative: the first row is the top one.
    view.setInt32(22, -height, true);
    view.setUint16(26, 1, true);
    view.setUint16(28, alpha ? 32 : 24, true);
    view.setUint32(34, stride * height, true);
    if (alpha) {
      // A BITMAPV5HEADER whose masks say: bytes R, G, B, A.
      view.setUint32(30, 3, true);
      [0xff, 0xff00, 0xff0000, 0xff000000].forEach((mask, i) =>
        view.setUint32(54 + 4 * i, mask, true));
      view.setUint32(70, 0x73524742, true);
      view.setUint32(122, 4, true);
    }
    return bytes;
  };

  // RGB without padding to BGR, each row padded to whole words.
  const toBmp = (rgb, to, width, rows, stride) => {
    for (let row = 0, from = 0; row < rows; row++) {
      for (let at = row * stride, end = at + 3 * width; at < end; at += 3, from += 3) {
        to[at] = rgb[from + 2];
        to[at + 1] = rgb[from + 1];
        to[at + 2] = rgb[from];
      }
    }
  };

  const size = (payload) => {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    if (payload.length < 20 || view.getUint32(0) !== 0x534c4154) throw new Error("not a payload");
    return { width: view.getUint16(10, true) + 1, height: view.getUint16(12, true) + 1 };
  };

  // Decodes a payload. `answer` is called once, with a Response, as soon as there is one; what is
  // thrown before goes to the network. Returns when all is decoded.
  const decode = async (payload, width, height, answer) => {
    const { exports, model, mark } = await ready();
    // Not before: an engine that has to start would make the first rows look slow.
    const began = now();
    const whole = width * height <= STREAMED;
    let controller;
    let cancelled = false;
    const headers = { "Content-Type": "image/bmp", "Cache-Control": "no-store" };
    try {
      const decoder = check(
        exports.sc_open(model, put(exports, payload), payload.length, 0));
      const channels = exports.sc_channels(decoder);
      const alpha = channels > 3;
      const stride = (channels * width + 3) & ~3;
      const most = Math.min(height, 256);
      const strip = check(exports.sc_alloc(most * width * channels));
      if (!strip) throw new Error("out of memory");
      const header = bmpHeader(width, height, stride, alpha);
      const picture = whole ? new Uint8Array(header.length + stride * height) : null;
      let early = [header];
      picture?.set(header);
      for (let done = 0, rows = 16; done < height && !cancelled; ) {
        const before = now();
        const made = check(exports.sc_read(decoder, strip, Math.min(rows, most)));
        if (!made || done + made > height) throw new Error("wrong number of rows");
        const pixels = new Uint8Array(exports.memory.buffer, strip, made * width * channels);
        const to = whole
          ? picture.subarray(header.length + done * stride)
          : new Uint8Array(made * stride);
        if (alpha) to.set(pixels);
        else toBmp(pixels, to, width, made, stride);
        done += made;
        const after = now();
        // In steps of a row of latents.
        const fitting = (made / 16) * (STRIP / 4 / Math.max(after - before, 0.1));
        rows = 16 * Math.max(1, Math.min(16, Math.floor(fitting)));
        const spent = after - began;
        const soon = (spent / done) * height <= PATIENCE;
        // The first rows, which need more latents than others, say little of the rest.
        const slow = !soon && spent > PATIENCE / 8;
        if (slow && done < height && !controller) throw new Error("too slow");
        if (!whole) {
          if (controller) controller.enqueue(to);
          else early.push(to);
          // What is begun cannot be taken back unseen: not before it is known to end in time.
          if (!controller && ((soon && spent > 100) || done === height)) {
            answer(new Response(new ReadableStream({
              start: (made) => (controller = made),
              cancel: () => (cancelled = true),
            }), { headers }));
            early.forEach((part) => controller.enqueue(part));
            early = [];
          }
        }
        if (done < height) await pause();
      }
      if (whole) answer(new Response(picture, { headers }));
      else if (!cancelled) controller.close();
      // Small ones would tell of the start, not of the pixels.
      if (width * height > 5e4) speed = (speed + (now() - began) / (width * height)) / 2;
      return now() - began;
    } catch (error) {
      controller?.error(error);
      // Its memory may be in any state.
      machine = undefined;
      throw error;
    } finally {
      if (machine) {
        exports.sc_release(mark);
        if (exports.memory.buffer.byteLength > MOST_MEMORY) machine = undefined;
      }
    }
  };
