const UNSAFE = new Set(["javascript:", "data:", "vbscript:", "blob:"]); // a base for relative links that no message uses

/** A row of the list: a message, and the button that puts it away where it isn't archived. */
function drawMessage(item, words, locale, archived) {
  const fresh = item.read_at === null, link = safe(item.link);
  const title = make("span", { className: "title", part: "title" },
    fresh && !archived ? make("span", { className: "dot" }, make("span", { className: "heard", textContent: `${words.unread}. ` })) : null,
    make("bdi", { lang: item.locale, textContent: item.title }));
  const when = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(item.at));
  const inside = [
    title,
    make("span", { className: "body", part: "body" }, make("bdi", { lang: item.locale, textContent: item.body })),
    item.action ? make("span", { className: "act", part: "action" }, make("bdi", { lang: item.locale, textContent: item.action })) : null,
    make("time", { className: "when", part: "time", dateTime: item.at }, make("bdi", { textContent: when }), archived && item.archived_at === null ? ` · ${words.past}` : ""),
  ];
  const opener = link === null
    ? make("button", { type: "button", className: "open", part: "item" }, ...inside)
    : make("a", { href: link, className: "open", part: "item" }, ...inside);
  const row = make("li", { className: fresh && !archived ? "unread" : "" }, opener);
  row.dataset.id = item.id;
  if (!archived) row.append(make("button", { type: "button", className: "put", part: "archive", "aria-label": fill(words.put, item.title) }, icon("put")));
  return row;
}

/** Where a message leads; null where it leads nowhere that a page may. */
function safe(link) {
  try {
    return link && !UNSAFE.has(new URL(link, document.baseURI).protocol) ? link : null;
  } catch {
    return null;
  }
}
