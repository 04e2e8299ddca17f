"use strict";
// The loss curves: over tokens, FLOPs or time, smoothed more or less, of the runs that are chosen.

const curves = (() => {
  const APART = 24; // of more runs, those of one colour share a trace
  const CHIPS = 60; // of more runs, a reader looks for names instead
  const SHADES = 12;
  const MANY = page.cells.length > APART;

  const state = { axis: "tokens", parts: "all", smoothing: "medium", hidden: new Set(), studies: new Set(), named: "" };

  function shown(run) {
    const cell = page.cells[run.cell];
    return !state.hidden.has(run.cell) && !state.studies.has(cell.study) && (!state.named || cell.name.toLowerCase().includes(state.named));
  }

  // Runs of one colour: a study's, or those of about one size.
  function groups(runs) {
    if (!MANY) return runs.map((run) => [run]);
    const found = new Map();
    for (const run of runs) {
      const key = page.studies.length > 1 ? page.cells[run.cell].study : Math.floor((SHADES * run.cell) / page.cells.length);
      found.set(key, [...(found.get(key) || []), run]);
    }
    return [...found.values()];
  }

  // One trace of several runs' lines, with a gap between two of them.
  function joined(runs, xs, ys, part, more) {
    const meta = { ink: "series", cell: runs[runs.length >> 1].cell, part };
    const trace = { type: "scatter", mode: "lines", x: [], y: [], hovertext: [], customdata: [], meta, ...more };
    const what = part === "validation" ? "validation" : "training";
    for (const run of runs) {
      const { name, run: own } = page.cells[run.cell];
      const [x, y] = [xs(run), ys(run)];
      if (!y || !y.length) continue;
      if (trace.x.length) { trace.x.push(null); trace.y.push(null); trace.hovertext.push(""); trace.customdata.push(null); }
      const safe = name.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/%\{/g, "%\u200b{");
      const words = `<b>${safe}</b> ${what}`;
      for (let i = 0; i < y.length; i += 1) {
        trace.x.push(x[i]); trace.y.push(y[i]); trace.hovertext.push(words); trace.customdata.push(own);
      }
    }
    if (more.hoverinfo !== "skip") trace.hovertemplate = "%{hovertext}<br>%{x:.3s} · loss %{y:.3f}<extra></extra>";
    return trace.x.length ? trace : null;
  }

  function traces() {
    const { axis, parts, smoothing } = state;
    const found = [];
    for (const runs of groups(page.curves.runs.filter(shown))) {
      const raw = runs[0].raw && parts !== "validation";
      const plain = raw && smoothing === "none";
      if (raw) found.push(joined(runs, (run) => run.x[axis], (run) => run.raw, "raw", plain ? { line: { width: 1.5 } } : { line: { width: 1 }, opacity: 0.28, hoverinfo: "skip" }));
      if (parts !== "validation" && !plain) found.push(joined(runs, (run) => run.x[axis], (run) => run.smooth[smoothing] || run.smooth.light, "smooth", { line: { width: MANY ? 1.2 : 2 } }));
      if (parts !== "smooth") {
        const marker = { size: 7, symbol: page.cells[runs[0].cell].symbol };
        found.push(joined(runs, (run) => run.validation_x[axis], (run) => run.validation, "validation", MANY ? { line: { width: 1, dash: "dot" } } : { mode: "lines+markers", marker, line: { width: 1.5, dash: "dot" } }));
      }
    }
    return found.filter(Boolean);
  }

  function section() {
    if (!page.curves) return at("curves").remove();
    const spec = { data: traces(), layout: page.curves.layout };
    const entry = charts.add(at("curves-figure"), spec, "Training and validation loss of every run; the last values are in the results table.");
    const draw = () => { spec.data = traces(); charts.render(entry); };
    const axes = () => {
      const { xaxis } = spec.layout;
      Object.assign(xaxis, page.curves.axes[state.axis]);
      if (xaxis.type !== "log") Object.assign(xaxis, { tickvals: null, ticktext: null });
      draw();
    };
    const scale = (name) => (type) => {
      spec.layout[name].type = type;
      if (name === "yaxis") { spec.layout.yaxis.dtick = type === "log" ? "D1" : null; draw(); } else axes();
    };
    const kinds = [["log", "log"], ["linear", "linear"]];
    const set = (key, then = draw) => (value) => { state[key] = value; then(); };
    const raw = page.curves.runs.some((run) => run.raw);
    const spans = [...(raw ? [["none", "none"]] : []), ["light", "light"], ["medium", "medium"], ["heavy", "heavy"]];
    at("curves-controls").append(
      group("Over", [["tokens", "tokens"], ["flops", "FLOPs"], ["seconds", "time"]], "tokens", set("axis", axes)),
      group("x axis", kinds, "log", scale("xaxis")),
      group("y axis", kinds, "linear", scale("yaxis")),
      group("Show", [["all", "both"], ["smooth", "training"], ["validation", "validation"]], "all", set("parts")),
      group("Smoothing", spans, "medium", set("smoothing")),
    );
    chips(draw);
  }

  // What the chips leave out: runs, or of many runs whole studies and those without a word in their names.
  function chips(draw) {
    const toggle = (set, key, cell, texts) => {
      const swatch = el("span", { className: "swatch" });
      swatch.dataset.cell = cell;
      const chip = el("button", { type: "button", "aria-pressed": "true" }, swatch, ...texts);
      chip.addEventListener("click", () => {
        const off = !set.delete(key) && Boolean(set.add(key));
        chip.setAttribute("aria-pressed", String(!off));
        draw();
      });
      return chip;
    };
    const drawn = page.curves.runs.map((run) => run.cell);
    if (drawn.length <= CHIPS) {
      for (const index of drawn) {
        const cell = page.cells[index];
        at("curves-runs").append(Object.assign(toggle(state.hidden, index, index, [cell.name, small(cell.size)]), { title: cell.run }));
      }
      return;
    }
    if (page.studies.length > 1) page.studies.forEach((name, i) => at("curves-runs").append(toggle(state.studies, i, page.cells.findIndex((cell) => cell.study === i), [name])));
    at("curves-controls").append(search("Runs named", (text) => { state.named = text; draw(); }));
    if (!at("curves-runs").childElementCount) at("curves-runs").remove();
  }

  return { section };
})();
