// The service worker of a site built with sitecodec: answers requests for the site's own AVIF and
// JPEG files with pictures decoded from the payloads of the same stem. Whatever goes wrong, the
// request goes to the network, as if there were no worker. docs/visitors.md is for its users.
//
// The build puts the site's facts in place of SITE, those of our pictures' files in place of
// SUFFIXES, and leaves out comments and indentation, so
// comments stand on lines of their own, and no string or template runs over a line's end. Lines that
// begin with @include give their place to another file.
"use strict";
((site) => {
  // A picture whose decoding would take longer, or that would have to wait longer for those before
  // it, comes from the network: milliseconds.
  const PATIENCE = 8000;
  // How long a host, or the browser's storage, may say nothing.
  const SILENCE = 4000;
  // After so many failures the worker stands aside for a while: a host may be between two versions.
  const MOST_FAILURES = 3;
  const REST = 6 * 36e5;
  // How long other requests may have to wait for a strip of pixels; strips are sized for a quarter, since
  // the rest of the browser takes its time, too.
  const STRIP = 50;
  // Larger pictures are streamed, so that they appear from the top. Smaller ones are answered when
  // they are whole: then nothing that goes wrong can be seen.
  const STREAMED = 2e6;
  // The engine's memory never shrinks: above this it is replaced when it has nothing to do.
  const MOST_MEMORY = 96e6;
  const LOGGED = 500;

  const root = new URL(self.sitecodecRoot || "./", self.location);
  const folder = new URL(site.folder + "/", root).href;
  const engineUrl = folder + site.engine;
  // None where all payloads are of flat graphics.
  const modelUrl = site.model && folder + site.model;
  const parts = [engineUrl, modelUrl].filter(Boolean);
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
  // When the last one was.
  let failed = 0;
  const bad = new Set();
  const log = [];

  const rested = (since) => Math.abs(Date.now() - since) > REST;
  const aside = () => failures >= MOST_FAILURES && !rested(failed);
  const avoided = (stem) => bad.has(stem) && !rested(failed);
  const now = () => performance.now();
  const openStore = () => caches.open(store);

  // What does not come in time is given up.
  const limited = (promise, time) => {
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(reject, time, "late")));
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  };

  const ask = (url, options, time) => {
    const stop = new AbortController();
    return limited(fetch(url, { ...options, signal: stop.signal }), time).catch((error) => {
      stop.abort();
      throw error;
    });
  };

  // However slowly a body comes, as long as it does.
  const bytesOf = async (response, time) => {
    const reader = response.body.getReader();
    const parts = [];
    try {
      for (let part; !(part = await limited(reader.read(), time)).done; ) parts.push(part.value);
    } catch (error) {
      reader.cancel().catch(() => {});
      throw error;
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  };

  // What earlier lives of this worker left: a browser ends it after some seconds without work.
  const restore = () => (restored ||= (async () => {
    try {
      const cache = await openStore();
      const saved = await (await cache.match(stateUrl))?.json();
      if (saved?.version === site.version && !rested(saved.failed) && Array.isArray(saved.bad)) {
        failures = Math.max(failures, saved.failures | 0);
        failed = saved.failed;
        for (const stem of saved.bad) bad.add(stem);
      }
      prepared = (await Promise.all(parts.map((url) => cache.match(url)))).every(Boolean);
    } catch {
      // Storage is blocked: nothing can be kept, so nothing is begun.
      failures = MOST_FAILURES;
      failed = Date.now();
    }
  })());

  const fail = async (stem) => {
    if (rested(failed)) {
      failures = 0;
      bad.clear();
    }
    failures++;
    failed = Date.now();
    if (stem) bad.add(stem);
    const state = { version: site.version, failures, failed, bad: [...bad] };
    try {
      await (await openStore()).put(stateUrl, new Response(JSON.stringify(state)));
    } catch {
      // Then the next life of this worker finds out anew.
    }
  };

  const unpacked = async (bytes) => {
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
    let files;
    let found;
    try {
      // Whatever is more urgent goes first.
      const responses = await Promise.all(
        parts.map((url) => ask(url, { priority: "low" }, 8 * SILENCE)));
      found = responses.every((response) => response.ok);
      files = found && await Promise.all(
        responses.map((response) => bytesOf(response, 8 * SILENCE)));
    } catch {
      return;
    }
    try {
      if (!found) throw new Error("missing");
      files = await Promise.all(files.map(unpacked));
      await start(...files);
      const cache = await openStore();
      for (const [n, url] of parts.entries()) await cache.put(url, new Response(files[n]));
      prepared = true;
    } catch {
      await fail();
    }
  })().finally(() => (preparing = undefined)));

  // @include decode.js
  // @include answer.js

  self.addEventListener("fetch", (event) => {
    const { request } = event;
    if (request.destination !== "image" || request.method !== "GET" || aside()) return;
    const url = request.url.replace(/[?#].*$/, "");
    if (!url.startsWith(folder)) return;
    const stem = /-([0-9a-f]{12})-\d+w\.(?:SUFFIXES)$/.exec(url)?.[1];
    if (!stems.has(stem) || avoided(stem)) return;
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
    if (what === "near" && Array.isArray(event.data.stems)) near = event.data.stems;
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
      await ask(self.location.href, { method: "HEAD" }, PATIENCE);
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
        const needed = stem ? stems.has(stem) : [...parts, stateUrl].includes(url);
        if (!needed) await cache.delete(url);
      }
      if (alone) await self.clients.claim();
    })());
  });
})(SITE);
