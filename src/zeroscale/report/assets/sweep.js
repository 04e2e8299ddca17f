"use strict";
// A study of several settings: the four answers of the first screen, the loss over each setting, curves by group.

const sweep = (() => {
  const command = (text) => el("pre", { className: "try", tabIndex: 0 }, el("code", {}, text));

  function answers() {
    if (!page.sweep) return at("answers").remove();
    for (const one of page.sweep.answers) at("answers").append(el("dt", {}, one.question), el("dd", {}, one.answer, ...one.commands.map(command)));
  }

  function section() {
    const found = page.sweep;
    if (!found || !found.figures.length) return at("settings").remove();
    at("settings-figures").append(...found.figures.map((one) => lawFigures.figure(one)));
    if (found.chosen) at("settings-chosen").append(el("h3", {}, "Chosen, size by size"), tables.table(found.chosen, "Chosen settings", { sortable: true }));
  }

  // Above the single runs' curves, which are then shown on demand: seeds are means with a band, not lines.
  function groups() {
    const single = at("curves-single");
    const found = page.sweep ? page.sweep.curves : [];
    if (!found.length) {
      at("groups-controls").remove();
      at("groups-curve").remove();
      single.replaceWith(...[...single.childNodes].slice(single.querySelector("summary") ? 2 : 0));
      return;
    }
    const show = (index) => at("groups-curve").replaceChildren(lawFigures.figure(found[index]));
    if (found.length > 1) at("groups-controls").append(group("Colour by", found.map((one, i) => [i, one.by]), 0, show));
    else at("groups-controls").remove();
    show(0);
    single.addEventListener("toggle", () => charts.repaint(), { once: true });
  }

  return { answers, groups, section };
})();
