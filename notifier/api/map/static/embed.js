// The map in a page of others, by one tag:
// <script src="https://…/map/embed.js" data-near="52.52,13.405" data-zoom="12" data-height="480"></script>
// It puts a frame where it stands. `data-free`, `data-min-kw`, `data-connector` (several with blanks between them) and
// `data-lang` preset what the map has in its address; `data-title` names the frame for screen readers.
(() => {
  const tag = document.currentScript;
  const { near, zoom, free, minKw, connector, lang, height, title } = tag.dataset;
  const address = new URL("../map", tag.src);
  address.searchParams.set("embed", "1");
  const given = { near, zoom, free, min_kw: minKw, lang };
  for (const [name, value] of Object.entries(given)) if (value) address.searchParams.set(name, value);
  for (const each of (connector ?? "").split(/\s+/)) if (each) address.searchParams.append("connector", each);
  const frame = document.createElement("iframe");
  frame.src = address.href;
  frame.title = title || "Charging stations";
  frame.loading = "lazy";
  frame.allow = "geolocation";
  frame.referrerPolicy = "no-referrer";
  Object.assign(frame.style, { width: "100%", height: `${Number(height) || 480}px`, border: "0", display: "block" });
  tag.after(frame);
})();
