// What can be taken from the page: copies, pictures, tables, charts.
"use strict";

// Where a browser has no clipboard, as on pages without TLS, the oldest way is tried.
async function copyText(text) {
  if (navigator.clipboard) { await navigator.clipboard.writeText(text); return; }
  const field = make("textarea", { "aria-label": "Copied text" });
  field.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not copied");
}

async function copyImage(data, at) {
  if (!navigator.clipboard?.write) throw new Error("no clipboard for images");
  // The promise is handed on: browsers allow what a click begins.
  await navigator.clipboard.write([new ClipboardItem({ "image/png": pngOf(data, at, 1024) })]);
}

const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`);

// The command that draws an elite as it was scored, from the checkpoint that the page shows.
function commandOf(data, at) {
  const words = ["islands", "show", data.path, "--class", `index:${data.elites.class[at]}`, "--run", data.elites.run[at], "--at", data.provenance.checkpoint];
  return words.map((word) => quoted(String(word))).join(" ");
}

// The buttons of an elite; what became of a copy is said beside them.
function takingView(data, at) {
  const told = make("span", { role: "status", class: "told" });
  const copier = (text, copy) => {
    const button = make("button", { type: "button", class: "pill" }, text);
    button.addEventListener("click", () => { told.textContent = ""; copy().then(() => { told.textContent = "Copied."; }, () => { told.textContent = "This browser does not let pages copy that."; }); });
    return button;
  };
  const png = make("button", { type: "button", class: "pill" }, "PNG 1024");
  png.addEventListener("click", () => savePng(png, data, at, 1024));
  return make("div", { class: "taking" }, copier("Copy image", () => copyImage(data, at)), copier("Copy link", () => copyText(location.href)),
    copier("Copy command", () => copyText(commandOf(data, at))), png, told);
}

const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

// Elites as CSV (RFC 4180), with what held-out networks make of them.
function csvOf(data, elites) {
  const columns = ["run", "class", "confidence", "generation", "island", "operator", "id"], networks = data.held_out;
  const head = ["name", ...columns, ...networks.flatMap(({ network }) => [`${network} target_probability`, `${network} target_rank`, `${network} top1`])];
  const rows = elites.map((at) => [data.classes[data.elites.class[at]], ...columns.map((name) => data.elites[name][at]),
    ...networks.flatMap(({ scores }) => (scores[at] ? scores[at].slice(0, 3) : ["", "", ""]))]);
  return [head, ...rows].map((row) => `${row.map((each) => cell(String(each))).join(",")}\r\n`).join("");
}

// Says on which sides a row that scrolls goes on; style sheets fade these.
function cue(element) {
  const tell = () => {
    const left = element.scrollLeft, right = element.scrollWidth - element.clientWidth - left;
    element.dataset.more = [left > 1 ? "left" : "", right > 1 ? "right" : ""].filter(Boolean).join(" ");
  };
  if (!element.dataset.cued) {
    element.dataset.cued = "yes";
    element.addEventListener("scroll", tell, { passive: true });
    new ResizeObserver(tell).observe(element);
    new MutationObserver(tell).observe(element, { childList: true, subtree: true });
  }
  tell();
}
