// What `sitecodec check` asks of a page. The file is one expression: an object of functions, which
// Python calls in the page that is looked at. Nothing in here changes the document's tree.
({
  // Runs before any script of the page: what else differs from visit to visit stands still.
  freeze() {
    let seed = 1;
    Math.random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
    const moment = 1.8e12;
    const now = () => moment;
    window.Date = new Proxy(Date, {
      construct: (of, given, called) => Reflect.construct(of, given.length ? given : [moment], called),
      apply: (of) => new of(moment).toString(),
      get: (of, name) => (name === "now" ? now : of[name]),
    });
    performance.setResourceTimingBufferSize(10000);
    // Carousels move on after seconds: at which picture they are when looked at is chance.
    const long = 2500;
    for (const name of ["setTimeout", "setInterval"]) {
      const start = window[name];
      if (name === "setTimeout") window[Symbol.for("sitecodec")] = start; // for our own limits
      window[name] = (work, delay, ...values) =>
        delay >= long ? 0 : start.call(window, work, delay, ...values);
    }
  },

  // Lets the page come to rest: fonts are there, lazy images have been scrolled to and are loaded,
  // animations are at their end.
  async settle(seconds) {
    const end = performance.now() + 1000 * seconds;
    const after = window[Symbol.for("sitecodec")] ?? setTimeout;
    const frame = () => new Promise((done) => {
      const timer = setTimeout(done, 100); // a tab in the background draws no frames
      requestAnimationFrame(() => { clearTimeout(timer); done(); });
    });
    const scroll = (top) => window.scrollTo({ top, left: 0, behavior: "instant" });
    const rest = () => {
      for (const animation of document.getAnimations()) {
        const { activeDuration } = animation.effect?.getComputedTiming() ?? {};
        try {
          if (Number.isFinite(activeDuration)) animation.finish(); else animation.cancel();
        } catch { animation.cancel(); }
      }
    };
    await Promise.race([document.fonts.ready, new Promise((done) => after(done, 1000 * seconds))]);
    const root = document.documentElement;
    for (let top = innerHeight; top < root.scrollHeight && performance.now() < end; top += innerHeight) {
      scroll(top);
      await frame();
    }
    // An image that is not displayed may stay unloaded as long as it likes.
    const waiting = () => [...document.images].filter(
      (image) => !image.complete && image.getClientRects().length && image.checkVisibility()
    );
    // One that never comes into view, in a carousel for example, is given up.
    let [left, since] = [-1, 0];
    for (let rest = waiting(); rest.length && performance.now() < end; rest = waiting()) {
      if (rest.length !== left) [left, since] = [rest.length, performance.now()];
      if (performance.now() > since + 3000) break;
      rest[0].scrollIntoView({ behavior: "instant", block: "center" });
      await frame();
    }
    const loaded = [...document.images].filter((image) => image.complete && image.naturalWidth);
    await Promise.race([
      Promise.all(loaded.map((image) => image.decode().catch(() => {}))),
      new Promise((done) => after(done, Math.max(0, end - performance.now()))),
    ]);
    scroll(0);
    rest();
    await frame();
    await frame();
    return !waiting().length;
  },

  // Every element in the document's order, open shadow trees included, with its parent's number.
  // What markup for pictures consists of beside the image, and what is never shown, is left out;
  // a drawing is one element.
  elements() {
    const skipped = new Set(
      "SOURCE STYLE SCRIPT LINK META TEMPLATE NOSCRIPT HEAD TITLE BASE".split(" ")
    );
    const found = [];
    const walk = (element, parent) => {
      const tag = element.tagName.toUpperCase();
      if (skipped.has(tag)) return;
      const own = tag === "PICTURE" ? parent : found.push([element, parent]) - 1;
      if (tag === "SVG") return;
      for (const child of element.shadowRoot?.children ?? []) walk(child, own);
      for (const child of element.children) walk(child, own);
    };
    walk(document.documentElement, -1);
    return found;
  },

  // Tag, id, parent and border box of every element.
  boxes() {
    const round = (value) => Math.round(value * 100) / 100;
    return this.elements().map(([element, parent]) => {
      const { left, top, width, height } = element.getBoundingClientRect();
      return [
        element.tagName.toLowerCase(), element.id ? "#" + element.id : "", parent,
        round(left + scrollX), round(top + scrollY), round(width), round(height),
      ];
    });
  },

  // What each image shows: the file, its pixels, and how large it is drawn in CSS pixels, which
  // may be more than its box shows. Without `probe`, for pages whose scripts are off, the pixels
  // are not looked up.
  async pictures(probe) {
    const number = (text) => parseFloat(text) || 0;
    const drawn = (image) => {
      const style = getComputedStyle(image);
      const inner = (size, ...edges) => {
        const edge = edges.reduce((sum, name) => sum + number(style[name]), 0);
        return Math.max(0, number(size) - (style.boxSizing === "border-box" ? edge : 0));
      };
      const { naturalWidth: w, naturalHeight: h } = image;
      const width = inner(
        style.width, "paddingLeft", "paddingRight", "borderLeftWidth", "borderRightWidth"
      );
      const height = inner(
        style.height, "paddingTop", "paddingBottom", "borderTopWidth", "borderBottomWidth"
      );
      if (!w || !h || !width || !height) return [width, height];
      const contain = Math.min(width / w, height / h);
      const cover = Math.max(width / w, height / h);
      const scales = { contain, cover, none: 1, "scale-down": Math.min(1, contain) };
      const scale = scales[style.objectFit];
      return scale === undefined ? [width, height] : [w * scale, h * scale];
    };
    // A srcset gives an image another natural size than its file's.
    const pixels = async (url) => {
      const file = new Image();
      file.src = url;
      await file.decode().catch(() => {});
      return [file.naturalWidth, file.naturalHeight];
    };
    const found = [];
    for (const [box, [image]] of this.elements().entries()) {
      if (image.localName !== "img") continue;
      const natural = [image.naturalWidth, image.naturalHeight];
      found.push({
        box, url: image.currentSrc, complete: image.complete, drawn: drawn(image),
        shown: image.getClientRects().length > 0 && image.checkVisibility(),
        file: probe && image.complete && natural[0] ? await pixels(image.currentSrc) : natural,
      });
    }
    return found;
  },

  // The URLs of pictures that style sheets show, with the number of the element's box.
  backgrounds() {
    const names = "backgroundImage borderImageSource listStyleImage maskImage content".split(" ");
    const found = [];
    for (const [box, [element]] of this.elements().entries()) {
      for (const part of [null, "::before", "::after"]) {
        const style = getComputedStyle(element, part);
        const text = names.map((name) => style[name]).filter((v) => v?.includes("url(")).join();
        for (const [, url] of text.matchAll(/url\("((?:[^"\\]|\\.)*)"\)/g)) {
          if (!url.startsWith("data:")) found.push([box, new URL(url, document.baseURI).href]);
        }
      }
    }
    return found;
  },

  // A file as the browser draws it at this size, alone: a PNG as a data URL, '' if it cannot.
  async paint(url, width, height) {
    const file = new Image();
    file.src = url;
    try {
      await file.decode();
      const canvas = document.createElement("canvas");
      Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d", { colorSpace: "srgb" });
      context.imageSmoothingQuality = "high";
      context.drawImage(file, 0, 0, width, height);
      return canvas.toDataURL("image/png");
    } catch { return ""; }
  },

  // What the page has loaded: URL and bytes as they were sent, once for each request.
  loaded() {
    const entries = [
      ...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource"),
    ];
    // Browsers ask for the page's icon when they find the time, whether it names one or not.
    const icons = new Set([...document.querySelectorAll("link[rel~=icon i]")].map((link) => link.href));
    return entries
      .filter(({ name }) => name.startsWith("http") && !name.endsWith("/favicon.ico"))
      .filter(({ name, initiatorType }) => initiatorType !== "other" || !icons.has(name))
      .map(({ name, encodedBodySize, initiatorType }) => [name, encodedBodySize, initiatorType]);
  },

  // What is loaded when nothing is shown any more, as when a script shows the next page in place.
  async leave() {
    const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
    const before = this.loaded().length;
    for (const image of document.images) image.style.display = "none";
    await pause(0.15);
    document.body.replaceChildren();
    await pause(0.15);
    return this.loaded().slice(before);
  },
})
