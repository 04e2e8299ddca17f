"use strict";
// Fills index.html from window.zeroscale. Text of a run only ever becomes a text node: nothing here parses HTML.

const page = window.zeroscale;
const at = (id) => document.getElementById(id);

// An element with properties and children; strings become text nodes.
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === "") continue;
    if (key in node && key !== "style" && !key.startsWith("aria")) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

// Text in which ^{…} is a superscript.
function rich(text) {
  return text.split(/(\^\{[^}]*\})/).map((part) => (part.startsWith("^{") ? el("sup", {}, part.slice(2, -1)) : part));
}

const badge = (text, kind) => el("span", { className: `badge ${kind}` }, text);
const small = (text) => (text ? el("span", { className: "small" }, ...rich(text)) : null);

function group(label, options, chosen, choose) {
  const buttons = options.map(([value, text]) => {
    const button = el("button", { type: "button", "aria-pressed": String(value === chosen) }, text);
    button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      choose(value);
    });
    return button;
  });
  return el("div", { role: "group", "aria-label": label }, el("span", { className: "label" }, label), ...buttons);
}

// ---- first screen -----------------------------------------------------------------------------------------------

function first() {
  document.title = `${page.study} · zeroscale report`;
  at("study-name").append(`/ ${page.study}`);
  at("title").append(`Study ${page.study}`);
  at("verdict").append(...rich(page.verdict));
  for (const fact of page.facts) {
    const value = el("span", { className: "value" }, ...rich(fact.value));
    at("facts").append(el("div", {}, el("dt", {}, fact.label), el("dd", {}, value, small(fact.note))));
  }
  if (page.hold_out) at("hold-out").append(...rich(page.hold_out));
  else at("hold-out").remove();
  const note = at("sample-note");
  if (!page.sample_note.badges.length) note.classList.add("calm");
  for (const text of page.sample_note.badges) note.append(badge(text, "sample"), " ");
  note.append(page.sample_note.text);
  if (page.warnings.length) {
    const list = el("ul", {}, ...page.warnings.map((text) => el("li", {}, ...rich(text))));
    at("warnings").append(el("div", { className: "warnings" }, el("h2", {}, "Read with care"), list));
  }
  if (lawFigures.first()) return;
  const caption = at("law-caption");
  if (page.law.form) {
    const parameters = page.law.parameters.map((p) => `${p.name} = ${p.value}${p.interval ? ` (${p.interval})` : ""}`);
    caption.append(...rich(`Fitted: ${page.law.form}; ${parameters.join(", ")}. Dashed: extrapolated. Shaded: 95 % interval. `));
    if (page.hold_out) caption.append("Open diamond: the largest size, predicted from the smaller ones. ");
    if (page.law.method) caption.append(`Intervals: refitted ${page.law.method}. `);
  }
  if (page.law.figure) {
    caption.append(el("a", { href: "figures/law.png" }, "PNG"), ", ", el("a", { href: "figures/law.svg" }, "SVG"), ".");
    charts.add(at("law-figure"), page.law.figure, `Validation loss against parameters. ${page.verdict.replace(/[{}^]/g, "")}`);
  } else at("law-figure").parentElement.remove();
}

// ---- curves -----------------------------------------------------------------------------------------------------

function curves() {
  if (!page.curves) return at("curves").remove();
  const spec = page.curves;
  const many = page.cells.length > 12;
  const entry = charts.add(at("curves-figure"), spec, "Training and validation loss of every run; the last values are in the results table.");
  const hidden = new Set();
  const parts = { raw: true, smooth: true, validation: true };
  const show = () => {
    spec.data.forEach((trace) => { trace.visible = parts[trace.meta.part] && !hidden.has(trace.meta.cell); });
    charts.render(entry);
  };
  let chosen = "tokens";
  const over = (axis) => {
    chosen = axis;
    Object.assign(spec.layout.xaxis, spec.axes[axis]);
    if (spec.layout.xaxis.type !== "log") freeTicks();
    spec.data.forEach((trace) => { trace.x = trace.meta.axes[axis]; });
    charts.render(entry);
  };
  const freeTicks = () => Object.assign(spec.layout.xaxis, { tickvals: null, ticktext: null });
  const scale = (name) => (type) => {
    spec.layout[name].type = type;
    if (name === "yaxis") spec.layout.yaxis.dtick = type === "log" ? "D1" : null;
    else if (type === "log") over(chosen);
    else freeTicks();
    charts.render(entry);
  };
  const kinds = [["log", "log"], ["linear", "linear"]];
  at("curves-controls").append(
    group("Over", [["tokens", "tokens"], ["flops", "FLOPs"], ["seconds", "time"]], "tokens", over),
    group("x axis", kinds, spec.layout.xaxis.type, scale("xaxis")),
    group("y axis", kinds, spec.layout.yaxis.type, scale("yaxis")),
    group("Show", [["all", "both"], ["smooth", "training"], ["validation", "validation"]], "all", (part) => {
      parts.smooth = parts.raw = part !== "validation";
      parts.validation = part !== "smooth";
      show();
    }),
  );
  page.cells.forEach((cell, index) => {
    if (!spec.data.some((trace) => trace.meta.cell === index)) return;
    const swatch = el("span", { className: "swatch" });
    swatch.dataset.cell = index;
    const chip = el("button", { type: "button", "aria-pressed": "true" }, swatch, cell.name, small(cell.size));
    chip.title = cell.run;
    chip.addEventListener("click", () => {
      const off = !hidden.delete(index) && Boolean(hidden.add(index));
      chip.setAttribute("aria-pressed", String(!off));
      show();
    });
    at("curves-runs").append(chip);
  });
  if (many) at("curves-runs").tabIndex = 0;
}

const swatches = () => document.querySelectorAll(".swatch").forEach((swatch) => {
  swatch.style.background = charts.series(Number(swatch.dataset.cell), page.cells.length);
});

// ---- benchmarks -------------------------------------------------------------------------------------------------

function benchmarks() {
  if (!page.benchmarks.length) return at("benchmarks").remove();
  if (!page.published) at("published").remove();
  if (!page.lines) at("lines").remove();
  for (const card of page.benchmarks) {
    const panels = card.panels.map((panel) => {
      const plot = el("div", { className: "plot small" });
      charts.add(plot, panel.figure, `${card.card}, ${panel.metric} against parameters: ${panel.summary}`);
      const chance = panel.chance === null ? "" : `, chance ${panel.chance}`;
      return el("div", { className: "panel" }, el("h4", {}, panel.metric), el("p", { className: "small" }, [panel.better + chance, panel.legend].filter(Boolean).join("; ")), plot);
    });
    const head = el("header", {}, el("h3", {}, card.card), badge(card.badge, card.kind), el("span", { className: "small" }, `n = ${card.n}; protocol ${card.protocol}`));
    const node = el("article", { className: "card", style: `--wide: ${Math.min(4, panels.length)}; --narrow: ${Math.min(2, panels.length)}` }, head, el("div", { className: "panels" }, ...panels));
    const remarks = [...card.notes, ...card.assumptions.map((text) => `Assumed: ${text}`)];
    if (remarks.length) {
      const list = el("ul", {}, ...remarks.map((text) => el("li", {}, text)));
      node.append(el("details", {}, el("summary", {}, `What the numbers rest on (${remarks.length})`), list));
    }
    at("benchmarks-cards").append(node);
  }
}

// ---- tables -----------------------------------------------------------------------------------------------------

function table(data, caption, sortable) {
  const body = el("tbody");
  const columns = data.columns;
  const tops = columns.map((_, i) => Math.max(0, ...data.rows.map((row) => Number(row.cells[i].sort) || 0)));
  const fill = (rows) => body.replaceChildren(...rows.map((row) => el("tr", {}, ...row.cells.map((cell, i) => {
    if (i === 0) return el("th", { scope: "row", title: cell.origin }, cell.text, small(cell.note));
    const long = cell.text.length > 40 ? "wide" : "";
    const node = el("td", { className: columns[i].number && !long ? "number" : long, title: cell.origin }, ...rich(cell.text), small(cell.note));
    if (cell.badge) node.append(el("div", {}, badge(cell.badge, cell.badge === "BENCHMARK" ? "benchmark" : "part")));
    if (columns[i].bar && tops[i]) {
      const filled = el("span");
      filled.style.width = `${(100 * Number(cell.sort)) / tops[i]}%`;
      node.append(el("span", { className: "track", "aria-hidden": "true" }, filled));
    }
    return node;
  }))));
  const heads = columns.map((column, i) => {
    const head = el("th", { scope: "col", className: column.number ? "number" : "" });
    const label = sortable ? el("button", { type: "button" }, column.label) : column.label;
    head.append(label);
    if (column.badge) head.append(" ", badge(column.badge, column.kind));
    if (column.note) head.append(small(column.note));
    if (sortable) label.addEventListener("click", () => sort(head, i));
    return head;
  });
  const sort = (head, i) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const known = (row) => row.cells[i].sort !== "–";
    const before = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    fill([...data.rows].sort((a, b) => known(b) - known(a) || before(a.cells[i].sort, b.cells[i].sort) * (down ? -1 : 1)));
    at("said").textContent = `Sorted by ${columns[i].label}, ${down ? "descending" : "ascending"}`;
  };
  fill(data.rows);
  const node = el("table", {}, el("caption", { className: "unseen" }, caption), el("thead", {}, el("tr", {}, ...heads)), body);
  return el("div", { className: "scroll", role: "region", "aria-label": caption, tabIndex: 0 }, node);
}

function unfinished() {
  if (!page.unfinished.length) return;
  const columns = ["run", "state", "step", "reason", "log"].map((label) => ({ label }));
  const rows = page.unfinished.map((run) => ({ cells: columns.map(({ label }) => ({ text: run[label], sort: run[label], origin: label === "run" ? run.cell : "" })) }));
  at("unfinished").append(el("h3", {}, "Runs that are not done"), el("p", { className: "lede" }, "They are left out of the law."), table({ columns, rows }, "Runs that are not done", false));
  for (const run of page.unfinished.filter((one) => one.last_words)) {
    const log = el("pre", { className: "log", tabIndex: 0 }, run.last_words);
    at("unfinished").append(el("details", {}, el("summary", {}, `Last lines of ${run.log}`), log));
  }
}

// ---- examples ---------------------------------------------------------------------------------------------------

function verdictOf(answer) {
  if (answer.right === null) return null;
  return el("span", { className: `mark ${answer.right ? "right" : "wrong"}` }, answer.right ? "✓ right" : "✗ wrong");
}

function example(item, index) {
  const judged = item.answers.filter((answer) => answer.right !== null);
  const score = judged.length ? `${judged.filter((answer) => answer.right).length} of ${judged.length} right` : "";
  const start = (item.start || item.passage).slice(0, 160).replace(/\s+/g, " ");
  const summary = el("summary", {}, el("span", { className: "start" }, `${index + 1}. `, el("span", {}, start)), el("span", { className: "small" }, score));
  const said = el("dl", { className: "said" });
  for (const [label, text] of item.asked) said.append(el("dt", {}, label), el("dd", {}, text));
  if (item.target) said.append(el("dt", {}, "expected"), el("dd", {}, item.target));
  for (const answer of item.answers) {
    const mark = verdictOf(answer);
    const beside = [...(answer.more ? [["generated", answer.more]] : []), ...answer.besides];
    const more = beside.map(([label, text]) => el("span", { className: "small" }, ` ${label}: ${text}`));
    said.append(el("dt", { title: answer.run }, answer.cell), el("dd", {}, answer.said, mark && answer.said ? " " : null, mark, ...more));
  }
  const node = el("details", { className: "example" }, summary, el("p", { className: "passage" }, item.passage), said);
  node.open = index === 0;
  return node;
}

function examples() {
  if (!page.examples.length) return at("examples").remove();
  const marks = el("span", { className: "badges" });
  const show = (key) => {
    const chosen = page.examples.find((card) => `${card.card}.${card.protocol}` === key);
    const badges = chosen.badges.map((text) => badge(text, text === "BENCHMARK" ? "benchmark" : "part"));
    marks.replaceChildren(...badges);
    at("examples-list").replaceChildren(...chosen.examples.map(example));
  };
  const named = (card) => card.card + (card.protocol === "paper" ? "" : ` (${card.protocol})`);
  const keys = page.examples.map((card) => [`${card.card}.${card.protocol}`, named(card)]);
  at("examples-controls").append(group("Card", keys, keys[0][0], show), marks);
  show(keys[0][0]);
}

// ---- the rest ---------------------------------------------------------------------------------------------------

function provenance() {
  const { shared, table: differing } = page.provenance;
  if (shared.length) {
    const list = el("dl", { className: "shared" });
    for (const fact of shared) list.append(el("dt", {}, fact.label), el("dd", { title: fact.origin }, fact.text));
    at("provenance-shared").append(el("h3", {}, "The same for every run"), list, el("h3", {}, "What differs"));
  }
  if (differing.columns.length > 1) at("provenance-table").append(table(differing, "Provenance by run", false));
  else at("provenance-shared").lastChild.remove();
}

function again() {
  for (const step of page.again) {
    const code = el("pre", {}, el("code", {}, step.command));
    const copy = el("button", { type: "button", "aria-label": `Copy: ${step.what}` }, "Copy");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(step.command);
        at("said").textContent = "Copied";
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
      }
    });
    at("again-steps").append(el("li", {}, step.what, el("div", { className: "command" }, code, copy)));
  }
}

function sections() {
  document.querySelectorAll("section[data-nav]").forEach((section) => {
    at("sections").append(el("li", {}, el("a", { href: `#${section.id}` }, section.dataset.nav)));
  });
}

// ---- theme ------------------------------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";

function themed() {
  at("theme").setAttribute("aria-pressed", String(isDark()));
  at("theme").textContent = isDark() ? "Light" : "Dark";
  at("theme").setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  swatches();
  charts.repaint();
}

function theme() {
  try { if (localStorage.zeroscaleTheme) document.documentElement.dataset.theme = localStorage.zeroscaleTheme; } catch { /* no storage from disk */ }
  at("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.zeroscaleTheme = document.documentElement.dataset.theme; } catch { /* no storage from disk */ }
    themed();
  });
  dark.addEventListener("change", themed);
  let before;
  addEventListener("beforeprint", () => { before = document.documentElement.dataset.theme; document.documentElement.dataset.theme = "light"; themed(); });
  addEventListener("afterprint", () => { if (before) document.documentElement.dataset.theme = before; else delete document.documentElement.dataset.theme; themed(); });
}

first();
lawFigures.section();
curves();
benchmarks();
at("results-table").append(table(page.results, "Results by run", true));
unfinished();
examples();
at("cost-table").append(table(page.cost, "Throughput and cost by run", true));
provenance();
again();
sections();
at("footer").append("Made by zeroscale from the files of this study: the same files give the same page.");
theme();
themed();
document.addEventListener("DOMContentLoaded", charts.start);
