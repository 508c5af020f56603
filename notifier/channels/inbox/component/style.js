// The element's style: every colour, the radius and the font can be set from outside, and every part styled.
const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
:host {
  --_ground: var(--notifier-ground, #fff); --_text: var(--notifier-text, #1b1e23);
  --_soft: var(--notifier-soft, #59616c); --_line: var(--notifier-line, #d5dae1);
  --_hover: var(--notifier-hover, #f1f4f8); --_accent: var(--notifier-accent, #0b57d0);
  --_badge: var(--notifier-badge, #b3261e); --_on-badge: var(--notifier-on-badge, #fff);
  --_edge: var(--notifier-edge, #7a838f);
  display: inline-block; position: relative; color: var(--_text); font: var(--notifier-font, 1rem/1.45 system-ui, sans-serif);
  text-align: start; color-scheme: light;
}
:host([theme="dark"]) {
  --_ground: var(--notifier-ground, #1e2126); --_text: var(--notifier-text, #e8ebef);
  --_soft: var(--notifier-soft, #aab3be); --_line: var(--notifier-line, #3b424b);
  --_hover: var(--notifier-hover, #292e35); --_accent: var(--notifier-accent, #9cc1ff);
  --_badge: var(--notifier-badge, #ffb4ab); --_on-badge: var(--notifier-on-badge, #3a0905);
  --_edge: var(--notifier-edge, #8d97a3); color-scheme: dark;
}
@media (prefers-color-scheme: dark) {
  :host(:not([theme="light"])) {
    --_ground: var(--notifier-ground, #1e2126); --_text: var(--notifier-text, #e8ebef);
    --_soft: var(--notifier-soft, #aab3be); --_line: var(--notifier-line, #3b424b);
    --_hover: var(--notifier-hover, #292e35); --_accent: var(--notifier-accent, #9cc1ff);
    --_badge: var(--notifier-badge, #ffb4ab); --_on-badge: var(--notifier-on-badge, #3a0905);
    --_edge: var(--notifier-edge, #8d97a3); color-scheme: dark;
  }
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
button { font: inherit; color: inherit; background: none; border: 0; border-radius: .5rem; cursor: pointer; padding: 0; }
button:hover, a:hover { background: var(--_hover); }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: -3px; }
.bell { position: relative; width: 2.75rem; height: 2.75rem; display: grid; place-items: center; color: var(--notifier-bell, inherit); }
.bell:focus-visible { outline-offset: 0; }
svg { width: 1.5rem; height: 1.5rem; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }
.count {
  position: absolute; inset-block-start: 0; inset-inline-end: 0; min-width: 1.25rem; padding: 0 .3rem; border-radius: 1rem;
  background: var(--_badge); color: var(--_on-badge); font-size: .75rem; line-height: 1.25rem; font-weight: 600; text-align: center;
}
.panel {
  position: absolute; z-index: var(--notifier-layer, 1000); inset-block-start: calc(100% + .5rem); inset-inline-end: 0; width: 24rem;
  max-height: min(36rem, 80vh); display: flex; flex-direction: column; background: var(--_ground); border: 1px solid var(--_line);
  border-radius: var(--notifier-radius, .75rem); box-shadow: 0 .5rem 2rem rgb(0 0 0 / .24); overflow: hidden;
}
:host([align="start"]) .panel { inset-inline: 0 auto; }
.head { display: flex; flex-wrap: wrap; gap: .25rem; align-items: center; padding: .5rem .5rem .5rem 1rem; border-block-end: 1px solid var(--_line); }
.head:dir(rtl) { padding: .5rem 1rem .5rem .5rem; }
h2 { flex: 1; margin: 0; font-size: 1.125rem; }
.close { width: 2.75rem; height: 2.75rem; display: grid; place-items: center; }
.bar { flex-basis: 100%; display: flex; flex-wrap: wrap; gap: .25rem; justify-content: space-between; margin-inline-start: -.5rem; }
.bar button, .more, .again { min-height: 2.25rem; padding: .25rem .5rem; color: var(--_accent); font-size: .9375rem; }
.bar button[aria-pressed="true"] { text-decoration: underline; text-underline-offset: .25rem; text-decoration-thickness: 2px; font-weight: 600; }
.scroll { overflow-y: auto; overscroll-behavior: contain; }
ul { list-style: none; margin: 0; padding: 0; }
li { display: flex; align-items: start; border-block-end: 1px solid var(--_line); }
.open { flex: 1; min-width: 0; display: block; padding: .75rem 0 .75rem 1rem; color: inherit; text-decoration: none; text-align: start; border-radius: 0; }
.open:dir(rtl) { padding: .75rem 1rem .75rem 0; }
.title, .body, .when { display: block; overflow-wrap: anywhere; }
.unread .title { font-weight: 650; }
.dot { display: inline-block; width: .625rem; height: .625rem; margin-inline-end: .5rem; border-radius: 50%; background: var(--_accent); }
.body { margin-block-start: .125rem; color: var(--_soft); }
.when { margin-block-start: .25rem; color: var(--_soft); font-size: .8125rem; }
.act { display: inline-block; margin-block-start: .375rem; color: var(--_accent); font-weight: 600; }
.put { flex: none; width: 2.75rem; height: 2.75rem; margin: .375rem; display: grid; place-items: center; color: var(--_soft); }
.put svg { width: 1.25rem; height: 1.25rem; }
.none { margin: 0; padding: 2.5rem 1rem; text-align: center; color: var(--_soft); }
.more { display: block; width: 100%; min-height: 2.75rem; border-radius: 0; }
.heard { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 30rem) { .panel { position: fixed; inset: .5rem; width: auto; max-height: none; } }
@media (forced-colors: active) { .dot { background: LinkText; } .count { border: 1px solid; } }
@media (prefers-reduced-motion: no-preference) { .panel { animation: come .12s ease-out; } @keyframes come { from { opacity: 0; } } }
`);
