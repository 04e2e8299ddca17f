"use strict";
// The section on the laws over size and data. Text only ever becomes a text node, as in app.js, whose names it uses.

const lawFigures = (() => {
  function caption(one) {
    const links = [["PNG", "png"], ["SVG", "svg"]].map(([text, kind]) => el("a", { href: `figures/${one.name}.${kind}` }, text));
    return el("figcaption", {}, ...rich(`${one.caption} `), links[0], ", ", links[1], ".");
  }

  // Buttons for the other x axes that a figure comes with.
  function controls(entry) {
    const { axes, layout, data } = entry.spec;
    if (!axes) return null;
    const names = Object.keys(axes);
    const over = (name) => {
      layout.xaxis = axes[name];
      for (const trace of data) if (trace.meta.axes) trace.x = trace.meta.axes[name];
      charts.render(entry);
    };
    return el("div", { className: "controls" }, group("Over", names.map((name) => [name, name]), names[0], over));
  }

  function figure(one) {
    const plot = el("div", { className: "plot law-plot" });
    const entry = charts.add(plot, one.figure, `${one.title}. ${one.summary}`);
    return el("figure", { className: "law-panel" }, el("h3", {}, one.title), controls(entry), plot, caption(one));
  }

  function doubt(one) {
    const node = el("article", { className: "doubt" }, el("h3", {}, one.law), el("p", { className: "small" }, ...rich(`${one.form}. ${one.how}`)));
    if (one.warnings.length) node.append(el("ul", {}, ...one.warnings.map((text) => el("li", {}, ...rich(text)))));
    else node.append(el("p", {}, "No warning."));
    if (one.left_out.length) {
      const list = el("ul", {}, ...one.left_out.map((text) => el("li", {}, text)));
      node.append(el("details", {}, el("summary", {}, "Runs that it leaves out, by rule"), list));
    }
    return node;
  }

  // The first screen's figure where a law over size and data leads; app.js draws the law over size alone otherwise.
  function first() {
    const one = page.laws && page.laws.first;
    if (!one) return false;
    charts.add(at("law-figure"), one.figure, `${one.title}. ${one.summary}`);
    at("law-caption").replaceWith(Object.assign(caption(one), { id: "law-caption" }));
    return true;
  }

  function section() {
    if (!page.laws) return at("laws").remove();
    at("laws-figures").append(...page.laws.figures.map(figure));
    for (const { title, lede, table: data } of page.laws.tables) {
      at("laws-tables").append(el("h3", {}, title), el("p", { className: "lede" }, ...rich(lede)), table(data, title, true));
    }
    const { doubts, not_fitted: missing } = page.laws;
    at("laws-doubts").append(...(doubts.length ? [el("h3", {}, "How far to trust them")] : []), ...doubts.map(doubt));
    if (missing.length) {
      const list = missing.flatMap((one) => [el("dt", {}, one.law), el("dd", {}, one.reason)]);
      at("laws-doubts").append(el("h3", {}, "Not fitted"), el("dl", { className: "shared" }, ...list));
    }
  }

  return { first, section };
})();
