"use strict";
// Where a number comes from: a dialog with the run, the step, the file and every hash behind it.

const origins = (() => {
  const told = page.origins;
  let opener = null;

  // What is known of a number: `from` has its own facts, or a run, and perhaps the path of a result.
  function facts(from) {
    if (from.facts) return from.facts;
    const result = told.results[from.path];
    const found = [["run", from.run], ["step", from.step ?? (result && result.step)], ["file", from.path || from.place]];
    if (result) result.facts.forEach((place, i) => found.push([told.labels.result[i], told.strings[place]]));
    const run = told.runs[from.run];
    if (run) run.forEach((place, i) => found.push([`${told.labels.run[i]} of the run`, told.strings[place]]));
    if (from.metric) found.push(["to check it", explained(from)]);
    return found.filter(([, text]) => text !== undefined && text !== null && text !== "");
  }

  // The command that follows the chain behind a number.
  function explained({ run, metric }) {
    const cell = page.cells.find((one) => one.run === run);
    const own = page.studies.length > 1 ? run.slice(page.studies[cell.study].length + 1) : run;
    return `zeroscale explain study=${page.paths[cell.study]} cell=${own} metric=${metric}`;
  }

  function show(title, value, from) {
    const dialog = at("origin");
    opener = document.activeElement;
    at("origin-title").replaceChildren(title);
    at("origin-value").replaceChildren(...rich(value));
    at("origin-facts").replaceChildren(...facts(from).flatMap(([label, text]) => [el("dt", {}, label), el("dd", {}, String(text))]));
    dialog.showModal();
  }

  // A number that says where it comes from; plain text where nothing is known. `note` belongs to it in the dialog.
  function number(title, text, from, note) {
    if (!from || (!from.facts && !told.runs[from.run] && !told.results[from.path])) return rich(text);
    const button = el("button", { type: "button", className: "from", title: "Where this number comes from" }, ...rich(text));
    button.addEventListener("click", () => show(title, note ? `${text} (${note})` : text, from));
    return [button];
  }

  // A click on a figure's point: customdata is a run's name, or [run, step, path, metric].
  function point(title, prefix, data, text) {
    if (!data) return;
    const [run, step, path, metric] = Array.isArray(data) ? data : [data];
    const from = { run: prefix + run, step, path, metric };
    if (told.runs[from.run]) show(title, text, from);
  }

  // One tab stop for a whole table: arrow keys go from number to number.
  function rove(node) {
    const buttons = () => [...node.querySelectorAll("button.from")];
    const settle = () => buttons().forEach((button, i) => { button.tabIndex = i ? -1 : 0; });
    node.addEventListener("keydown", (event) => {
      const from = event.target.closest("td, th");
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (!step || !from || !event.target.classList.contains("from")) return;
      const rows = [...node.querySelectorAll("tbody tr")];
      let [row, column] = [rows.indexOf(from.parentElement), from.cellIndex];
      for (;;) {
        row += step[0]; column += step[1];
        const cell = rows[row] && rows[row].cells[column];
        if (!cell) return;
        const next = cell.querySelector("button.from");
        if (!next) continue;
        buttons().forEach((button) => { button.tabIndex = -1; });
        next.tabIndex = 0;
        next.focus();
        return event.preventDefault();
      }
    });
    return settle;
  }

  function start() {
    const dialog = at("origin");
    at("origin-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => { if (opener && opener.isConnected) opener.focus(); });
  }

  return { number, point, rove, show, start };
})();
