// What is shown, in the page's address: a link opens the same view, and Back leads to the one before.
"use strict";

const USUAL = { class: "", run: "", least: "0", between: "", agreement: "", sort: "confidence", axis: "", curve: "", wall: "", elite: "" };

const address = { view: { ...USUAL, section: "" }, last: "", showing: false };

const controls = { class: "search", run: "run", agreement: "agreement", sort: "sort", curve: "one-class" };

function viewNow() {
  const shown = Object.fromEntries(Object.entries(controls).map(([name, id]) => [name, $(id).value.trim()]));
  return { ...address.view, ...shown, least: String(stops()[$("least").value]), between: between ? between.join("~") : "", axis: linear ? "linear" : "", wall: wallState(),
    elite: $("elite").open && opened >= 0 ? `${data.elites.run[opened]}.${data.elites.class[opened]}` : "" };
}

// "#gallery&class=lion&sort=name": a section, and what is not as usual.
function hashOf(view) {
  const parts = Object.keys(USUAL).filter((name) => view[name] !== USUAL[name]).map((name) => `${name}=${encodeURIComponent(view[name])}`);
  return `#${[...(view.section ? [view.section] : []), ...parts].join("&")}`;
}

function viewOf(hash) {
  const found = [...new URLSearchParams(hash.slice(1))];
  const section = found.find(([name, value]) => !(name in USUAL) && value === "" && document.getElementById(name))?.[0] ?? "";
  return { ...USUAL, ...Object.fromEntries(found.filter(([name]) => name in USUAL)), section };
}

// Writes what is shown into the address. What is changed again and again, as text that is typed, is one step back.
function remember() {
  if (address.showing || !data) return;
  const now = viewNow(), changed = Object.keys(now).filter((name) => now[name] !== address.view[name]);
  if (!changed.length) return;
  const before = address.view.elite;
  address.view = now;
  if (before && !now.elite && history.state?.opened) { address.last = ""; history.back(); return; }
  const again = changed.length === 1 && changed[0] === address.last && (changed[0] !== "elite" || before);
  if (again || (before && !now.elite)) history.replaceState(history.state, "", hashOf(now));
  else history.pushState(now.elite && !before ? { opened: true } : null, "", hashOf(now));
  address.last = changed[0];
}

// Shows what an address says; what it says wrongly stays as usual.
function showAddress() {
  const view = viewOf(location.hash), before = viewNow(), axisChanged = linear !== (view.axis === "linear"), curveChanged = $("one-class").value.trim() !== view.curve;
  address.showing = true;
  for (const [name, id] of Object.entries(controls)) {
    $(id).value = view[name];
    if ($(id).value !== view[name]) $(id).value = USUAL[name];
  }
  $("linear").checked = linear = view.axis === "linear";
  placeSlider(Math.min(1, Math.max(0, +view.least || 0)));
  const ends = view.between.split("~").map(Number);
  between = view.between && ends.length === 2 && ends.every(Number.isFinite) ? ends : null;
  // Cards that stay keep the focus.
  if (Object.keys(USUAL).some((name) => !["curve", "wall", "elite"].includes(name) && before[name] !== view[name])) filter();
  if (axisChanged) drawCharts(); else if (curveChanged) drawCurves();
  if (view.wall && view.wall !== before.wall) openWall(data, view.wall);
  else if (!view.wall) $("wall").close();
  const wanted = data.elites.class.findIndex((class_, at) => `${data.elites.run[at]}.${class_}` === view.elite);
  if (wanted >= 0 && (wanted !== opened || !$("elite").open)) open(wanted);
  else if (wanted < 0 && $("elite").open) { $("closer").close(); $("elite").close(); }
  address.view = { ...viewNow(), elite: wanted >= 0 ? view.elite : "", section: view.section };
  address.last = "";
  // Its event comes later, and finds nothing changed.
  address.showing = false;
}

function goTo(section) {
  address.view = { ...address.view, section };
  address.last = "";
  history.pushState(null, "", hashOf(address.view));
  scrollToSection(section);
}

function scrollToSection(section) {
  const element = document.getElementById(section);
  element.tabIndex = -1;
  element.scrollIntoView();
  element.focus({ preventScroll: true });
}

function listenAddress() {
  addEventListener("popstate", () => { if (data) { showAddress(); if (address.view.section) scrollToSection(address.view.section); } });
  for (const link of document.querySelectorAll("a[href^='#']")) link.addEventListener("click", (event) => { event.preventDefault(); goTo(link.hash.slice(1)); });
}
