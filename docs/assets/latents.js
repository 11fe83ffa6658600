// The page "Latents, live": what its pictures took, counted as they arrive, and a switch. Asks the
// service worker (sitecodec/visitors/browser/worker.js) what it has decoded. The manual and the example site
// have the same copy; a test holds them equal.
(() => {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = new URL("latents.css", document.currentScript.src).href;
  document.head.append(style);
  document.getElementById("latents").innerHTML = `
    <dl class="slat-figures" aria-live="polite">
      <div><dt>Pictures decoded here</dt><dd id="slat-count">–</dd></div>
      <div><dt>Received as latents</dt><dd id="slat-with">–</dd></div>
      <div><dt>The same without latents</dt><dd id="slat-without">–</dd></div>
      <div><dt>Decoding, per megapixel</dt><dd id="slat-speed">–</dd></div>
    </dl>
    <p id="slat-state" role="status">Looking for the decoder …</p>
    <p><button id="slat-switch" class="md-button" type="button" hidden></button></p>`;

  const $ = (id) => document.getElementById("slat-" + id);
  const kilobytes = (n) => (n / 1000).toLocaleString(undefined, { maximumFractionDigits: 1 }) + " kB";
  const container = navigator.serviceWorker;
  const off = () => localStorage.getItem("sitecodec") === "off";
  const sizes = new Map();
  const seen = new Map();

  const ask = async () => {
    const found = await container.getRegistration();
    const active = found?.active || (found && container.controller);
    if (!active) return null;
    return new Promise((resolve) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = ({ data }) => resolve(data);
      active.postMessage({ sitecodec: "report" }, [channel.port2]);
      setTimeout(resolve, 2000, null);
    });
  };

  // How large the file is that the browser would have fetched: asked of the server, not fetched.
  const sizeOf = async (url) => {
    if (!sizes.has(url)) {
      const answer = await fetch(url, { method: "HEAD" }).catch(() => null);
      sizes.set(url, Number(answer?.headers.get("Content-Length")) || 0);
    }
    return sizes.get(url);
  };

  const show = async () => {
    const told = await ask();
    $("switch").hidden = false;
    $("switch").textContent = off() ? "Switch latents on" : "Switch latents off";
    if (off()) $("state").textContent = "Latents are off for this site.";
    else if (!told) $("state").textContent = 
        "No decoder here (yet): a build includes it where it pays, or with `browser: always`.";
    else if (told.aside) $("state").textContent = "The decoder has failed here and stands aside.";
    else if (!told.prepared) $("state").textContent = "The decoder is on its way.";
    else $("state").textContent = "The decoder is here; no picture has come as latents yet.";
    // What the browser has as files it would show again: ask for the pictures under a new address.
    if (told?.prepared && !told.aside && !off() && !container.slatAsked) {
      container.slatAsked = true;
      for (const part of document.querySelectorAll("picture[data-sitecodec] > *"))
        for (const name of ["srcset", "src"])
          if (part[name]) part[name] = part[name].replace(/\.(\w+)(?= |,|$)/g, ".$1?live");
    }
    const here = new Set(
      Array.from(document.images, (image) => image.currentSrc.replace(/[?#].*$/, "")));
    for (const entry of told?.log || []) if (here.has(entry.url)) seen.set(entry.url, entry);
    if (!seen.size) return;
    $("state").textContent = "The pictures on this page came as latents.";
    let bytes = 0, without = 0, ms = 0, pixels = 0;
    for (const entry of seen.values()) {
      bytes += entry.bytes;
      without += await sizeOf(entry.url);
      ms += entry.ms;
      pixels += entry.pixels;
    }
    $("count").textContent = seen.size;
    $("with").textContent = kilobytes(bytes);
    $("without").textContent = kilobytes(without);
    $("speed").textContent = Math.round(ms / (pixels / 1e6)) + " ms";
  };

  if (!container || !self.isSecureContext || !/^http/.test(location.protocol)) {
    $("state").textContent = "Here are no service workers (plain http, or a folder): fallbacks show.";
    return;
  }
  $("switch").addEventListener("click", async () => {
    if (off()) localStorage.removeItem("sitecodec");
    else localStorage.setItem("sitecodec", "off");
    // So that this page already comes without it.
    if (off()) await (await container.getRegistration())?.unregister();
    location.reload();
  });
  show();
  setInterval(show, 1500);
})();
