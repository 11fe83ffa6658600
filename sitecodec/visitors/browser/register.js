// Registers the site's service worker once a page has loaded and the browser has nothing else to do.
// The build puts the site's facts in place of SITE; see worker.js for how this file is written.
"use strict";
((site) => {
  const tag = document.currentScript;
  const container = navigator.serviceWorker;
  if (!tag || !container || !self.isSecureContext || !self.caches) return;
  if (!/^https?:$/.test(location.protocol)) return;
  if (typeof WebAssembly !== "object" || typeof DecompressionStream !== "function") return;
  const root = new URL(site.root, tag.src);
  if (root.origin !== location.origin || !location.pathname.startsWith(root.pathname)) return;
  const worker = new URL(site.name, root).href;

  // A visitor's own switch: localStorage.setItem("sitecodec", "off").
  const off = () => {
    try {
      return localStorage.getItem("sitecodec") === "off";
    } catch {
      return false;
    }
  };

  // The engine and the model are worth their bytes later; who counts bytes now is spared them.
  const frugal = () => {
    const { saveData, effectiveType } = navigator.connection || {};
    const reduced = self.matchMedia("(prefers-reduced-data: reduce)").matches;
    return saveData || reduced || /2g/.test(effectiveType);
  };

  // The newest comes first. Firefox at times gives a registration without its workers, for a while
  // or for good; then one may control the page already.
  const workersOf = ({ installing, waiting, active }) => {
    const all = [installing, waiting, active].filter(Boolean);
    return all.length || !container.controller ? all : [container.controller];
  };

  const prepare = (active) => frugal() || active?.postMessage({ sitecodec: "prepare" });

  const soon = async (look) => {
    for (let tries = 0; !(await look()) && tries < 20; tries++)
      await new Promise((done) => setTimeout(done, 250));
  };

  const begin = async () => {
    let found;
    // A registration that has just begun does not say yet whose it is.
    await soon(async () => {
      found = await container.getRegistration(root.href);
      return !found || workersOf(found).length;
    });
    const there = found ? workersOf(found) : [];
    if (found && !(there.length && there.every((one) => one.scriptURL === worker))) {
      // The site has a worker of its own, or is about to. If it imports ours, ours has a store.
      if (await caches.has("sitecodec:" + root.pathname)) prepare(there.pop());
      return;
    }
    if (off()) {
      await found?.unregister();
      return;
    }
    if (!found && frugal()) return;
    const registration = await container.register(worker, { scope: root.pathname });
    let newest;
    await soon(() => (newest = workersOf(registration)[0]));
    const go = () => newest.state === "activated" && prepare(newest);
    newest.addEventListener("statechange", go);
    go();
  };

  // A picture that failed half-way comes again, now from the network. Firefox may not know of the
  // failure yet: it would take the answer that is still on its way once more, so its end is awaited.
  const again = (image) => image.decode().catch(() => {}).then(() => (image.src = image.src));
  container.addEventListener("message", ({ data }) => {
    if (data?.sitecodec !== "failed") return;
    for (const image of document.images) if (image.currentSrc === data.url) again(image);
  });

  // Which pictures are still to come and in the window or close to it: they are decoded first.
  const gap = (image) => {
    const { top, bottom } = image.getBoundingClientRect();
    return Math.max(top - innerHeight, -bottom, 0);
  };
  const watch = () => {
    const close = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries)
        if (isIntersecting) close.add(target);
        else close.delete(target);
      // Which of its files a browser has chosen, it does not say before that file is here.
      const stems = Array.from(close)
        .filter((image) => !image.complete)
        .sort((one, other) => gap(one) - gap(other))
        .flatMap((image) => Array.from(
          (image.closest("picture") || image).outerHTML.matchAll(/-([0-9a-f]{12})-\d+w\./g),
          (match) => match[1]));
      if (stems.length) container.controller.postMessage({ sitecodec: "near", stems });
    }, { rootMargin: "25%" });
    for (const image of document.images) observer.observe(image);
  };
  if (container.controller && self.IntersectionObserver) watch();

  const idle = self.requestIdleCallback || ((work) => setTimeout(work, 200));
  const later = () => idle(() => begin().catch(() => {}), { timeout: 4000 });
  if (document.readyState === "complete") later();
  else addEventListener("load", later);
})(SITE);
