// Which class became which: takeovers from class to class, what else the network sees, the gallery over generations.
"use strict";

// A figure with a chart in it; the chart is drawn when the figure is on the page.
const chartFigure = (id, caption, ...more) => make("figure", {}, make("figcaption", {}, caption), ...more, make("div", { id, class: "chart" }));
const behindButton = (text, ...children) => make("details", { class: "behind" }, make("summary", {}, text), ...children);

// A table in a box of its own that scrolls.
function boxed(caption, head, rows) {
  const cells = (row) => row.map((cell) => (cell instanceof HTMLTableCellElement ? cell : make("td", {}, cell)));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row))))));
}

// Squares of a matrix, darker for larger shares of the largest; { from, to, value, ...for the tooltip }.
function matrixSpec(values, labels, [from, to], tooltip) {
  const axis = { labelOverlap: true, labelLimit: 110, domain: false, ticks: false, grid: false };
  const largest = Math.max(...values.map((each) => each.weight), 1e-9);
  return { data: { values: values.filter((each) => each.weight > 0) }, height: Math.max(180, Math.min(520, 26 * labels.length)), mark: { type: "rect", tooltip: true },
    encoding: { x: { field: "to", type: "nominal", title: to, sort: null, scale: { domain: labels }, axis: { ...axis, labelAngle: labels.length > 10 ? -60 : 0 } },
      y: { field: "from", type: "nominal", title: from, sort: null, scale: { domain: labels }, axis },
      color: { field: "weight", type: "quantitative", legend: null, scale: { domain: [0, largest], type: "sqrt", range: [colour("accent-soft"), colour("accent")] } }, tooltip } };
}

// The text of a group of classes; names may occur twice, numbers do not.
const groupLabels = (data) => data.takeovers.groups.map(([first, last]) => (first === last ? (data.classes.indexOf(data.classes[first]) === data.classes.lastIndexOf(data.classes[first]) ? data.classes[first] : `${data.classes[first]} (${first})`) : `${first}–${last}`));
const groupNames = (data) => data.takeovers.groups.map(([first, last]) => (first === last ? data.classes[first] : `${data.classes[first]} … ${data.classes[last]}`));

function cellsOf(data, matrix) {
  const labels = groupLabels(data), names = groupNames(data);
  return matrix.flatMap((row, from) => row.map((value, to) => ({ from: labels[from], to: labels[to], "from class": names[from], "to class": names[to], value, weight: value })));
}

function drawTakeovers(data) {
  const found = data.takeovers, all = found.own + found.others, grouped = found.groups[0][0] !== found.groups[0][1];
  const place = document.getElementById("takeovers-body"), name = (at) => data.classes[at];
  const note = grouped ? `; of ${count(data.classes.length)} classes, ${found.groups[0][1] + 1} neighbours are one square` : "";
  const sees = found.confusions ? [chartFigure("chart-confusions", `What ${data.network} sees in an image evolved for the class of the row: mean probability, the class itself left out${note}`)]
    : [make("p", { class: "note" }, `What else ${data.network} sees is not to be known from this store: of no elite has another class a stored probability of 0.01 % or more. Networks that show their top label only store no others.`)];
  place.replaceChildren(
    make("p", { class: "prose" }, "Of ", make("b", {}, count(all)), " takeovers by a child, ", make("b", {}, all ? percent(found.others / all) : "none"), " came from another class: an image that was bred for one class turned out to be the best for another."),
    make("div", { class: "charts" }, chartFigure("chart-takeovers", `Takeovers from the class of the row to the class of the column${note}`), ...sees),
    make("div", { class: "behinds" },
      behindButton("The largest flows as a table", boxed("Takeovers from class to class, the most frequent first", ["from", "to", "takeovers"], found.listed.map(([from, to, times]) => [name(from), name(to), count(times)]))),
      ...(found.confusions ? [behindButton("The largest confusions as a table", boxed("Mean probability of another class", ["evolved for", "also seen as", "probability"], found.confusions.listed.map(([from, to, value]) => [name(from), name(to), percent(value)])))] : [])));
  drawTakeoverCharts(data);
  drawGrowth(data);
}

function drawTakeoverCharts(data) {
  if (!document.getElementById("chart-takeovers")) return;
  const found = data.takeovers, labels = groupLabels(data), fields = (title, format) => [{ field: "from class", type: "nominal" }, { field: "to class", type: "nominal" }, { field: "value", type: "quantitative", title, ...format }];
  drawChart("chart-takeovers", matrixSpec(cellsOf(data, found.matrix), labels, ["from", "to"], fields("takeovers", { format: "," })));
  if (found.confusions) drawChart("chart-confusions", matrixSpec(cellsOf(data, found.confusions.matrix), labels, ["evolved for", "seen as"], fields("mean probability", { formatType: "percent" })));
}

function drawGrowth(data) {
  const place = document.getElementById("growth-body"), growth = data.growth;
  if (!growth) {
    place.replaceChildren(make("p", { class: "prose" }, "This store keeps of ancestors their ids alone, so that earlier galleries cannot be drawn: ", make("code", {}, "checkpoint.ancestors"), " of a new run decides."));
    return;
  }
  const last = growth.steps.length - 1, slider = make("input", { id: "growth-step", type: "range", min: 0, max: last, value: last, "aria-label": "Generation" });
  const shown = make("output", { for: "growth-step" }), list = make("ul", { id: "growth", class: "cards growth" }), play = make("button", { type: "button", class: "quiet", id: "growth-play" }, "▶ Play");
  const items = growth.classes.map(() => make("li", {}));
  list.append(...items);
  const draw = () => {
    const step = growth.steps[+slider.value];
    shown.textContent = `generation ${count(step.generation)}`;
    slider.setAttribute("aria-valuetext", shown.textContent);
    step.places.forEach((at, item) => {
      const ancestor = at === null ? null : growth.ancestors[at];
      items[item].replaceChildren(ancestor?.picture ? make("img", { src: ancestor.picture, alt: "", class: crisp(data), width: 132, height: 132 }) : make("span", { class: "blank" }),
        make("span", { class: ancestor && ancestor.class !== growth.classes[item] ? "name other" : "name", title: ancestor ? data.classes[ancestor.class] : "" }, ancestor ? data.classes[ancestor.class] : "not begun"), make("span", { class: "value" }, ancestor ? percent(ancestor.confidence) : ""));
    });
  };
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "▶ Play"; };
  play.addEventListener("click", () => {
    if (timer) { stop(); return; }
    if (+slider.value === last) slider.value = 0;
    play.textContent = "❚❚ Pause";
    draw();
    timer = setInterval(() => { slider.value = +slider.value + 1; draw(); if (+slider.value === last) stop(); }, 600);
  });
  slider.addEventListener("input", () => { stop(); draw(); });
  place.replaceChildren(make("p", { class: "prose" }, `How ${growth.classes.length} of the surest images of run 0 came to be: in each place the ancestor that was the latest by then, with the class that it was best at; another class than that of today is in italics.`),
    make("div", { class: "growth-bar" }, play, slider, shown), list);
  draw();
}
