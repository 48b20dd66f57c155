// The card: profiles of images to fool, and the colours of the page. All else is in its HTML.
"use strict";

const { attacks, name } = JSON.parse(document.getElementById("data").textContent), fileStem = () => name;

// Charts share an axis, so that attacks compare; where little was reached, it ends there.
const most = Math.max(...attacks.flatMap((attack) => Object.values(attack.scores).map((score) => score.reached)));
const highest = most > 0.4 ? 1 : Math.max(0.01, 1.25 * most);

// attack -> curves of the share of classes over images, with the range of the runs, and of random images.
function profileSpec(attack) {
  const names = Object.keys(attack.scores);
  const rows = names.flatMap((level) => attack.scores[level].images.map((images, at) => ({
    level, images, share: attack.scores[level].profile[at],
    low: attack.scores[level].profile_low[at], high: attack.scores[level].profile_high[at] })));
  const random = attack.random[attack.level];
  const chance = random.images.map((images, at) => ({ images, share: random.profile[at], level: "random images" }));
  const x = { field: "images", type: "quantitative", scale: { type: "log", nice: false }, axis: { format: "~s", tickCount: 5, grid: false }, title: "images judged" };
  const y = (field) => ({ field, type: "quantitative", scale: { domain: [0, highest], clamp: true }, axis: { format: "~%", tickCount: 5 }, title: "classes fooled" });
  const color = { field: "level", type: "nominal", scale: { domain: names }, legend: { orient: "bottom", title: "confidence", symbolOpacity: 1 } };
  return { height: 220, layer: [
    { data: { values: rows }, mark: { type: "area", opacity: 0.15 }, encoding: { x, y: y("low"), y2: { field: "high" }, color } },
    { data: { values: rows }, mark: { type: "line", strokeWidth: 2 }, encoding: { x, y: y("share"), color,
      tooltip: [{ field: "level" }, { field: "images", type: "quantitative", format: ",", title: "images" }, { field: "share", type: "quantitative", format: ".1%", title: "classes fooled" }] } },
    { data: { values: chance }, mark: { type: "line", strokeDash: [4, 3], color: colour("soft") }, encoding: { x, y: y("share"), tooltip: [{ field: "level" }, { field: "share", type: "quantitative", format: ".1%" }] } },
  ] };
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  attacks.forEach((attack, number) => drawChart(`profile-${number}`, profileSpec(attack)));
}

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
document.getElementById("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
setTheme(dark.matches ? "dark" : "light");
