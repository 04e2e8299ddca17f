"use strict";
// Fills index.html from window.zeroscale, section by section; the larger ones are scripts of their own.

// ---- first screen -----------------------------------------------------------------------------------------------

function fact(one) {
  const value = one.href
    ? [el("a", { href: one.href }, one.value)]
    : origins.number(one.label, one.value, one.from, one.note);
  const kind = one.name ? "value name" : "value";
  return el("div", { className: one.name ? "wide" : "" }, el("dt", {}, one.label), el("dd", {}, el("span", { className: kind }, ...value), small(one.note)));
}

function first() {
  const several = page.studies.length > 1;
  document.title = `${page.study} · zeroscale report`;
  at("study-name").append(`/ ${page.study}`);
  at("title").append(several ? `Studies ${page.study}` : `Study ${page.study}`);
  at("verdict").append(...rich(page.verdict));
  sweep.answers();
  if (page.facts.length) at("facts").append(...page.facts.map(fact));
  else at("facts").remove();
  if (page.hold_out) at("hold-out").append(...rich(page.hold_out));
  else at("hold-out").remove();
  const note = at("sample-note");
  if (!page.sample_note.badges.length) note.classList.add("calm");
  for (const text of page.sample_note.badges) note.append(badge(text, "sample"), " ");
  note.append(page.sample_note.text);
  warnings();
  if (page.table) at("studies-table").append(el("h2", {}, "Study by study"), tables.table(page.table, "Study by study", { sortable: true }));
  else at("studies-table").remove();
  beside();
  if (!several && lawFigures.first()) return;
  const caption = at("law-caption");
  const law = page.law;
  if (law.form) {
    const parameters = law.parameters.map((p) => `${p.name} = ${p.value}${p.interval ? ` (${p.interval})` : ""}`);
    caption.append(...rich(`Fitted: ${law.form}; ${parameters.join(", ")}. Dashed: extrapolated. Shaded: 95 % interval. `));
    if (page.hold_out) caption.append("Open diamond: the largest size, predicted from the smaller ones. ");
    if (law.method) caption.append(`Intervals: refitted ${law.method}. `);
  }
  if (several) caption.append("A colour for each study: its runs, and the law fitted to them. ");
  if (law.figure) {
    caption.append(...files("law"));
    charts.add(at("law-figure"), law.figure, `Validation loss against parameters. ${page.verdict.replace(/[{}^]/g, "")}`, "Validation loss");
  } else at("law-figure").parentElement.remove();
}

// The first few at once, the rest on demand: a wall of warnings is not read.
function warnings() {
  if (!page.warnings.length) return;
  const [shown, rest] = [page.warnings.slice(0, 4), page.warnings.slice(4)];
  const more = rest.length ? el("details", {}, el("summary", {}, `${rest.length} more`), list(rest)) : null;
  at("warnings").append(el("div", { className: "warnings" }, el("h2", {}, "Read with care"), list(shown), ...(more ? [more] : [])));
}

function beside() {
  if (!page.beside) return at("beside").remove();
  at("beside").append(
    el("h2", {}, "Beside the paper"),
    el("p", { className: "lede" }, "Whole benchmarks by the paper's protocol, with 95 % intervals; its models have 85 M to 1.5 B parameters without embeddings. Every other score is in the results."),
    tables.table(page.beside, "Scores beside the paper's", { sortable: true }),
  );
  // The table first: what to read with care fills the lines under it.
  at("beside").after(el("div", { className: "across care" }, at("sample-note"), at("warnings")));
}

// ---- the paper's figures, and the benchmarks --------------------------------------------------------------------

function panelOf(panel, title, heading) {
  const plot = el("div", { className: "plot small" });
  charts.add(plot, panel.figure, `${title}, ${panel.metric} against parameters: ${panel.summary}`, title);
  const chance = panel.chance === null ? "" : `, chance ${panel.chance}`;
  const words = [panel.better + chance, panel.legend].filter(Boolean).join("; ");
  return el("div", { className: "panel" }, ...heading, el("p", { className: "small" }, words), plot);
}

function paper() {
  if (!page.paper) return at("paper").remove();
  const { tasks, perplexity } = page.paper;
  if (tasks.length) {
    const panels = tasks.map((task) => {
      const heading = [el("h4", {}, task.title), el("p", { className: "small" }, `${task.card}, ${task.metric} `, task.badge && badge(task.badge, task.kind))];
      if (task.panel) return panelOf(task.panel, task.title, heading);
      return el("div", { className: "panel" }, ...heading, el("p", { className: "small missing" }, `not scored: cards=[${task.card}]`));
    });
    at("paper-panels").style.setProperty("--wide", 4);
    at("paper-panels").style.setProperty("--narrow", 2);
    at("paper-panels").append(el("h3", {}, "Figure 1: four tasks"), el("div", { className: "panels" }, ...panels));
  } else at("paper-panels").remove();
  if (perplexity) at("paper-perplexity").append(lawFigures.figure({ ...perplexity, title: `Figure 4: ${perplexity.title.toLowerCase()}` }));
}

function benchmarks() {
  if (!page.benchmarks.length) return at("benchmarks").remove();
  for (const name of ["published", "reproduced", "lines"]) if (!page[name]) at(name).remove();
  for (const card of page.benchmarks) {
    const panels = card.panels.map((panel) => panelOf(panel, card.card, [el("h4", {}, panel.metric)]));
    const head = el("header", {}, el("h3", {}, card.card), badge(card.badge, card.kind), el("span", { className: "small" }, `n = ${card.n}; protocol ${card.protocol}`));
    const node = el("article", { className: "card", style: `--wide: ${Math.min(4, panels.length)}; --narrow: ${Math.min(2, panels.length)}` }, head, el("div", { className: "panels" }, ...panels));
    const remarks = [...card.notes, ...card.assumptions.map((text) => `Assumed: ${text}`)];
    if (remarks.length) node.append(el("details", {}, el("summary", {}, `What the numbers rest on (${remarks.length})`), el("ul", {}, ...remarks.map((text) => el("li", {}, text)))));
    at("benchmarks-cards").append(node);
  }
}

// ---- runs, results, cost ----------------------------------------------------------------------------------------

function runs() {
  at("runs-table").append(tables.table(page.runs, "How the runs went", { sortable: true, place: "metrics.jsonl, results.csv and fit.json" }));
  if (!page.unfinished.length) return;
  const columns = ["run", "state", "step", "reason", "log"].map((label) => ({ label }));
  const rows = page.unfinished.map((run) => ({ cells: columns.map(({ label }) => ({ text: run[label], sort: run[label], origin: label === "run" ? run.cell : "" })) }));
  at("unfinished").append(el("h3", {}, "Runs that are not done"), el("p", { className: "lede" }, "They are left out of the law."), tables.table({ columns, rows }, "Runs that are not done"));
  for (const run of page.unfinished.filter((one) => one.last_words)) {
    const log = el("pre", { className: "log", tabIndex: 0 }, run.last_words);
    at("unfinished").append(el("details", {}, el("summary", {}, `Last lines of ${run.log}`), log));
  }
}

function results() {
  at("results-table").append(tables.table(page.results, "Results by run", { sortable: true }));
  if (page.links.results) at("results-link").append(" Every checkpoint is in ", el("a", { href: page.links.results }, "results.csv"), ".");
  const kinds = ["csv", "md", "tex"].filter((kind) => page.static.includes(`tables/results.${kind}`));
  if (kinds.length) at("results-link").append(" This table as ", ...kinds.flatMap((kind, i) => [i ? ", " : "", el("a", { href: `tables/results.${kind}` }, { csv: "CSV", md: "Markdown", tex: "LaTeX" }[kind])]), ".");
  at("cost-table").append(tables.table(page.cost, "Throughput and cost by run", { sortable: true, place: "metrics.jsonl and manifest.json" }));
}

function overlap() {
  if (!page.overlap) return at("overlap").remove();
  for (const one of page.overlap.studies) {
    const name = page.overlap.studies.length > 1 ? `${one.study}: ` : "";
    const add = (title, lede, data) => {
      if (data) at("overlap-tables").append(el("h3", {}, name + title), ...(lede ? [el("p", { className: "lede" }, lede)] : []), tables.table(data, name + title, { sortable: true }));
    };
    add("N-grams found", one.said, one.shares);
    if (one.said && !one.shares) at("overlap-tables").append(el("p", { className: "lede" }, name + one.said));
    add("Scores with and without them", "", one.scores);
    add("What the models give back", "Of 50 tokens, how many agree with the training text before the first that does not, by how often the passage stands in it.", one.occurrences);
  }
}

// ---- provenance, the way back -----------------------------------------------------------------------------------

function provenance() {
  const { shared, table: differing } = page.provenance;
  if (shared.length) {
    const facts = el("dl", { className: "shared" });
    for (const one of shared) facts.append(el("dt", {}, one.label), el("dd", { title: one.origin }, one.text));
    at("provenance-shared").append(el("h3", {}, "The same for every run"), facts, el("h3", {}, "What differs"));
  }
  if (differing.columns.length > 1) at("provenance-table").append(tables.table(differing, "Provenance by run"));
  else at("provenance-shared").lastChild.remove();
}

function again() {
  for (const step of page.again) {
    const code = el("pre", {}, el("code", {}, step.command));
    const copy = el("button", { type: "button", "aria-label": `Copy: ${step.what}` }, "Copy");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(step.command);
        say("Copied");
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
  for (const node of document.querySelectorAll("[data-files]")) {
    const links = files(node.dataset.files);
    if (links.length) node.append(`${node.dataset.what}: `, ...links);
  }
}

// ---- theme, print, live -----------------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";

function themed() {
  at("theme").setAttribute("aria-pressed", String(isDark()));
  at("theme").textContent = isDark() ? "Light" : "Dark";
  at("theme").setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  document.querySelectorAll(".swatch").forEach((swatch) => { swatch.style.background = charts.series(Number(swatch.dataset.cell)); });
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

// plotly's megabytes come last: the text and the tables can be read before the figures stand.
function plotly() {
  const script = el("script", { src: "plotly.min.js" });
  for (const event of ["load", "error"]) script.addEventListener(event, charts.start);
  document.head.append(script);
}

// While a study runs the page looks for a newer one, by a script: a browser keeps its place over a reload.
function live() {
  if (!page.live) return;
  let times = 0;
  setInterval(() => {
    const probe = el("script", { src: `stamp.js?${times += 1}` });
    probe.addEventListener("load", () => {
      probe.remove();
      if (window.zeroscaleStamp !== page.live.stamp && !at("origin").open) location.reload();
    });
    probe.addEventListener("error", () => probe.remove());
    document.head.append(probe);
  }, 1000 * page.live.every);
}

first();
sweep.section();
sweep.groups();
lawFigures.section();
curves.section();
runs();
paper();
benchmarks();
results();
examples.section();
overlap();
provenance();
again();
sections();
origins.start();
at("footer").append(page.live ? "Made by zeroscale while the study runs; this page follows it." : "Made by zeroscale from the files of this study: the same files give the same page.");
theme();
themed();
live();
document.addEventListener("DOMContentLoaded", () => { plotly(); examples.start(); });
