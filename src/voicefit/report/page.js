// Tables that sort by a click on a column's head and, where they are long, filter by words. The page works without it.
"use strict";

const LONG = 12;

/** The number that a cell begins with; null where it has none, as in "–". */
function numberOf(text) {
  const found = text.trim().replace(/−/g, "-").replace(/^< /, "").match(/^[+-]?\d[\d,]*(\.\d+)?/);
  return found && parseFloat(found[0].replace(/,/g, ""));
}

/** What a cell is sorted by: the large print alone. */
function valueOf(row, column) {
  const cell = row.cells[column];
  return (cell.querySelector("strong") || cell.firstChild || cell).textContent;
}

/** Words before numbers that are missing; the latter stay last whichever way the rest goes. */
function compare(left, right, isNumber, direction) {
  if (!isNumber) return direction * left.localeCompare(right, undefined, { numeric: true });
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a === null || b === null) return (a === null) - (b === null);
  return direction * (a - b);
}

/** First words that repeat are hidden only while rows stand in their first order and none is left out. */
function showWords(rows, plain) {
  rows.forEach((row) => {
    row.classList.toggle("group", plain && row.dataset.group === "true");
    row.cells[0].classList.toggle("again", plain && row.dataset.again === "true");
  });
}

function enhance(table) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const state = { column: -1, direction: 0, words: [] };
  rows.forEach((row) => {
    row.dataset.group = row.classList.contains("group");
    row.dataset.again = row.cells[0].classList.contains("again");
  });

  function update() {
    const { column, direction, words } = state;
    const isNumber = column >= 0 && heads[column].classList.contains("number");
    const order = direction ? [...rows].sort((a, b) => compare(valueOf(a, column), valueOf(b, column), isNumber, direction)) : rows;
    body.append(...order);
    rows.forEach((row) => { row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word)); });
    showWords(rows, !direction && !words.length);
    heads.forEach((head, i) => head.setAttribute("aria-sort", i !== column || !direction ? "none" : direction > 0 ? "ascending" : "descending"));
  }

  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.title = "sort; a third click restores the order";
    button.addEventListener("click", () => {
      const first = head.classList.contains("number") ? -1 : 1;
      const next = state.column !== i || !state.direction ? first : state.direction === first ? -first : 0;
      Object.assign(state, { column: i, direction: next });
      update();
    });
    head.append(button);
  });

  if (rows.length <= LONG) return;
  const box = document.createElement("p"), input = document.createElement("input"), told = document.createElement("span");
  box.className = "filter";
  input.type = "search";
  input.placeholder = "filter rows by words";
  input.setAttribute("aria-label", `filter ${table.parentElement.getAttribute("aria-label")}`);
  told.setAttribute("role", "status");
  input.addEventListener("input", () => {
    state.words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    update();
    told.textContent = state.words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows` : "";
  });
  box.append(input, " ", told);
  table.parentElement.before(box);
}

document.querySelectorAll("section.table table").forEach(enhance);
