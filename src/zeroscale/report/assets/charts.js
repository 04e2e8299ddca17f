"use strict";
// Draws the figures of data.js with plotly and paints them for the theme in force. No colour is in the data.

const charts = (() => {
  const drawn = []; // {node, spec}, in the order of the page
  const SERIES = 7;

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  // The colour of run number `index` of `count`: Okabe-Ito for a handful, an ordered ramp from small to large for more.
  function series(index, count) {
    return count <= SERIES ? css(`--s${index}`) : ramp(index, count);
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
    if (meta.ink === "series") return series(meta.cell, window.zeroscale.cells.length);
    if (meta.ink === "ramp") return ramp(meta.place, meta.of);
    return css(meta.ink === "text" ? "--text" : "--muted");
  }

  function paintTrace(trace) {
    const color = ink(trace.meta);
    const painted = { ...trace, line: { ...trace.line, color }, textfont: { color: css("--text"), size: 12 } };
    if (trace.marker) painted.marker = { ...trace.marker, color, line: { ...trace.marker.line, color } };
    if (trace.error_y) painted.error_y = { ...trace.error_y, color };
    if (trace.error_x) painted.error_x = { ...trace.error_x, color };
    if (trace.fill) painted.fillcolor = faint(color, 0.16);
    if (trace.meta.part === "smooth" || trace.meta.part === "raw") delete painted.marker;
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
    const draw = entry.node.classList.contains("js-plotly-plot") ? Plotly.react : Plotly.newPlot;
    draw(entry.node, data, layout, settings);
    entry.node.dataset.drawn = "yes";
  }

  // A figure is drawn when the page is idle, the first at once; its text for a screen reader is set here.
  function add(node, spec, description) {
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", description);
    drawn.push({ node, spec });
    return drawn[drawn.length - 1];
  }

  function start() {
    if (!window.Plotly) {
      for (const { node } of drawn) node.textContent = "plotly.min.js is missing beside this page; see the PNGs in figures/.";
      return;
    }
    const idle = window.requestIdleCallback || ((work) => setTimeout(work, 1));
    const waiting = [...drawn];
    const next = () => {
      const entry = waiting.shift();
      if (!entry) return;
      if (!entry.node.dataset.drawn) render(entry);
      idle(next, { timeout: 300 });
    };
    next();
  }

  const repaint = () => drawn.forEach(render);
  return { add, render, repaint, start, series };
})();
