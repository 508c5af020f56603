// Every page works without this script: live parts then don't refresh, and there are no keyboard shortcuts.
"use strict";

// ── Times: the reader's own beside UTC.
function localise(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    time.title = new Date(time.dateTime).toLocaleString();
  }
}
localise(document);

// ── Live: the server renders the changing part. It isn't replaced while the user selects or focuses in it, or paused it.
const part = document.querySelector("[data-live]");
const state = document.querySelector("[data-live-state]");
if (part && state) {
  let source = null;
  let paused = false;
  const told = document.createElement("span");
  const button = document.createElement("button");
  button.className = "quiet";
  button.type = "button";
  state.append(told, button);

  function busy() {
    const selected = getSelection();
    return part.contains(document.activeElement) || (selected && !selected.isCollapsed && part.contains(selected.anchorNode));
  }
  function say(live) {
    told.textContent = live ? "Live" : paused ? "Paused" : "Not live";
    told.className = live ? "live" : "";
    button.textContent = paused ? "Resume" : "Pause";
  }
  function follow() {
    if (source || paused || document.hidden) return;
    source = new EventSource(part.dataset.live);
    source.onopen = () => say(true);
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) { source = null; say(false); }
    };
    source.onmessage = (event) => {
      if (busy()) return;
      const scrolled = [...part.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
      part.innerHTML = JSON.parse(event.data);
      part.querySelectorAll(".scroll").forEach((each, number) => { each.scrollLeft = scrolled[number] || 0; });
      localise(part);
    };
  }
  function leave() {
    if (source) source.close();
    source = null;
    say(false);
  }
  button.addEventListener("click", () => { paused = !paused; leave(); follow(); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) leave(); else follow(); });
  addEventListener("pagehide", leave);
  addEventListener("pageshow", follow);
  say(false);
  follow();
}

// ── Selecting: a box for all rows on the page, and the number selected.
const choose = document.querySelector("[data-choose]");
const first = choose && choose.querySelector("thead th");
const boxes = choose ? [...choose.querySelectorAll("input[name=id]")] : [];
if (boxes.length) {
  const all = document.createElement("input");
  all.type = "checkbox";
  all.setAttribute("aria-label", "Select all on this page");
  first.textContent = "";
  first.append(all);
  const every = choose.querySelector("[name=every]");
  const labels = [...choose.querySelectorAll("button[name=action]")].map((button) => [button, button.textContent]);
  const count = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    all.checked = chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
    for (const [button, text] of labels) {
      button.textContent = every.checked ? text.replace("selected", "all") : chosen ? text.replace("selected", chosen) : text;
    }
  };
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; count(); });
  choose.addEventListener("change", count);
  count();
}

// ── Keys: single ones, so they can be switched off (WCAG 2.1.4), and mean nothing where somebody types.
const keys = document.getElementById("keys");
if (keys) {
  const used = keys.querySelector("[data-keys]");
  used.checked = localStorage.getItem("keys") !== "off";
  used.addEventListener("change", () => localStorage.setItem("keys", used.checked ? "on" : "off"));
  let going = -Infinity;
  addEventListener("keydown", (event) => {
    const typing = event.target.closest && event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]");
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
    if (event.key === "?") { event.preventDefault(); keys.showModal(); return; }
    if (!used.checked) return;
    if (event.timeStamp - going < 1500) {
      going = -Infinity;
      const link = document.querySelector(`.screens a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
    } else if (event.key === "g") {
      going = event.timeStamp;
    } else if (event.key === "/") {
      event.preventDefault();
      document.querySelector("[data-find]").focus();
    }
  });
}
