"use strict";
// Draws the figures of data.js with plotly and paints them for the theme in force. No colour is in the data.

const charts = (() => {
  let drawn = []; // {node, spec, title, prefix}, in the order of the page
  const SERIES = 7;
  const COLOURS = 1 + Math.max(0, ...page.cells.map((cell) => cell.series));

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  // A run's colour: Okabe-Ito for a handful of runs (or of studies), an ordered ramp from small to large for more.
  function series(cell) {
    const index = page.cells[cell].series;
    return COLOURS <= SERIES ? css(`--s${index}`) : ramp(index, COLOURS);
  }

  function ramp(index, count) {
    const at = (2 * index) / Math.max(1, count - 1);
    const low = Math.min(1, Math.floor(at));
    const [from, to] = [rgb(css(`--ramp-${low}`)), rgb(css(`--ramp-${low + 1}`))];
    return `rgb(${from.map((value, i) => Math.round(value + (at - low) * (to[i] - value))).join(",")})`;
  }

  function faint(color, alpha) {
    const parts = color.startsWith("#") ? rgb(color) : color.match(/\d+/g);
    return `rgba(${parts[0]},${parts[1]},${parts[2]},${alpha})`;
  }

  function ink(meta) {
    if (meta.ink === "series") return series(meta.cells ? meta.cells[0] : meta.cell);
    if (meta.ink === "ramp") return ramp(meta.place, meta.of);
    return css(meta.ink === "text" ? "--text" : "--muted");
  }

  function paintTrace(trace) {
    const color = ink(trace.meta);
    const painted = { ...trace, line: { ...trace.line, color }, textfont: { color: css("--text"), size: 12 } };
    const points = trace.meta.cells ? trace.meta.cells.map(series) : color;
    if (trace.marker) painted.marker = { ...trace.marker, color: points, line: { ...trace.marker.line, color: points } };
    const bars = trace.meta.cells ? faint(css("--muted"), 0.6) : color;
    if (trace.error_y) painted.error_y = { ...trace.error_y, color: bars };
    if (trace.error_x) painted.error_x = { ...trace.error_x, color: bars };
    if (trace.fill) painted.fillcolor = faint(color, 0.16);
    return painted;
  }

  function paintAxis(axis) {
    return {
      gridcolor: css("--grid"), linecolor: css("--line"), tickcolor: css("--line"), zeroline: false,
      automargin: true, fixedrange: matchMedia("(pointer: coarse)").matches, ...axis,
    };
  }

  function paint(spec) {
    const layout = {
      ...spec.layout, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--muted") },
      hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--line"), font: { color: css("--text"), size: 13 }, align: "left" },
      xaxis: paintAxis(spec.layout.xaxis), yaxis: paintAxis(spec.layout.yaxis),
    };
    return [spec.data.map(paintTrace), layout];
  }

  // No bar of plotly's own buttons: 20 times the same five tab stops. Dragging zooms, a double click shows all again.
  const settings = { responsive: true, displayModeBar: false, doubleClick: "reset", showTips: false };

  function render(entry) {
    if (!window.Plotly) return;
    const [data, layout] = paint(entry.spec);
    const again = entry.node.classList.contains("js-plotly-plot");
    (again ? Plotly.react : Plotly.newPlot)(entry.node, data, layout, settings);
    if (!again) entry.node.on("plotly_click", (event) => clicked(entry, event.points[0]));
    entry.node.dataset.drawn = "yes";
  }

  // What was clicked, in the words of its hover: plotly's few tags are taken out of them.
  function clicked(entry, point) {
    const hover = point.hovertext || (point.data.hovertemplate || "").replace(/<extra>.*/, "");
    const words = String(hover).replace(/<br>/g, ", ").replace(/<\/?b>/g, "").replace(/%\{[^}]*\}/g, "");
    const text = words.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
    origins.point(entry.title, entry.prefix, point.customdata, text);
  }

  // A figure is drawn when the page is idle, the first at once; its text for a screen reader is set here.
  function add(node, spec, description, title = "", prefix = "") {
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", description);
    const entry = { node, spec, title: title || description.split(/[.:]/)[0], prefix };
    drawn.push(entry);
    if (started) draw([entry]);
    return entry;
  }

  let started = false;
  function start() {
    started = true;
    if (!window.Plotly) {
      for (const { node } of drawn) node.textContent = "plotly.min.js is missing beside this page.";
      return;
    }
    draw(drawn);
  }

  function draw(entries) {
    const idle = window.requestIdleCallback || ((work) => setTimeout(work, 1));
    const waiting = [...entries];
    const next = () => {
      const entry = waiting.shift();
      if (!entry) return;
      if (!entry.node.dataset.drawn && entry.node.isConnected) render(entry);
      idle(next, { timeout: 300 });
    };
    next();
  }

  // Figures that have left the page are forgotten.
  function repaint() {
    drawn = drawn.filter(({ node }) => node.isConnected);
    drawn.filter(({ node }) => node.dataset.drawn || !started).forEach(render);
  }

  return { add, render, repaint, start, series };
})();
