"use strict";
// Sorting, and what the choices amount to; without it the page stands in the order of its scores.
(() => {
  const raw = document.getElementById("scale-raw");
  const status = document.getElementById("shown");

  /** What a cell is sorted by: a number, text, or null where nothing is known. */
  function keyOf(row, column) {
    const cell = row.cells[column];
    const told = raw && raw.checked && cell.dataset.r !== undefined ? cell.dataset.r : cell.dataset.v;
    if (told === undefined) return cell.textContent.trim().toLowerCase();
    return told === "" ? null : Number(told);
  }

  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "string" ? sign * a.localeCompare(b) : sign * (a - b);
  }

  /** Put the rows in the order of a column; what is missing stays last. */
  function sort(header, ascending) {
    const table = header.closest("table");
    const column = header.cellIndex;
    const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, column), row]);
    rows.sort((a, b) => compare(a[0], b[0], ascending ? 1 : -1));
    table.tBodies[0].append(...rows.map((pair) => pair[1]));
    for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  }

  /** Whether the best comes first in ascending order: words, and scores of which less is better. */
  function bestAscends(header) {
    const { best, rawBest } = header.dataset;
    return (raw && raw.checked && rawBest ? rawBest : best) !== "max";
  }

  /** The label as a button, and the bare label for paper: browsers leave buttons out of a head that they repeat. */
  function makeButton(header) {
    const button = document.createElement("button");
    const label = header.querySelector("span");
    button.type = "button";
    button.append(...label.cloneNode(true).childNodes);
    label.before(button);
    label.className = "paper";
    button.addEventListener("click", () => {
      const now = header.getAttribute("aria-sort");
      sort(header, now ? now === "descending" : bestAscends(header));
    });
  }

  /** A column that was sorted by its best stays so when its scale changes. */
  function changeScale() {
    for (const header of document.querySelectorAll("th[aria-sort][data-raw-best]")) sort(header, bestAscends(header));
  }

  function tell() {
    if (!status) return;
    const boxes = [...document.querySelectorAll("#filters input[type=checkbox]")];
    const count = (chosen) => chosen.reduce((sum, box) => sum + Number(box.parentElement.querySelector("small").textContent), 0);
    const shown = count(boxes.filter((box) => box.checked));
    status.textContent = `${shown} of ${count(boxes)} entries, ${raw && raw.checked ? "raw" : "normalised"} scores`;
  }

  /** Open whatever a link leads into. */
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView();
  }

  document.querySelectorAll("table.board th[data-best]").forEach(makeButton);
  document.getElementById("filters").addEventListener("change", (event) => {
    if (event.target.name === "scale") changeScale();
    tell();
  });
  window.addEventListener("hashchange", reveal);
  tell();
  reveal();
})();
