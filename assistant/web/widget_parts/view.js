// The parts as DOM nodes. Text is only ever set as text: customers, agents and sources write it.
const h = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
};

const icon = (name) => {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const look = { viewBox: "0 0 20 20", width: 20, height: 20, "aria-hidden": "true", focusable: "false", class: "icon" };
  for (const [key, value] of Object.entries(look)) svg.setAttribute(key, value);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
};
const ICONS = {
  chat: "M4 4h12a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H9l-4 3.500V14H4a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2Z",
  bell: "M3 14.500a7 7 0 0 1 14 0ZM2.200 16.800h15.600M10 7.500V5.200M8.200 4.400h3.600",
  person: "M10 9.500a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM4 16.500c.6-3.200 3-5 6-5s5.400 1.800 6 5",
  send: "M10 16V4.500M5 9.200l5-5 5 5",
  stop: "M6 6h8v8H6Z",
  close: "m5 5 10 10M15 5 5 15",
  more: "M4.500 10h.01M10 10h.01M15.500 10h.01",
  source: "M5.500 3h6L15 6.500V17H5.500ZM8 9.500h4.500M8 12.500h4.500",
  bag: "M4.500 7h11l.8 9.500H3.700ZM7.200 9V6a2.800 2.800 0 0 1 5.600 0v3",
  up: "M6.500 9v7.500h7.200c.8 0 1.400-.5 1.600-1.300l1.100-4.700c.2-.9-.5-1.700-1.400-1.700h-3.600l.5-3.300c.1-1-.6-1.800-1.500-1.800L6.500 9Zm0 0H3.500v7.500h3",
  down: "M13.500 11V3.500H6.300c-.8 0-1.400.5-1.600 1.300L3.600 9.500c-.2.900.5 1.700 1.400 1.700h3.600l-.5 3.300c-.1 1 .6 1.800 1.500 1.800l3.900-5.300Zm0 0h3V3.500h-3",
};

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

// What the shop's documents are written with: bold and bullets; links become their words.
const formatted = (text) =>
  text
    .replace(/!?\[([^\]\n]*)\]\([^)\s]*\)/g, "$1")
    .replace(/^\s*[-*] /gm, "• ")
    .split(/\*\*([^*\n]+)\*\*/)
    .map((part, place) => (place % 2 ? h("strong", {}, part) : part.replaceAll("**", "")));

const view = {
  mark: (name) => h("span", { class: `mark ${name === "person" ? "human" : ""}` }, icon(name)),

  stage: (words, stage) =>
    h("p", { class: "stage" }, h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
      `${words[`stage_${stage}`] ?? words.sending}…`),

  chip: (words, source, number, open) => {
    const [title, section] = source.title.split(" › ");
    const date = source.valid_from && fill(words.since, { day: day(words, source.valid_from) });
    const name = fill(words.open_source, { source: section ?? title });
    return h("button", { type: "button", class: "chip", "aria-haspopup": "dialog", onclick: () => open(source),
      "aria-label": date ? `${name}, ${date}` : name },
      number ? h("b", { class: "number" }, `${number}`) : icon("source"),
      h("span", {}, section ? `${title} › ${section}` : title),
      date && h("span", { class: "soft" }, `· ${date}`));
  },

  // Products: pictures only from the server, the page's own site, and where the shop keeps them.
  card: (card) => {
    const address = card.image && new URL(card.image, ORIGIN);
    const shown = address && [ORIGIN, location.origin, ...IMAGES].includes(address.origin);
    return h("li", { class: "card" },
      h("span", { class: "picture" }, shown ? h("img", { src: address.href, alt: "", width: "64", height: "64", loading: "lazy" }) : icon("bag")),
      h("div", {},
        h("p", { class: "title" }, /^https?:\/\//.test(card.url) ? h("a", { href: card.url, rel: "noopener" }, card.title) : card.title),
        card.price && h("p", {}, card.price),
        [card.stock, card.note].filter(Boolean).map((fact) => h("p", { class: "soft" }, fact))));
  },

  // The passage that a citation opens, with the quoted words marked.
  passage: (words, source, quotes, close) => {
    const [title, section] = source.title.split(" › ");
    const limits = [
      source.valid_from && fill(words.since, { day: day(words, source.valid_from) }),
      source.valid_until && fill(words.until, { day: day(words, source.valid_until) }),
    ].filter(Boolean).join(" ");
    return [
      h("div", { class: "sheet-head" },
        h("div", {}, section && h("p", { class: "soft" }, title), h("h2", { id: "sheet-title" }, section ?? title),
          limits && h("p", { class: "soft" }, fill(words.in_force, { range: limits }))),
        h("button", { type: "button", class: "quiet", "aria-label": words.close, onclick: close }, icon("close"))),
      h("div", { class: "sheet-text", tabindex: "0", role: "region", "aria-labelledby": "sheet-title", dir: "auto" },
        marked(source.text || source.quote, quotes)),
      h("p", { class: "sheet-foot soft" }, words.quoted, " ",
        /^https?:\/\//.test(source.url ?? "") &&
          h("a", { href: source.url, target: "_blank", rel: "noopener noreferrer nofollow" }, words.open_page)),
    ];
  },
};

const day = (words, iso) => {
  const [year, month, date] = iso.split("-").map(Number);
  return fill(words.day, { year, month: words.months[month - 1], day: date });
};

// Quotes are found whatever their white space; what was reworded stays unmarked.
const marked = (text, quotes) => {
  const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const patterns = quotes.map((q) => q.trim().split(/\s+/).filter(Boolean).map(escaped).join("\\s+")).filter(Boolean);
  if (!patterns.length) return formatted(text);
  return text
    .split(new RegExp(`(${patterns.join("|")})`))
    .map((part, place) => (place % 2 ? h("mark", {}, formatted(part)) : formatted(part)));
};
