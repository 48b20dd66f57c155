// One elite in the dialog: picture, what networks see in it, where it comes from, the network that draws it.
"use strict";

function svg(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// As `islands.texts.percent` writes it: only what is exactly 1 is 100 %. The space does not break.
function percent(value) {
  if (value === 0 || value === 1) return `${100 * value}\u00a0%`;
  const nearest = Math.min(value, 1 - value);
  if (nearest < 1e-8) return value < 0.5 ? "<\u00a00.000001\u00a0%" : ">\u00a099.999999\u00a0%";
  return `${(100 * value).toFixed(Math.max(2, Math.ceil(-Math.log10(nearest) - 1e-9) - 2))}\u00a0%`;
}

// A share that somebody chose, with the digits that it has.
const level = (value) => `${+(100 * value).toPrecision(10)}\u00a0%`;

const count = (value) => value.toLocaleString("en");
const meter = (value) => make("span", { class: "meter", "aria-hidden": "true" }, make("i", { style: `width:${100 * value}%` }));
const crisp = (data) => (data.image_size < 100 ? "pixels" : "");

function eliteView(data, at) {
  const elites = data.elites, number = elites.class[at], name = data.classes[number];
  const picture = make("button", { type: "button", class: "look", "aria-label": `Look closer at the image evolved for ${name}` },
    make("img", { class: `shot ${crisp(data)}`, src: data.pictures[elites.genome[at]], alt: "" }));
  picture.addEventListener("click", () => lookCloser(data, at));
  return [
    make("div", { class: "pair" },
      make("div", {}, picture, takingView(data, at), make("p", { class: "note" }, data.live ? "Byte for byte as it was scored. As a file: " : "A copy for this page. Byte for byte as it was scored: ", make("code", {}, commandOf(data, at)))),
      make("div", {},
        make("h2", { id: "elite-title", tabindex: "-1" }, name),
        make("p", { class: "big" }, percent(elites.confidence[at])),
        pairs([["class", `${number} of run ${elites.run[at]}`], ["made in", `generation ${count(elites.generation[at])}, by ${elites.operator[at]} on island ${elites.island[at]}`], ["genome", String(elites.id[at])]]),
        make("h3", {}, `What ${data.network} sees`), topBars(data, at),
        ...heldOutViews(data, at))),
    ...lineageView(data, at), ...networkView(data, at)];
}

function pairs(rows) {
  return make("dl", { class: "pairs" }, ...rows.flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]));
}

function topBars(data, at) {
  return make("ol", { class: "bars" }, ...data.elites.top[at].map(([number, value]) =>
    make("li", { class: number === data.elites.class[at] ? "target" : "" },
      make("span", {}, data.classes[number]), make("span", {}, percent(value)), meter(value))));
}

function heldOutViews(data, at) {
  const scored = data.held_out.filter((each) => each.scores[at]);
  if (!scored.length) return [];
  return [make("h3", {}, "What held-out networks see"), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What held-out networks see" }, make("table", {},
    make("thead", {}, make("tr", {}, ...["network", "sees first", "", "target", "rank"].map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...scored.map(({ network, scores }) => {
      const [target, rank, top, value] = scores[at];
      return make("tr", {}, make("td", {}, network), make("td", {}, top < 0 ? "nothing: no finite scores" : data.classes[top]), make("td", {}, percent(value)), make("td", {}, percent(target)), make("td", {}, String(rank)));
    }))))];
}
