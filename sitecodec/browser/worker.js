// The service worker of a site built with sitecodec: answers requests for the site's own AVIF and
// JPEG files with pictures decoded from the payloads of the same stem. Whatever goes wrong, the
// request goes to the network, as if there were no worker. docs/visitors.md is for its users.
//
// The build puts the site's facts in place of SITE and leaves out comments and indentation, so
// comments stand on lines of their own, and no string or template runs over a line's end.
"use strict";
((site) => {
  // A picture whose decoding would take longer, or that would have to wait longer for those before
  // it, comes from the network: milliseconds.
  const PATIENCE = 8000;
  // How long other requests may have to wait for a strip of pixels; strips are sized for half of it.
  const STRIP = 50;
  // Larger pictures are streamed, so that they appear from the top. Smaller ones are answered when
  // they are whole: then nothing that goes wrong can be seen.
  const STREAMED = 2e6;
  const MOST_PIXELS = 50e6;
  // The engine's memory never shrinks: above this it is replaced when it has nothing to do.
  const MOST_MEMORY = 96e6;
  const MOST_FAILURES = 3;
  const LOGGED = 500;

  const root = new URL(self.sitecodecRoot || "./", self.location);
  const folder = new URL(site.folder + "/", root).href;
  const engineUrl = folder + site.engine;
  const modelUrl = folder + site.model;
  const stateUrl = folder + "state";
  // False where a worker of the site's own has imported this script.
  const alone = self.location.pathname === new URL(site.name, root).pathname;
  const store = "sitecodec:" + root.pathname;
  // Twelve digits of each stem's hash.
  const stems = new Set(site.stems.match(/.{12}/g));

  let restored;
  let prepared = false;
  let preparing;
  let failures = 0;
  const bad = new Set();
  const log = [];

  const aside = () => failures >= MOST_FAILURES;
  const now = () => performance.now();
  const openStore = () => caches.open(store);

  // What earlier lives of this worker left: a browser ends it after some seconds without work.
  const restore = () => (restored ||= (async () => {
    try {
      const cache = await openStore();
      const saved = await (await cache.match(stateUrl))?.json();
      if (saved?.version === site.version) {
        failures = Math.max(failures, saved.failures);
        for (const stem of saved.bad) bad.add(stem);
      }
      prepared = !!(await cache.match(engineUrl)) && !!(await cache.match(modelUrl));
    } catch {
      // Storage is blocked: nothing can be kept, so nothing is begun.
      failures = MOST_FAILURES;
    }
  })());

  const fail = async (stem) => {
    failures++;
    if (stem) bad.add(stem);
    const state = { version: site.version, failures, bad: [...bad] };
    try {
      await (await openStore()).put(stateUrl, new Response(JSON.stringify(state)));
    } catch {
      // Then the next life of this worker finds out anew.
    }
  };

  const unpacked = async (response) => {
    let bytes = new Uint8Array(await response.arrayBuffer());
    // Some servers undo the compression themselves.
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    }
    return bytes;
  };

  // The engine and the model: fetched once, when a page says that it has nothing else to do.
  const prepare = () => (preparing ||= (async () => {
    await restore();
    if (aside() || prepared || !stems.size) return;
    let responses;
    try {
      responses = await Promise.all(
        [engineUrl, modelUrl].map((url) => fetch(url, { priority: "low" })));
    } catch {
      return;
    }
    try {
      if (!responses.every((response) => response.ok)) throw new Error("missing");
      const [engine, model] = await Promise.all(responses.map(unpacked));
      await start(engine, model);
      const cache = await openStore();
      await cache.put(engineUrl, new Response(engine));
      await cache.put(modelUrl, new Response(model));
      prepared = true;
    } catch {
      await fail();
    }
  })().finally(() => (preparing = undefined)));

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
    const model = check(exports.sc_load(put(exports, bytes), bytes.length));
    machine = { exports, model, mark: exports.sc_mark() };
  };

  const ready = async () => {
    if (!machine) {
      const cache = await openStore();
      const parts = await Promise.all([engineUrl, modelUrl].map((url) => cache.match(url)));
      if (!parts.every(Boolean)) {
        // The browser has cleared them away: no fault of the picture's.
        prepared = false;
        throw null;
      }
      await start(...(await Promise.all(parts.map(unpacked))));
    }
    return machine;
  };

  // The pictures that are asked for and not decoded yet, in the order of the requests. One at a time
  // is decoded: the first of those that a page says are in its window or close, else the first.
  const queue = [];
  let near = new Set();
  let busy = false;
  let waiting = 0;
  // Milliseconds a pixel takes, for guesses.
  let speed = 5e-4;

  const work = async () => {
    if (busy) return;
    busy = true;
    for (;;) {
      // Before choosing: meanwhile more is asked for, and the page may say what is near.
      if (!machine) await ready().catch(() => {});
      // One whose payload is still on its way holds nobody up; the store answers in any order, but
      // soon, so that is waited for.
      const able = queue.filter((job) => job.run || job.looking);
      const job = able.find(({ stem }) => near.has(stem)) || able[0];
      if (!job) break;
      if (job.run) {
        queue.splice(queue.indexOf(job), 1);
        await job.run();
      } else {
        await job.looking;
      }
    }
    busy = false;
  };

  // Lets what came in meanwhile be handled; a timer would sleep.
  const channel = new MessageChannel();
  const woken = [];
  channel.port1.onmessage = () => woken.shift()();
  const pause = () => new Promise((resolve) => {
    woken.push(resolve);
    channel.port2.postMessage(0);
  });

  const bmpHeader = (width, height, stride) => {
    const bytes = new Uint8Array(54);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 0x424d);
    view.setUint32(2, 54 + stride * height, true);
    view.setUint32(10, 54, true);
    view.setUint32(14, 40, true);
    view.setInt32(18, width, true);
    // Negative: the first row is the top one.
    view.setInt32(22, -height, true);
    view.setUint16(26, 1, true);
    view.setUint16(28, 24, true);
    view.setUint32(34, stride * height, true);
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
    const stride = (3 * width + 3) & ~3;
    const whole = width * height <= STREAMED;
    let controller;
    let cancelled = false;
    const headers = { "Content-Type": "image/bmp", "Cache-Control": "no-store" };
    try {
      const decoder = check(
        exports.sc_open(model, put(exports, payload), payload.length, MOST_PIXELS));
      const most = Math.min(height, 256);
      const strip = check(exports.sc_alloc(most * width * 3));
      if (!strip) throw new Error("out of memory");
      const header = bmpHeader(width, height, stride);
      const picture = whole ? new Uint8Array(54 + stride * height) : null;
      let early = [header];
      picture?.set(header);
      for (let done = 0, rows = 16; done < height && !cancelled; ) {
        const before = now();
        const made = check(exports.sc_read(decoder, strip, Math.min(rows, most)));
        if (!made || done + made > height) throw new Error("wrong number of rows");
        const rgb = new Uint8Array(exports.memory.buffer, strip, made * width * 3);
        const to = whole
          ? picture.subarray(54 + done * stride)
          : new Uint8Array(made * stride);
        toBmp(rgb, to, width, made, stride);
        done += made;
        const after = now();
        // In steps of a row of latents.
        const fitting = (made / 16) * (STRIP / 2 / Math.max(after - before, 0.1));
        rows = 16 * Math.max(1, Math.min(16, Math.floor(fitting)));
        const spent = after - began;
        // The first rows, which need more latents than others, say little of the rest.
        const guess = spent > PATIENCE / 8 ? (spent / done) * height : 0;
        if (guess > PATIENCE && done < height && !controller) throw new Error("too slow");
        if (!whole) {
          if (controller) controller.enqueue(to);
          else early.push(to);
          // Long enough to know how long all of it will take.
          if (!controller && (spent > 100 || done === height)) {
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

  // The answer to a request for the fallback at `address`, or null if it has to come from the network.
  // The second promise ends when all is done.
  const answerTo = (address, stem, tell) => {
    const url = address.replace(/[?#].*$/, "");
    const place = url.replace(/\.\w+$/, ".slat");
    let answered;
    const response = new Promise((resolve) => (answered = resolve));
    const job = { stem };
    queue.push(job);
    const look = async () => {
      await restore();
      if (aside() || !prepared || bad.has(stem)) return null;
      const cache = await openStore();
      const found = await cache.match(place);
      return { cache, kept: found ? new Uint8Array(await found.arrayBuffer()) : null };
    };
    const serve = async () => {
      // No network, or no storage, is not the payload's fault.
      const found = await (job.looking = look().catch(() => null));
      if (!found) return;
      const { cache, kept } = found;
      let payload = kept;
      if (!kept) {
        job.looking = undefined;
        // What the browser still has from before costs neither bytes nor time.
        const had = await fetch(address, { cache: "only-if-cached", mode: "same-origin" })
          .catch(() => null);
        if (had?.ok) return answered(had);
        try {
          const came = await fetch(place, { cache: "no-store" });
          payload = came.ok ? new Uint8Array(await came.arrayBuffer()) : null;
        } catch {
          return;
        }
      }
      let cost = 0;
      let streaming = false;
      try {
        if (!payload) throw new Error("no such payload");
        const { width, height } = size(payload);
        if (width !== +/-(\d+)w\.\w+$/.exec(url)[1]) throw new Error("another picture's payload");
        cost = width * height * speed;
        if (waiting + cost > PATIENCE && waiting) return;
        waiting += cost;
        const since = now();
        const ms = await new Promise((resolve, reject) => {
          job.run = () => {
            // Others took longer than was thought.
            if (now() - since > PATIENCE) return resolve(null);
            return decode(payload, width, height, (made) => {
              streaming = true;
              answered(made);
            }).then(resolve, reject);
          };
          work();
        });
        if (ms === null) return;
        log.push({ url, bytes: payload.length, cached: !!kept, ms, pixels: width * height });
        if (log.length > LOGGED) log.shift();
        if (!kept) await cache.put(place, new Response(payload)).catch(() => {});
      } catch (error) {
        if (error === null) return;
        await fail(stem);
        if (kept) await cache.delete(place).catch(() => {});
        if (!payload) await leaveIfGone();
        if (streaming) tell();
      } finally {
        waiting = Math.max(0, waiting - cost);
      }
    };
    const served = serve().finally(() => {
      if (queue.includes(job)) queue.splice(queue.indexOf(job), 1);
      answered(null);
    });
    return { response, served };
  };

  // A payload is gone: perhaps the site no longer has a worker. Then browsers would keep it.
  const leaveIfGone = async () => {
    if (!alone) return;
    try {
      const status = (await fetch(self.location.href, { cache: "no-store" })).status;
      if (status !== 404 && status !== 410) return;
      await self.registration.unregister();
      await caches.delete(store);
    } catch {
      // Some other time.
    }
  };

  self.addEventListener("fetch", (event) => {
    const { request } = event;
    if (request.destination !== "image" || request.method !== "GET" || aside()) return;
    const url = request.url.replace(/[?#].*$/, "");
    if (!url.startsWith(folder)) return;
    const stem = /-([0-9a-f]{12})-\d+w\.(?:avif|jpg|webp|png)$/.exec(url)?.[1];
    if (!stems.has(stem) || bad.has(stem)) return;
    const tell = async () => {
      const client = await self.clients.get(event.clientId);
      client?.postMessage({ sitecodec: "failed", url: request.url });
    };
    const { response, served } = answerTo(request.url, stem, tell);
    event.waitUntil(served);
    event.respondWith(response.then((made) => made || fetch(request)));
  });

  self.addEventListener("message", (event) => {
    const what = event.data?.sitecodec;
    if (what === "prepare") event.waitUntil(prepare());
    if (what === "near") near = new Set(event.data.stems);
    if (what === "report")
      event.waitUntil(restore().then(() => event.ports[0]?.postMessage(
        { version: site.version, prepared, failures, aside: aside(), log })));
  });

  self.addEventListener("install", (event) => {
    if (!alone) return;
    event.waitUntil((async () => {
      // Throw where a security policy forbids WebAssembly, SIMD is missing, or requests cannot pass
      // through a worker. Then there is no worker. (The module: one function, i8x16.popcnt of 0.)
      const probe = "AGFzbQEAAAABBQFgAAF7AwIBAAoKAQgAQQD9D/1iCw==";
      await WebAssembly.compile(Uint8Array.from(atob(probe), (c) => c.charCodeAt(0)));
      await fetch(self.location.href, { method: "HEAD" });
      try {
        // What is not ours need not wait for this worker to start.
        await event.addRoutes?.({
          condition: { not: { urlPattern: new URLPattern(folder + "*") } },
          source: "network",
        });
      } catch {
        // An older browser: it asks, and gets no answer.
      }
      await self.skipWaiting();
    })());
  });

  self.addEventListener("activate", (event) => {
    event.waitUntil((async () => {
      const cache = await openStore().catch(() => null);
      for (const { url } of (await cache?.keys()) || []) {
        const stem = /-([0-9a-f]{12})-\d+w\.slat$/.exec(url)?.[1];
        const needed = stem ? stems.has(stem) : [engineUrl, modelUrl, stateUrl].includes(url);
        if (!needed) await cache.delete(url);
      }
      if (alone) await self.clients.claim();
    })());
  });
})(SITE);
