// Behaviour of the staff's pages. Gradio runs this for each part (`element` is the part, `trigger`
// sends an event to Python); all HTML is made by the server.
const act = (detail) => trigger("act", detail);

element.addEventListener("click", (event) => {
  const inserter = event.target.closest("[data-insert]");
  if (inserter) return window.frontdeskStaff.insert(inserter.dataset.insert);
  const button = event.target.closest("button[data-act]");
  if (!button || (button.dataset.sure && !confirm(button.dataset.sure))) return;
  const { sure, focus, ...detail } = button.dataset;
  act(detail);
  if (focus) document.getElementById(focus).focus(); // who turns a page reads on at its top
});

element.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form) return; // log-out and language are ordinary forms
  event.preventDefault();
  if ("whole" in form.dataset) {
    const { whole, ...detail } = form.dataset;
    return act({ ...detail, ...Object.fromEntries(new FormData(form)) });
  }
  const field = form.elements.value;
  const value = field.value.trim();
  if (!value) return;
  act({ ...form.dataset, value });
  field.value = "";
  window.frontdeskStaff.keepDraft(field);
});

// A Chinese input method confirms a word with Enter: that must not send the message.
element.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  if (!event.target.dataset.draft) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

element.addEventListener("input", (event) => {
  if (event.target.dataset.draft) window.frontdeskStaff.keepDraft(event.target);
});

element.addEventListener("change", (event) => {
  if (event.target.id === "sd-files") window.frontdeskStaff.upload(event.target, act);
  if (event.target.dataset.into) window.frontdeskStaff.read(event.target);
});
element.addEventListener("dragover", (event) => {
  if (event.target.closest(".sd-drop")) event.preventDefault();
});
element.addEventListener("drop", (event) => {
  const zone = event.target.closest(".sd-drop");
  if (!zone) return;
  event.preventDefault();
  const field = zone.querySelector("input[type=file]");
  field.files = event.dataTransfer.files;
  window.frontdeskStaff.upload(field, act);
});

window.frontdeskStaff ??= (() => {
  const part = (id) => document.getElementById(id);
  // The page's language, in the form of it that the browser prefers (en-GB tells times by 24 h).
  const language = () => {
    const code = document.documentElement.lang || "en";
    return navigator.languages.find((own) => own.split("-")[0] === code) ?? code;
  };

  // A session that is over sends the page to the log-in, instead of failing at every poll.
  const fetchBefore = window.fetch;
  window.fetch = async (...request) => {
    const response = await fetchBefore(...request);
    if (response.status === 401) location.reload();
    return response;
  };

  // Drafts live as long as the tab, one a field and conversation (`data-draft`). The server hears
  // of those in which a suggestion was inserted, until all of the draft is deleted.
  const drafts = new Map();
  const keepDraft = (field) => {
    if (!field.dataset.draft) return;
    if (!field.value.trim()) delete field.form.dataset.inserted;
    drafts.set(field.dataset.draft, { text: field.value, inserted: field.form.dataset.inserted });
  };
  const put = (field, text) => {
    field.value = [field.value.trim(), text.trim()].filter(Boolean).join("\n");
    keepDraft(field);
    field.focus();
  };
  const insert = (id) => {
    const field = part("sd-text");
    field.form.dataset.inserted = "";
    put(field, part(id).textContent);
  };
  const restoreDraft = (field) => {
    const draft = drafts.get(field.dataset.draft);
    if (field.value || !draft?.text) return;
    field.value = draft.text;
    if (draft.inserted !== undefined) field.form.dataset.inserted = draft.inserted;
  };

  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const duration = (seconds) => {
    const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? UNITS[3];
    const style = { style: "unit", unit, unitDisplay: "short" };
    return new Intl.NumberFormat(language(), style).format(Math.max(0, Math.floor(seconds / size)));
  };
  const moment = (seconds) => {
    const date = new Date(seconds * 1000);
    const today = date.toDateString() === new Date().toDateString();
    const style = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
    return new Intl.DateTimeFormat(language(), style).format(date);
  };
  const write = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };
  const tellTimes = () => {
    for (const node of document.querySelectorAll("time[data-at]")) write(node, moment(+node.dataset.at));
    for (const node of document.querySelectorAll("time[data-since]")) {
      write(node, duration(Date.now() / 1000 - node.dataset.since));
    }
  };
  setInterval(tellTimes, 5000);

  // A part that is made anew keeps what was opened in it, the focus, and its place.
  const opened = new Map();
  document.addEventListener("toggle", ({ target }) => {
    if (target.id && target.tagName === "DETAILS") opened.set(target.id, target.open);
  }, true);
  let focused = null;
  document.addEventListener("focusin", ({ target }) => {
    const row = target.closest?.(".sd-row");
    const id = row ? `.sd-row[data-id="${CSS.escape(row.dataset.id)}"]` : target.id && `#${CSS.escape(target.id)}`;
    focused = id ? { node: row ?? target, id } : null;
  });

  // Whoever takes a conversation over wants to write next.
  let taken = "";
  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.('[data-act="take"]');
    if (button) taken = button.dataset.id;
  }, true);

  let arrived = null;
  let shown = { conversation: "", messages: 0 };
  const settle = () => {
    const bar = document.querySelector(".fd-bar[data-language]");
    if (bar) {
      const waiting = +(document.querySelector(".sd-queue")?.dataset.waiting ?? 0);
      document.documentElement.lang = bar.dataset.language;
      const title = waiting ? `(${waiting}) ${bar.dataset.title}` : bar.dataset.title;
      if (document.title !== title) document.title = title;
    }
    tellTimes();
    for (const [id, open] of opened) {
      const details = part(id);
      if (details && details.open !== open) details.open = open;
    }
    if (focused && !focused.node.isConnected && document.activeElement === document.body) {
      document.querySelector(focused.id)?.focus();
    }
    document.querySelectorAll("[data-draft]").forEach(restoreDraft);
    // What has to be read at once gets the focus when it appears.
    const next = document.querySelector("[data-next]");
    if (next && next !== arrived) next.focus();
    arrived = next;
    const field = part("sd-text");
    if (field && field.form.dataset.id === taken) {
      taken = "";
      field.focus();
    }
    const thread = document.querySelector(".sd-thread");
    if (!thread) return;
    const now = { conversation: thread.dataset.id, messages: thread.querySelectorAll(".fd-message").length };
    if (now.conversation !== shown.conversation || now.messages > shown.messages) {
      const scroller = thread.closest("#fd-thread");
      // Who waits is met from the start: there is the card of the hand-off.
      const fromStart = "fromStart" in thread.dataset && now.conversation !== shown.conversation;
      scroller.scrollTop = fromStart ? 0 : scroller.scrollHeight;
    }
    shown = now;
  };
  new MutationObserver(settle).observe(document.body, { childList: true, subtree: true });

  // Documents go to our own route as they are, one after the other, each with its progress.
  const uploadOne = (file, field, line) =>
    new Promise((resolve) => {
      const words = field.dataset;
      const say = (text) => write(line, `${file.name} ${text}`);
      if (file.size > +words.max) return say(words.tooLarge), resolve(false);
      const request = new XMLHttpRequest();
      request.upload.onprogress = ({ loaded, total }) =>
        say(`· ${words.working} ${Math.floor((100 * loaded) / (total || 1))} %`);
      request.onload = () => {
        if (request.status === 401) return location.reload();
        const answer = (() => { try { return JSON.parse(request.response); } catch { return {}; } })();
        const kept = request.status < 300;
        say(`· ${kept ? (answer.replaced ? words.replaced : words.done) : answer.error ?? words.failed}`);
        resolve(kept);
      };
      request.onerror = () => (say(words.failed), resolve(false));
      request.open("PUT", `/operator/uploads?name=${encodeURIComponent(file.name)}`);
      request.send(file);
    });
  const upload = async (field, act) => {
    const log = part("sd-uploading");
    const files = [...field.files];
    let kept = 0;
    log.replaceChildren();
    for (const file of files) {
      const line = log.appendChild(document.createElement("li"));
      if (await uploadOne(file, field, line)) kept += 1;
    }
    field.value = "";
    act({ act: kept ? "uploaded" : "look" }); // what it would change is looked up at once
  };

  // A file of questions is read here, into the field where they can be looked at before.
  const read = async (field) => {
    const [file] = field.files;
    const tooLarge = file && file.size > +field.dataset.max;
    field.setCustomValidity(tooLarge ? field.dataset.tooLarge : "");
    if (field.reportValidity() && file) part(field.dataset.into).value = await file.text();
  };

  return { insert, keepDraft, put, read, upload };
})();
