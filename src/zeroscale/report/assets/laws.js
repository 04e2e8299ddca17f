"use strict";
// The section on the laws over size and data, of one study at a time.

const lawFigures = (() => {
  function caption(one) {
    return el("figcaption", {}, ...rich(`${one.caption} `), ...files(one.name));
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

  function figure(one, prefix = "") {
    const plot = el("div", { className: "plot law-plot" });
    const entry = charts.add(plot, one.figure, `${one.title}. ${one.summary}`, one.title, prefix);
    return el("figure", { className: "law-panel" }, el("h3", {}, one.title), controls(entry), plot, caption(one));
  }

  function doubt(one) {
    const node = el("article", { className: "doubt" }, el("h3", {}, one.law), el("p", { className: "small" }, ...rich(`${one.form}. ${one.how}`)));
    node.append(one.warnings.length ? list(one.warnings) : el("p", {}, "No warning."));
    if (one.left_out.length) node.append(el("details", {}, el("summary", {}, "Runs that it leaves out, by rule"), el("ul", {}, ...one.left_out.map((text) => el("li", {}, text)))));
    return node;
  }

  // The first screen's figure where a law over size and data leads; app.js draws the law over size alone otherwise.
  function first() {
    const laws = page.laws[0];
    if (!laws || !laws.first) return false;
    const one = laws.first;
    charts.add(at("law-figure"), one.figure, `${one.title}. ${one.summary}`, one.title, laws.prefix);
    at("law-caption").replaceWith(Object.assign(caption(one), { id: "law-caption" }));
    return true;
  }

  function show(laws) {
    const several = page.studies.length > 1;
    const figures = [...(several && laws.first ? [laws.first] : []), ...laws.figures];
    at("laws-figures").replaceChildren(...figures.map((one) => figure(one, laws.prefix)));
    at("laws-tables").replaceChildren(...laws.tables.flatMap(({ title, lede, table }) => [
      el("h3", {}, title), el("p", { className: "lede" }, ...rich(lede)), tables.table(table, title, { sortable: true, from: laws.from }),
    ]));
    const missing = laws.not_fitted.flatMap((one) => [el("dt", {}, one.law), el("dd", {}, one.reason)]);
    at("laws-doubts").replaceChildren(
      ...(laws.doubts.length ? [el("h3", {}, "How far to trust them")] : []), ...laws.doubts.map(doubt),
      ...(missing.length ? [el("h3", {}, "Not fitted"), el("dl", { className: "shared" }, ...missing)] : []),
    );
  }

  function section() {
    if (!page.laws.length) return at("laws").remove();
    if (page.links.fit) at("laws-link").append("; all numbers are in ", el("a", { href: page.links.fit }, "fit.json"));
    const names = page.laws.map((laws, i) => [i, laws.study]);
    if (names.length > 1) at("laws-studies").append(group("Study", names, 0, (i) => show(page.laws[i])));
    else at("laws-studies").remove();
    show(page.laws[0]);
  }

  return { figure, first, section };
})();
