"use strict";
// Tables that can be sorted and filtered. Without this script, the page has the same content.

const FILTERED_FROM = 12;
const LEADING_NUMBER = /^<?\s*([+-]?\d+(\.\d+)?(e[+-]?\d+)?)/;

/** A cell's own words, without the small print below them. */
const words = (cell) => (cell.firstChild ? cell.firstChild.textContent.trim() : "");

/** The number that a text begins with ("−0.02", "1,200", "< 0.001"), or NaN. */
function leadingNumber(text) {
  const found = text.replaceAll("−", "-").replaceAll(",", "").match(LEADING_NUMBER);
  return found ? Number(found[1]) : NaN;
}

/** Rows in the order of a column; what has no number among numbers comes last, whichever way. */
function inOrder(rows, column, direction) {
  const keyed = rows.map((row) => {
    const text = words(row.cells[column]);
    return { row, text, number: leadingNumber(text), none: text === "" || text === "–" };
  });
  const numeric = keyed.every((item) => item.none || !Number.isNaN(item.number));
  return keyed
    .sort((a, b) => {
      if (a.none || b.none) return a.none - b.none;
      const order = numeric ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true });
      return direction === "ascending" ? order : -order;
    })
    .map((item) => item.row);
}

/** In the order as written, a first word that repeats the row above is hidden; elsewhere each row shows its own. */
function regroup(body, asWritten) {
  let above = null;
  for (const row of body.rows) {
    if (row.hidden || row.cells[0].tagName !== "TH") continue;
    const word = words(row.cells[0]);
    row.cells[0].classList.toggle("again", asWritten && word === above);
    row.classList.toggle("group", asWritten && above !== null && word !== above);
    above = word;
  }
}

function makeSortable(table) {
  const body = table.tBodies[0];
  const written = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: "none" }[header.getAttribute("aria-sort")] ?? "ascending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      if (next !== "none") header.setAttribute("aria-sort", next);
      body.append(...(next === "none" ? written : inOrder(written, column, next)));
      regroup(body, next === "none");
    });
  });
}

function makeFilterable(table) {
  const body = table.tBodies[0];
  if (body.rows.length < FILTERED_FROM) return;
  const label = document.createElement("label");
  const input = document.createElement("input");
  const found = document.createElement("output");
  label.className = "filter";
  input.type = "search";
  input.placeholder = "words that a row must have";
  label.append("Filter", input, found);
  table.closest(".scroll").before(label);
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of body.rows) {
      const text = [...row.cells].map(words).join(" ").toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
      left += !row.hidden;
    }
    found.value = wanted.length ? `${left} of ${body.rows.length} rows` : "";
    regroup(body, !table.querySelector("[aria-sort]"));
  });
}

for (const table of document.querySelectorAll("table")) {
  makeFilterable(table);
  makeSortable(table);
}
