"use strict";
// The examples of a card, with what each size said: as a list or side by side, all or those that a reader looks for.

const examples = (() => {
  const PAGE = 12;
  const GENERATED = ["conversation", "question_answer", "summary", "translation"];
  const OUTCOMES = [["all", "all"], ["right", "right"], ["wrong", "wrong"], ["differ", "sizes disagree"]];

  const state = { card: 0, layout: "list", outcome: "all", whose: "", text: "", hidden: new Set(), most: PAGE };
  let card = null;
  let items = [];

  // A card's examples are a script of their own, loaded when the card is chosen: nothing is fetched.
  function load(number, then) {
    const ready = () => window.zeroscaleExamples && window.zeroscaleExamples[number];
    if (ready()) return then(ready());
    const script = el("script", { src: page.examples[number].file });
    script.addEventListener("load", () => then(ready() || []));
    script.addEventListener("error", () => at("examples-list").replaceChildren(el("p", { className: "lede" }, `${page.examples[number].file} is missing beside this page.`)));
    document.head.append(script);
  }

  function verdict(answer) {
    if (!answer || answer.right === null) return null;
    return el("span", { className: `mark ${answer.right ? "right" : "wrong"}` }, answer.right ? "✓ right" : "✗ wrong");
  }

  function wanted(item) {
    const answers = item.answers.filter((one) => one.right !== null && (!state.whose || one.run === state.whose));
    const right = answers.filter((one) => one.right).length;
    const fits = {
      all: true, right: answers.length && right === answers.length, wrong: answers.length && right === 0,
      differ: new Set(item.answers.filter((one) => one.right !== null).map((one) => one.right)).size > 1,
    };
    return fits[state.outcome] && (!state.text || spoken(item).includes(state.text));
  }

  function spoken(item) {
    const texts = [item.start, item.passage, item.target, ...item.asked.flat(), ...item.answers.flatMap((one) => [one.said, one.more])];
    return texts.join("\n").toLowerCase();
  }

  const shown = (answers) => answers.filter((one) => !state.hidden.has(one.run));

  function beside(answer) {
    const pairs = [...(answer.more ? [["generated", answer.more]] : []), ...answer.besides];
    return pairs.map(([label, text]) => el("span", { className: "small" }, ` ${label}: ${text}`));
  }

  function one(item, index) {
    const judged = item.answers.filter((answer) => answer.right !== null);
    const score = judged.length ? `${judged.filter((answer) => answer.right).length} of ${judged.length} right` : "";
    const start = (item.start || item.passage).slice(0, 160).replace(/\s+/g, " ");
    const summary = el("summary", {}, el("span", { className: "start" }, `${item.place}. `, el("span", {}, start)), el("span", { className: "small" }, score));
    const said = el("dl", { className: "said" });
    for (const [label, text] of item.asked) said.append(el("dt", {}, label), el("dd", {}, text));
    if (item.target) said.append(el("dt", {}, "expected"), el("dd", {}, item.target));
    for (const answer of shown(item.answers)) {
      const mark = verdict(answer);
      said.append(el("dt", { title: answer.run }, answer.cell), el("dd", {}, answer.said, mark && answer.said ? " " : null, mark, ...beside(answer)));
    }
    const node = el("details", { className: "example" }, summary, el("p", { className: "passage" }, item.passage), said);
    node.open = index === 0;
    return node;
  }

  // A row for each example, a column for each size: the same prompt, and what became of it.
  function columns(found) {
    const runs = card.runs.filter(([run]) => !state.hidden.has(run));
    const heads = ["example", ...(found.some((item) => item.target) ? ["expected"] : []), ...runs.map(([, name]) => name)];
    const rows = found.map((item) => {
      const asked = item.asked.map(([label, text]) => el("span", { className: "small" }, `${label}: ${text}`));
      const passage = item.passage.length > 220 ? `… ${item.passage.slice(-220)}` : item.passage;
      const cells = [el("th", { scope: "row", className: "prompt" }, el("span", { className: "small" }, `${item.place}. ${item.start}`), el("span", { className: "text" }, passage), ...asked)];
      if (heads[1] === "expected") cells.push(el("td", { className: "text" }, item.target));
      for (const [run] of runs) {
        const answer = item.answers.find((other) => other.run === run);
        cells.push(el("td", { className: "text" }, ...(answer ? [answer.said, " ", verdict(answer), ...beside(answer)] : ["–"]).filter(Boolean)));
      }
      return el("tr", {}, ...cells);
    });
    const caption = `${card.card}: the same examples, side by side`;
    const table = el("table", { className: "sides" }, el("caption", { className: "unseen" }, caption), el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, ...rows));
    return el("div", { className: "scroll", role: "region", "aria-label": caption, tabIndex: 0 }, table);
  }

  function fill() {
    const found = items.filter(wanted);
    const some = found.slice(0, state.most);
    const counted = `${found.length} of ${items.length} examples${card.n > items.length ? `, the first of ${card.n.toLocaleString("en")}` : ""}`;
    const body = state.layout === "sides" ? [columns(some)] : some.map(one);
    const more = el("button", { type: "button" }, `Show ${Math.min(PAGE, found.length - some.length)} more`);
    more.addEventListener("click", () => { state.most += PAGE; fill(); });
    const already = at("examples-list").childElementCount;
    at("examples-list").replaceChildren(el("p", { className: "small counted" }, counted), ...(found.length ? body : [el("p", {}, "None of them fits.")]), ...(found.length > some.length ? [more] : []));
    if (already) say(counted);
  }

  const set = (key) => (value) => { state[key] = value; state.most = PAGE; fill(); };

  // The controls that belong to a card: whether it is judged, and which models were scored on it.
  function controls() {
    const runs = card.runs;
    const judged = card.judged ? [choice("Show", OUTCOMES, set("outcome")), choice("for", [["", "every size"], ...runs], set("whose"))] : [];
    const layouts = group("As", [["list", "list"], ["sides", "side by side"]], state.layout, set("layout"));
    at("examples-options").replaceChildren(layouts, ...judged, search("Text", set("text")), el("span", { className: "badges" }, ...card.badges.map(badgeOf)));
    at("examples-runs").replaceChildren(...(runs.length < 2 ? [] : runs.map(([run, name]) => {
      const chip = el("button", { type: "button", "aria-pressed": "true", title: run }, name);
      chip.addEventListener("click", () => {
        const off = !state.hidden.delete(run) && Boolean(state.hidden.add(run));
        chip.setAttribute("aria-pressed", String(!off));
        fill();
      });
      return chip;
    })));
  }

  function choose(number) {
    load(number, (loaded) => {
      card = page.examples[number];
      items = loaded.map((item, i) => ({ ...item, place: i + 1 }));
      Object.assign(state, { card: number, outcome: "all", whose: "", text: "", most: PAGE, layout: GENERATED.includes(card.family) ? "sides" : "list" });
      state.hidden.clear();
      controls();
      fill();
    });
  }

  function section() {
    if (!page.examples.length) return at("examples").remove();
    const named = (one) => one.card + (one.protocol === "paper" ? "" : ` (${one.protocol})`);
    const keys = page.examples.map((one, i) => [i, named(one)]);
    at("examples-controls").append(group("Card", keys, 0, choose), el("div", { id: "examples-options", className: "controls" }));
  }

  const start = () => { if (page.examples.length) choose(0); };
  return { section, start };
})();
