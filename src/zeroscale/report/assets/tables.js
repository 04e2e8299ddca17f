"use strict";
// Tables that sort, keep long lists short until they are asked for, and say where each number comes from.

const tables = (() => {
  const MOST = 50;
  const FILTERED = 12; // of so many rows a reader looks for some

  // `options`: sortable; `from` for numbers that bring none of their own; `place` says in which file a run's numbers are.
  function table(data, caption, { sortable = false, from = null, place = null } = {}) {
    const { columns } = data;
    const body = el("tbody");
    const tops = columns.map((column, i) => (column.bar ? Math.max(0, ...data.rows.map((row) => Number(row.cells[i].sort) || 0)) : 0));
    let order = data.rows;
    let rows = order;
    let words = [];
    let whole = rows.length <= MOST * 1.2;
    const settle = origins.rove(body);
    const fill = () => {
      body.replaceChildren(...(whole ? rows : rows.slice(0, MOST)).map((row) => line(row, columns, tops, caption, { from, place })));
      settle();
    };
    const heads = columns.map((column, i) => head(column, sortable ? () => sort(i) : null));
    const sort = (i) => {
      const down = heads[i].getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      heads[i].setAttribute("aria-sort", down ? "descending" : "ascending");
      order = sorted(data.rows, i, down);
      rows = matching(order, words);
      fill();
      say(`Sorted by ${columns[i].label}, ${down ? "descending" : "ascending"}`);
    };
    fill();
    const node = el("table", {}, el("caption", { className: "unseen" }, caption), el("thead", {}, el("tr", {}, ...heads)), body);
    const scroll = el("div", { className: "scroll", role: "region", "aria-label": caption, tabIndex: 0 }, node);
    if (!sortable || rows.length < FILTERED) return scroll;
    const filter = search("Rows with", (text) => {
      words = text.split(/\s+/).filter(Boolean);
      rows = matching(order, words);
      fill();
      say(`${rows.length} of ${data.rows.length} rows`);
    });
    filter.querySelector("input").placeholder = "words, such as " + (data.rows[0].cells[0].text || "").toLowerCase();
    const bar = el("div", { className: "controls" }, filter);
    if (whole) return el("div", {}, bar, scroll);
    const all = el("button", { type: "button" }, `Show all ${rows.length.toLocaleString("en")} rows`);
    all.addEventListener("click", () => { whole = true; fill(); all.remove(); scroll.focus(); });
    return el("div", {}, bar, scroll, all);
  }

  function head(column, sort) {
    const node = el("th", { scope: "col", className: column.number ? "number" : "" });
    const label = sort ? el("button", { type: "button" }, column.label) : column.label;
    if (sort) label.addEventListener("click", sort);
    node.append(label);
    if (column.badge) node.append(" ", badge(column.badge, column.kind));
    if (column.note) node.append(small(column.note));
    return node;
  }

  function line(row, columns, tops, caption, { from, place }) {
    const run = row.cells[0].origin;
    const known = run !== undefined && page.origins.runs[run];
    return el("tr", {}, ...row.cells.map((cell, i) => {
      if (i === 0) return el("th", { scope: "row", title: cell.origin }, cell.text, small(cell.note));
      const long = cell.text.length > 40 ? "wide" : "";
      const node = el("td", { className: columns[i].number && !long ? "number" : long, title: cell.origin });
      const silent = !columns[i].number || cell.text === "–" || typeof cell.sort === "string";
      const origin = cell.from || (silent ? null : known ? { run, place } : from);
      node.append(...origins.number(`${columns[i].label}: ${row.cells[0].text}`, cell.text, origin, cell.note));
      if (cell.note) node.append(small(cell.note));
      if (cell.badge) node.append(el("div", {}, badgeOf(cell.badge)));
      if (tops[i]) {
        const filled = el("span");
        filled.style.width = `${(100 * Number(cell.sort)) / tops[i]}%`;
        node.append(el("span", { className: "track", "aria-hidden": "true" }, filled));
      }
      return node;
    }));
  }

  // Rows in which every word stands, in whatever column: of "lr=0.003" the value must be that one, not 0.0035.
  function matching(rows, words) {
    if (!words.length) return rows;
    const has = (text, word) => (/[=]/.test(word) ? text.split(/\s+/).includes(word) : text.includes(word));
    return rows.filter((row) => {
      const text = row.cells.map((cell) => cell.text).join(" ").toLowerCase();
      return words.every((word) => has(text, word));
    });
  }

  function sorted(rows, i, down) {
    const known = (row) => row.cells[i].sort !== "–";
    const before = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    return [...rows].sort((a, b) => known(b) - known(a) || before(a.cells[i].sort, b.cells[i].sort) * (down ? -1 : 1));
  }

  return { table };
})();
