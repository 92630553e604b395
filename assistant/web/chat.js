// Behaviour of the chat page. Gradio runs this for each part of it: `element` is the part, and
// `trigger` sends an event to Python. All HTML is made by the server.
const RESEND_MS = 8000;
const DRAFT = "frontdesk-draft"; // Gradio loads the page again after a lost connection
const act = (detail) => trigger("act", detail);
const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

element.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) return window.frontdesk.openPassage(opener);
  const downloader = event.target.closest("[data-download]");
  if (downloader) return window.frontdesk.download(downloader.dataset.download);
  const button = event.target.closest("button[data-act]");
  if (!button || (button.dataset.sure && !confirm(button.dataset.sure))) return;
  const { act: name, sure, ...detail } = button.dataset;
  if (name === "ask") window.frontdesk.send(detail.value, detail.id, act);
  else act({ act: name, ...detail });
  if (name === "new" || name === "ask") document.getElementById("fd-text").focus();
});

element.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const { act: name, ...detail } = form.dataset;
  const field = form.elements.value;
  const value = field.value.trim();
  if (!value) return;
  if (name !== "ask") return act({ act: name, message: detail.message, value });
  if (!window.frontdesk.send(value, "", act)) return;
  field.value = "";
  window.frontdesk.fit(field);
  sessionStorage.removeItem(DRAFT);
});

// A Chinese input method confirms a word with Enter: that must not send the message.
element.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  if (event.target.id !== "fd-text") return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

element.addEventListener("input", (event) => {
  if (event.target.id !== "fd-text") return;
  window.frontdesk.fit(event.target);
  sessionStorage.setItem(DRAFT, event.target.value);
});

window.frontdesk ??= (() => {
  const part = (id) => document.getElementById(id);
  const busy = () => Boolean(part("fd-live")?.querySelector(".fd-live"));

  const fit = (field) => {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, 160)}px`;
  };

  // Shown at once, before the server has the message; its first answer takes this place. The
  // text comes back into the field when there is no such sign.
  let unsent = null;
  const send = (value, knownId, act) => {
    if (busy()) return false;
    const id = knownId || (unsent?.value === value ? unsent.id : newId());
    unsent = { id, value };
    const composer = document.querySelector(".fd-composer");
    const pending = composer.querySelector(".fd-pending > .fd-live").cloneNode(true);
    pending.dataset.pending = "";
    pending.querySelector(".fd-customer .fd-said").textContent = value;
    window.frontdesk.live.replaceChildren(pending);
    composer.querySelector(".fd-failed").hidden = true;
    act({ act: "ask", value, id });
    setTimeout(() => unsent?.id === id && giveBack(composer), RESEND_MS);
    return true;
  };
  const giveBack = (composer) => {
    window.frontdesk.live.replaceChildren();
    composer.querySelector(".fd-failed").hidden = false;
    const field = composer.elements.value;
    field.value ||= unsent.value;
    fit(field);
    sessionStorage.setItem(DRAFT, field.value);
  };

  const sheet = document.createElement("dialog");
  sheet.className = "fd-sheet";
  sheet.setAttribute("aria-labelledby", "fd-sheet-title");
  document.body.append(sheet);
  sheet.addEventListener("click", (event) => {
    if (event.target === sheet || event.target.closest("[data-close]")) sheet.close();
  });
  const openPassage = (opener) => {
    sheet.innerHTML = part(opener.dataset.open).innerHTML;
    sheet.lang = document.documentElement.lang;
    sheet.showModal();
    sheet.querySelector("mark")?.scrollIntoView({ block: "center" });
    sheet.addEventListener("close", () => opener.focus(), { once: true });
  };

  // What was said, as plain text with the titles of the sources.
  const download = (shop) => {
    const lines = [...document.querySelectorAll("#fd-transcript .fd-message")].map((message) => {
      const titles = [...message.querySelectorAll(".fd-chip-title")].map((title) => `\n  [${title.textContent.trim()}]`);
      return message.querySelector(".fd-text").textContent.trim() + titles.join("");
    });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\n\n")], { type: "text/plain" }));
    link.download = `${shop}.txt`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  const tellTimes = () => {
    const style = { weekday: "long", hour: "numeric", minute: "2-digit" };
    for (const node of document.querySelectorAll("time[data-opens]:empty")) {
      node.textContent = new Intl.DateTimeFormat(document.documentElement.lang, style).format(node.dataset.opens * 1000);
    }
  };

  const nearEnd = () => innerHeight + scrollY > document.documentElement.scrollHeight - 240;
  const toEnd = (behavior) => scrollTo({ top: document.documentElement.scrollHeight, behavior });
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let shown = 0;
  let restored = false;
  const follow = () => {
    const field = part("fd-text");
    if (field && !restored) {
      restored = true;
      field.value = sessionStorage.getItem(DRAFT) ?? "";
      fit(field);
    }
    const bar = document.querySelector(".fd-bar[data-language]");
    if (bar) {
      document.documentElement.lang = bar.dataset.language;
      document.title = bar.dataset.title;
    }
    if (part("fd-live")?.querySelector(".fd-live:not([data-pending])")) unsent = null;
    tellTimes();
    const count = document.querySelectorAll(".fd-message").length;
    if (count > shown || nearEnd()) toEnd(shown === 0 || calm.matches ? "instant" : "smooth");
    shown = count;
  };
  new MutationObserver(follow).observe(document.body, { childList: true, subtree: true });

  return { fit, send, download, openPassage, live: null };
})();
if (element.closest("#fd-live")) window.frontdesk.live = element;
