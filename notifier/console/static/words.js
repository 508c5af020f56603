// The editor's script: the preview and findings follow the typing, and a click inserts a variable.
"use strict";

const WAIT = 350; // milliseconds after the last key: one preview a pause in typing
const editor = document.querySelector("[data-preview]");
if (editor) {
  const shown = document.getElementById("preview");
  const status = document.querySelector("[data-status]");
  let asked = null;
  let timer = 0;
  let changed = false;

  // ── The preview: drawn by the server, by the renderer that sends.
  async function look() {
    if (asked) asked.abort();
    asked = new AbortController();
    const form = new URLSearchParams(new FormData(editor));
    form.set("part", "preview");
    shown.classList.add("stale");
    try {
      const answer = await fetch(editor.dataset.preview, { method: "POST", body: form, signal: asked.signal, redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      shown.innerHTML = await answer.text();
      place();
      status.textContent = "";
    } catch (error) {
      if (error.name === "AbortError") return;
      status.textContent = "The preview is not responding. You can still save.";
    }
    shown.classList.remove("stale");
  }
  // Findings come with the preview, and go beside the field that they belong to.
  function place() {
    for (const beside of editor.querySelectorAll("[data-findings]")) {
      const found = shown.querySelector(`[data-found="${CSS.escape(beside.dataset.findings)}"]`);
      const html = found ? found.innerHTML : "";
      if (beside.innerHTML !== html) beside.innerHTML = html;
      if (found) found.remove();
      beside.closest(".field").classList.toggle("wrong", Boolean(beside.querySelector(".error")));
    }
  }
  editor.addEventListener("input", (event) => {
    if (event.target.name === "view" || event.target.name === "contact") return;
    if ("write" in event.target.dataset) changed = true;
    clearTimeout(timer);
    timer = setTimeout(look, WAIT);
  });

  // ── Names: a click puts one where somebody was writing.
  let last = editor.querySelector("[data-write]");
  editor.addEventListener("focusin", (event) => { if ("write" in event.target.dataset) last = event.target; });
  for (const way of editor.querySelectorAll("[data-insert]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "insert";
    button.textContent = way.dataset.insert;
    button.title = way.textContent;
    button.setAttribute("aria-label", way.textContent);
    button.addEventListener("click", () => {
      last.focus();
      last.setRangeText(way.textContent, last.selectionStart, last.selectionEnd, "end");
      last.dispatchEvent(new Event("input", { bubbles: true }));
    });
    way.replaceWith(button);
  }

  // ── Unsaved changes: leaving the page asks first.
  editor.addEventListener("submit", () => { changed = false; });
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}
