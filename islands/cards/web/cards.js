// The table of cards: a click on a heading sorts by it, another one the other way round.
"use strict";

const table = document.getElementById("cards");
const headings = [...table.tHead.rows[0].cells];

function sortBy(column) {
  const ascending = headings[column].getAttribute("aria-sort") !== "ascending";
  headings.forEach((heading, at) => heading.setAttribute("aria-sort", at === column ? (ascending ? "ascending" : "descending") : "none"));
  const value = (row) => row.cells[column].dataset.value;
  const isText = [...table.tBodies[0].rows].some((row) => Number.isNaN(Number(value(row))));
  const order = (a, b) => (isText ? value(a).localeCompare(value(b), undefined, { numeric: true }) : value(a) - value(b));
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => (ascending ? order(a, b) : order(b, a))));
}

headings.forEach((heading, column) => heading.firstChild.addEventListener("click", () => sortBy(column)));

const setTheme = (name) => { document.documentElement.dataset.theme = name; };
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
document.getElementById("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
setTheme(dark.matches ? "dark" : "light");
