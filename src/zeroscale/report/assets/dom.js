"use strict";
// What every script here builds the page with. Text of a run only ever becomes a text node: nothing parses HTML.

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
const badgeOf = (text) => badge(text, text === "BENCHMARK" ? "benchmark" : "part");
const small = (text) => (text ? el("span", { className: "small" }, ...rich(text)) : null);
const list = (texts) => el("ul", {}, ...texts.map((text) => el("li", {}, ...rich(text))));

// For a screen reader, where something changed without a word.
const say = (text) => { at("said").textContent = text; };

// Buttons of which one is pressed.
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

// A labelled choice of one of many.
function choice(label, options, choose) {
  const select = el("select", {}, ...options.map(([value, text]) => el("option", { value }, text)));
  select.addEventListener("change", () => choose(select.value));
  return el("label", { className: "field" }, el("span", { className: "label" }, label), select);
}

// A labelled field for text to look for; `choose` hears of it when typing rests.
function search(label, choose) {
  const input = el("input", { type: "search", autocomplete: "off", spellcheck: false });
  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => choose(input.value.trim().toLowerCase()), 150);
  });
  return el("label", { className: "field" }, el("span", { className: "label" }, label), input);
}

// Links to a figure's files, where they were written; empty otherwise.
function files(name) {
  const kinds = ["png", "svg", "pdf"].filter((kind) => page.static.includes(`figures/${name}.${kind}`));
  return kinds.flatMap((kind, i) => [i ? ", " : "", el("a", { href: `figures/${name}.${kind}` }, kind.toUpperCase())]).concat(kinds.length ? ["."] : []);
}
