// The widget: a bubble, and the panel that it opens. All of it lives in a shadow root, so that the
// shop's styles and ours never meet; constructed style sheets pass a strict content policy.
const start = () => {
  const host = h("div", { id: "frontdesk" });
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];

  const given = (script.dataset.language || memory.get("language") || navigator.language).slice(0, 2).toLowerCase();
  let language = TEXTS[given] ? given : Object.keys(TEXTS)[0];
  let words = TEXTS[language];
  let shown = false;
  let unread = 0;

  const say = h("p", { class: "sr", role: "status" });
  const badge = h("span", { class: "badge", hidden: true });
  const bubble = h("button", { type: "button", class: "bubble", "aria-expanded": "false", "aria-controls": "panel", onclick: () => toggle() }, icon("chat"), badge);
  const head = h("header", {});
  const log = h("ol", { class: "log" });
  const live = h("div", { class: "live" });
  const status = h("div", { class: "status" });
  const scroller = h("div", { class: "scroller", tabindex: "0" }, log, live, status);
  const field = h("textarea", { rows: "1", maxlength: `${LIMIT}`, dir: "auto" });
  const button = h("button", { class: "send" });
  const form = h("form", { onsubmit: submit }, field, button);
  const note = h("p", { class: "note" });
  const dialog = h("dialog", { class: "sheet", "aria-labelledby": "sheet-title", onclick: (e) => e.target === dialog && dialog.close() });
  const panel = h("section", { id: "panel", class: "panel", hidden: true, role: "dialog" }, head, scroller, form, note, dialog);
  root.append(panel, bubble, say);

  const chat = new Chat(script.dataset.identity, language, () => render());
  chat.announce = (kind, text) => {
    if (!shown && ["message", "agent"].includes(kind)) unread += 1;
    const told = { waiting: words.waiting_title, agent: fill(words.agent_title, { name: chat.state.agent }), closed: words.closed_title };
    say.textContent = text ?? told[kind] ?? "";
  };

  function toggle(open = !shown) {
    shown = open;
    unread = 0;
    panel.hidden = !open;
    memory.set({ open });
    if (open) chat.restore().then(() => (field.focus(), toEnd()));
    else bubble.focus();
    render();
  }

  function submit(event) {
    event.preventDefault();
    if (chat.turn) return chat.stop();
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    fit();
    chat.send(text);
    toEnd();
  }

  field.addEventListener("input", fit);
  // A Chinese input method confirms a word with Enter: that must not send the message.
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    if (!chat.turn) form.requestSubmit();
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !dialog.open) toggle(false);
  });

  function fit() {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, 140)}px`;
  }
  const toEnd = () => scroller.scrollTo({ top: scroller.scrollHeight });
  const nearEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 160;

  const act = (label, run, look = "choice") =>
    h("button", { type: "button", class: look, onclick: () => Promise.resolve(run()).catch(() => (say.textContent = words.not_sent)) }, label);

  function open(message, source) {
    const own = (message.reply.sentences ?? []).filter((s) => s.evidence_id === source.evidence_id).map((s) => s.text);
    const opener = root.activeElement;
    dialog.replaceChildren(...view.passage(words, source, own.length ? own : [source.quote], () => dialog.close()).flat());
    dialog.addEventListener("close", () => opener?.focus(), { once: true });
    dialog.showModal();
    dialog.querySelector("mark")?.scrollIntoView({ block: "center" });
  }

  function rating(message, last) {
    const rate = (helpful, label, name) =>
      h("button", { type: "button", class: "quiet thumb", title: label, "aria-label": label, "aria-pressed": `${message.helpful === helpful}`,
        onclick: () => chat.rate(message, helpful).catch(() => {}) }, icon(name), helpful && last && h("span", {}, label));
    const why = message.helpful === false && !message.told &&
      h("form", { class: "why", onsubmit: (event) => {
        event.preventDefault();
        message.told = true;
        chat.rate(message, false, event.target.elements.reason.value.trim()).catch(() => {});
      } },
        h("input", { name: "reason", maxlength: "300", placeholder: words.reason_label, "aria-label": words.reason_label }),
        h("button", { class: "choice" }, words.send));
    const thanks = message.helpful === true ? words.thanks_up : message.helpful === false && message.told ? words.thanks_down : "";
    return h("div", { class: "rating" }, rate(true, words.helpful, "up"), rate(false, words.not_helpful, "down"),
      last && chat.state.state === "bot" && act(words.get_help, () => chat.person(), "quiet"),
      why, thanks && h("span", { class: "soft" }, thanks));
  }

  function message(item, last) {
    const by = { customer: words.you, assistant: words.assistant, agent: words.agent }[item.role];
    const { outcome, citations = [], choices = [], products = [], chips = [], sentences = [], explanation } = item.reply ?? {};
    const cited = outcome === "answer" && !products.length ? citations : [];
    const text = products.length ? item.text.split(`- ${sentences[0].text}`)[0].trimEnd() : item.text;
    return h("li", { class: `message ${item.role}` },
      item.role !== "customer" && view.mark(item.role === "agent" ? "person" : "bell"),
      h("div", { class: "body" },
        h("p", { class: "text", dir: "auto" }, h("span", { class: item.role === "agent" ? "by" : "sr" }, `${by}: `),
          item.role === "customer" ? text : formatted(text)),
        chips.length > 0 && h("div", { class: "chips", role: "group", "aria-label": words.filters },
          chips.map((chip) => h("button", { type: "button", class: "chip filter", "aria-label": fill(words.take_away, { what: chip.label }),
            onclick: () => chat.send(chip.says) }, chip.label, icon("close")))),
        products.length > 0 && h("ul", { class: "cards", "aria-label": words.products }, products.map(view.card)),
        cited.length > 0 && h("div", { class: "chips", role: "group", "aria-label": words.sources },
          cited.map((source, place) => view.chip(words, source, cited.length > 1 ? place + 1 : 0, (s) => open(item, s)))),
        last && choices.length > 0 && h("div", { class: "choices", role: "group", "aria-label": words.choices_label },
          choices.map((choice) => act(choice, () => chat.send(choice)))),
        last && outcome === "refuse" && chat.state.state === "bot" && h("div", { class: "choices" }, act(words.person, () => chat.person())),
        explanation && h("details", {}, h("summary", {}, words.why), h("p", { dir: "auto" }, explanation)),
        item.role === "assistant" && outcome !== "handoff" && item.id && rating(item, last)));
  }

  function welcome() {
    return h("li", { class: "welcome" }, view.mark("bell"), h("h2", {}, words.welcome_title),
      h("p", {}, fill(words.welcome_text, { shop: SHOP })),
      h("div", { class: "choices", role: "group", "aria-label": words.starters_label },
        words.starters.map((starter) => act(starter, () => chat.send(starter)))));
  }

  function contact() {
    const { contact: left } = chat.state;
    if (left) return h("p", {}, fill(words.email_kept, { email: left }));
    return h("form", { class: "why", onsubmit: (event) => {
      event.preventDefault();
      chat.contact(event.target.elements.email.value).catch(() => (say.textContent = words.not_sent));
    } },
      h("label", {}, words.email_label, h("input", { name: "email", type: "email", required: true, maxlength: "254", autocomplete: "email" })),
      h("button", { class: "choice" }, words.send));
  }

  function standing() {
    const { state, agent, waiting } = chat.state;
    if (chat.failed) return [h("p", { role: "alert" }, words.not_sent), act(words.try_again, () => chat.send(chat.failed.text, chat.failed.message_id))];
    if (state === "agent") return [h("strong", {}, fill(words.agent_title, { name: agent ?? words.agent })), h("p", {}, words.agent_text)];
    if (state === "closed") return [h("strong", {}, words.closed_title), act(words.reopen, () => chat.ask("/reopen")), act(words.new_chat, () => chat.forget() ?? render())];
    if (state !== "waiting") return [];
    const until = waiting?.opens && new Intl.DateTimeFormat(language, { weekday: "long", hour: "numeric", minute: "2-digit" }).format(waiting.opens * 1000);
    return [
      h("strong", {}, words.waiting_title), h("p", {}, words.waiting_text),
      until && h("p", {}, fill(words.away, { time: until })), until && contact(),
      !until && waiting && h("p", {}, fill(words.position, { n: waiting.position }), waiting.minutes ? ` ${fill(words.wait_about, { n: waiting.minutes })}` : ""),
      act(words.waiting_leave, () => chat.ask("/handoff", "DELETE")),
    ];
  }

  function download() {
    const names = { customer: words.you, assistant: words.assistant, agent: words.agent };
    const lines = chat.messages.map((m) => `${names[m.role]}: ${m.text}${(m.reply?.citations ?? []).map((c) => `\n  [${c.title}]`).join("")}`);
    const link = h("a", { href: URL.createObjectURL(new Blob([lines.join("\n\n")], { type: "text/plain" })), download: `${SHOP}.txt` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function speak(code) {
    language = code;
    words = TEXTS[code];
    chat.language = code;
    memory.set({ language: code });
    drawn = "";
    render();
  }

  function header() {
    const { state, agent } = chat.state;
    const others = Object.keys(TEXTS).filter((code) => code !== language);
    const person = state === "bot" || state === "closed"
      ? act([icon("person"), h("span", {}, words.person)], () => chat.person(), "person")
      : h("span", { class: "person on" }, icon("person"), h("span", {}, state === "agent" ? fill(words.person_here, { name: agent ?? words.agent }) : words.person_waiting));
    const menu = h("details", { class: "menu" }, h("summary", { class: "quiet", "aria-label": words.more }, icon("more")),
      h("div", {},
        others.map((code) => h("button", { type: "button", class: "quiet", lang: code, onclick: () => speak(code) }, TEXTS[code].language_name)),
        act(words.new_chat, () => chat.forget() ?? render(), "quiet"),
        chat.messages.length > 0 && act(words.download, download, "quiet"),
        chat.messages.length > 0 && act(words.delete_chat, async () => {
          if (!confirm(words.delete_sure)) return;
          await chat.erase();
          say.textContent = words.deleted;
        }, "quiet")));
    return [h("div", { class: "brand" }, h("h2", {}, SHOP), h("p", { class: "soft" }, words.brand_role)), person, menu,
      h("button", { type: "button", class: "quiet", "aria-label": words.close_chat, onclick: () => toggle(false) }, icon("close"))];
  }

  // Only what has changed is made anew, so that focus and opened parts stay.
  let drawn = "";
  const once = new Map();
  const put = (node, key, make) => {
    if (once.get(node) === key) return;
    once.set(node, key);
    node.replaceChildren(...make().flat().filter(Boolean));
  };
  function render() {
    const follow = nearEnd();
    const { state } = chat;
    bubble.setAttribute("aria-label", fill(shown ? words.close_chat : words.open_chat, { shop: SHOP }));
    bubble.setAttribute("aria-expanded", `${shown}`);
    badge.hidden = !unread;
    badge.textContent = unread;
    if (!shown) return;
    if (drawn !== language) {
      drawn = language;
      panel.lang = language;
      panel.dir = ["ar", "fa", "he", "ur"].includes(language) ? "rtl" : "ltr";
      panel.setAttribute("aria-label", fill(words.open_chat, { shop: SHOP }));
      log.setAttribute("aria-label", words.conversation);
      scroller.setAttribute("aria-label", words.conversation);
      scroller.setAttribute("role", "region");
      field.placeholder = words.placeholder;
      field.setAttribute("aria-label", words.message_label);
      note.textContent = fill(words.composer_note, { shop: SHOP });
    }
    const standingNow = JSON.stringify([language, state]);
    put(head, standingNow + chat.messages.length, header);
    const lastReply = chat.messages.findLast((m) => m.role === "assistant");
    put(log, JSON.stringify([language, state.state, chat.messages, chat.turn && 1]), () =>
      chat.messages.length || !chat.loaded
        ? chat.messages.map((m) => message(m, m === lastReply && m === chat.messages.at(-1) && !chat.turn))
        : [welcome()]);
    put(live, JSON.stringify([language, chat.turn]), () =>
      chat.turn
        ? [h("div", { class: "message assistant" }, view.mark("bell"), h("div", { class: "body" },
            chat.turn.sentences.length > 0 && h("p", { class: "text", dir: "auto" }, chat.turn.sentences.map((s) => h("span", { class: "sentence" }, formatted(s)))),
            view.stage(words, chat.turn.stage)))]
        : []);
    put(status, standingNow + !!chat.failed + JSON.stringify(chat.state.waiting ?? 0), () => standing());
    const stopping = Boolean(chat.turn);
    put(button, `${stopping}${language}`, () => [icon(stopping ? "stop" : "send")]);
    button.setAttribute("aria-label", stopping ? words.stop : words.send);
    button.title = stopping ? words.stop : words.send;
    if (follow) toEnd();
  }

  document.body.append(host);
  render();
  if (memory.get("open") || "open" in script.dataset) toggle(true);
};

if (document.body) start();
else addEventListener("DOMContentLoaded", start, { once: true });
