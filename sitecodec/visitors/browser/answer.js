// Part of worker.js: the order of work, and what becomes of a request.

  // The pictures that are asked for and not decoded yet, in the order of the requests. One at a time
  // is decoded: of those that a page says are in its window or close the nearest, else the first.
  const queue = [];
  let near = [];
  let busy = false;
  let waiting = 0;

  const work = async () => {
    if (busy) return;
    busy = true;
    try {
      for (;;) {
        // Before choosing: meanwhile more is asked for, and the page may say what is near.
        if (!machine) await ready().catch(() => {});
        // One whose payload is still on its way holds nobody up; the store answers in any order,
        // but soon, so that is waited for.
        const able = queue.filter((job) => job.run || job.looking);
        const nearest = near.find((stem) => able.some((job) => job.stem === stem));
        const job = able.find(({ stem }) => stem === nearest) || able[0];
        if (!job) break;
        if (job.run) {
          queue.splice(queue.indexOf(job), 1);
          // Who takes much longer than was thought keeps the engine; others get a new one.
          await limited(job.run(), 2 * PATIENCE).catch(() => (machine = undefined));
        } else {
          await job.looking;
        }
      }
    } finally {
      busy = false;
    }
  };

  // The answer to a request for the fallback at `address`, or null if it has to come from the network.
  // The second promise ends when all is done.
  const answerTo = (address, stem, tell) => {
    const url = address.replace(/[?#].*$/, "");
    const place = url.replace(/\.\w+$/, ".slat");
    let answered;
    const response = new Promise((resolve) => (answered = resolve));
    // Whatever it is that does not end.
    setTimeout(answered, 2 * PATIENCE, null);
    const job = { stem };
    queue.push(job);
    const look = async () => {
      await restore();
      if (aside() || !prepared || avoided(stem)) return null;
      const cache = await openStore();
      const found = await cache.match(place);
      return { cache, kept: found ? new Uint8Array(await found.arrayBuffer()) : null };
    };
    const serve = async () => {
      // No network, or no storage, is not the payload's fault.
      const found = await (job.looking = limited(look(), SILENCE).catch(() => null));
      if (!found) return;
      const { cache, kept } = found;
      let payload = kept;
      if (!kept) {
        job.looking = undefined;
        // What the browser still has from before costs neither bytes nor time.
        const had = await ask(
          address, { cache: "only-if-cached", mode: "same-origin" }, SILENCE / 4).catch(() => null);
        if (had?.ok) return answered(had);
        try {
          const came = await ask(place, { cache: "no-store" }, SILENCE);
          payload = came.ok ? await bytesOf(came, SILENCE) : null;
        } catch (error) {
          answered(null);
          // A host that takes the request and then says nothing would keep each page waiting.
          if (error === "late") await fail(stem);
          return;
        }
      }
      let cost = 0;
      let streaming = false;
      try {
        if (!payload) throw new Error("no such payload");
        const { width, height } = size(payload);
        if (width !== +/-(\d+)w\.\w+$/.exec(url)[1]) throw new Error("another picture's payload");
        const guess = width * height * speed;
        if (waiting + guess > PATIENCE) return;
        waiting += cost = guess;
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
        answered(null);
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
      const { status } = await ask(self.location.href, { cache: "no-store" }, SILENCE);
      if (status !== 404 && status !== 410) return;
      await self.registration.unregister();
      await caches.delete(store);
    } catch {
      // Some other time.
    }
  };
