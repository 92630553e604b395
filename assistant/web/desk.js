// Behaviour of the agents' page alone; comes after staff.js, and does its work once.
window.frontdeskDesk ??= (() => {
  const part = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const sheet = () => document.querySelector("dialog.sd-sheet[open]");
  // A Chinese input method confirms and cancels words with keys that are not meant for the page.
  const composing = (event) => event.isComposing || event.keyCode === 229;

  // A sheet that is made anew while it is open stays open.
  let open = "";
  const show = (id) => {
    open = id;
    if (!part(id).open) part(id).showModal();
  };
  const shut = () => {
    open = "";
    sheet()?.close();
  };
  document.addEventListener("close", ({ target }) => {
    if (target.matches(".sd-sheet") && target.isConnected) open = "";
  }, true);

  // Writing to the customer, or to colleagues alone.
  let mode = "reply";
  const write = (wanted) => {
    mode = wanted;
    const choice = part(`sd-mode-${mode}`);
    if (choice) choice.checked = true;
    if (part("sd-noting")) part("sd-noting").open = true;
    const field = part(mode === "note" ? "sd-note" : "sd-text");
    field?.focus();
    return Boolean(field);
  };
  document.addEventListener("change", ({ target }) => {
    if (target.name === "sd-mode") mode = target.value;
  });

  // The canned replies: a combobox over a list that the server has made.
  const choices = () => all("#sd-canned-list [role=option]:not([hidden])");
  const choose = (option) => {
    for (const other of all("#sd-canned-list [role=option]")) {
      other.setAttribute("aria-selected", String(other === option));
    }
    part("sd-canned-find").setAttribute("aria-activedescendant", option?.id ?? "");
    option?.scrollIntoView({ block: "nearest" });
  };
  const filter = () => {
    const wanted = part("sd-canned-find").value.trim().replace(/^\//, "").toLowerCase();
    for (const option of all("#sd-canned-list [role=option]")) {
      option.hidden = !option.textContent.toLowerCase().includes(wanted);
    }
    // A shortcut that begins so is meant rather than a text that holds it.
    const begins = choices().find((o) => o.textContent.toLowerCase().startsWith(`/${wanted}`));
    choose(begins ?? choices()[0]);
    part("sd-canned-none").hidden = choices().length > 0;
  };
  const openCanned = () => {
    if (!part("sd-canned")) return false;
    write("reply");
    part("sd-canned").hidden = false;
    part("sd-canned-find").value = "";
    filter();
    part("sd-canned-find").focus();
    return true;
  };
  const closeCanned = () => {
    if (!part("sd-canned") || part("sd-canned").hidden) return false;
    part("sd-canned").hidden = true;
    part("sd-text").focus();
    return true;
  };
  const insertCanned = (option) => {
    if (!option) return;
    closeCanned();
    window.frontdeskStaff.put(part("sd-text"), option.dataset.text);
  };
  const inCanned = (event) => {
    const shown = choices();
    const chosen = shown.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown") choose(shown[(chosen + 1) % shown.length]);
    else if (event.key === "ArrowUp") choose(shown.at(chosen > 0 ? chosen - 1 : -1));
    else if (event.key === "Enter") insertCanned(shown[chosen]);
    else return;
    event.preventDefault();
  };
  document.addEventListener("input", (event) => {
    if (event.target.id === "sd-canned-find") filter();
    // With Chinese punctuation the key of the slash writes 、
    if (event.target.id === "sd-text" && ["/", "、", "／"].includes(event.target.value) && !composing(event)) {
      event.target.value = "";
      window.frontdeskStaff.keepDraft(event.target);
      openCanned();
    }
  });

  const buttons = {
    help: () => show("sd-help"),
    manage: () => show("sd-canned-sheet"),
    canned: openCanned,
    shut,
    draft: () => {
      part("sd-canned-text-new").value = part("sd-text")?.value ?? "";
      part("sd-canned-text-new").focus();
    },
  };
  document.addEventListener("click", ({ target }) => {
    const option = target.closest("#sd-canned-list [role=option]");
    if (option) insertCanned(option);
    const button = target.closest("[data-desk]");
    if (button) buttons[button.dataset.desk]();
    if (target === sheet()) shut(); // beside the sheet
  });

  // What keys do, by the names in the help sheet, which says which keys there are. An action that
  // gives false leaves the key to the browser.
  const move = (step) => {
    const rows = all(".sd-row");
    const current = document.activeElement.closest(".sd-row") ?? document.querySelector(".sd-row[aria-current]");
    const next = rows[rows.indexOf(current) + step] ?? current ?? rows[0];
    next?.focus();
    return Boolean(next);
  };
  const press = (selector) => {
    const button = document.querySelector(selector);
    button?.click();
    return Boolean(button);
  };
  const does = {
    next: () => move(1),
    previous: () => move(-1),
    open: (event) => {
      const row = event.target.closest(".sd-row");
      row?.click();
      return Boolean(row);
    },
    take: () => press('.sd-reply [data-act="take"]'),
    reply: () => Boolean(part("sd-text")) && write("reply"),
    note: () => write("note"),
    canned: openCanned,
    search: () => {
      part("sd-search").focus();
      part("sd-search").select();
      return true;
    },
    help: () => {
      show("sd-help");
      return true;
    },
    close: ({ target }) => {
      if (sheet()) return shut() ?? true;
      if (closeCanned()) return true;
      const typing = target.matches("input, textarea, select");
      if (typing) target.blur();
      if (typing && target.id !== "sd-search") return true;
      if (typing) target.value = "";
      return press("#sd-search-end") || typing;
    },
  };
  document.addEventListener("keydown", (event) => {
    if (composing(event) || event.defaultPrevented || !part("sd-help")) return;
    if (event.target.id === "sd-canned-find") inCanned(event);
    const altGraph = event.getModifierState("AltGraph"); // writes "/" or "?" on some layouts
    const held = !altGraph && (event.ctrlKey || event.metaKey);
    if (event.defaultPrevented || (event.altKey && !altGraph)) return;
    const key = all("#sd-help [data-key]").find(
      ({ dataset }) => dataset.key.toLowerCase() === event.key.toLowerCase() && "ctrl" in dataset === held,
    )?.dataset.does;
    const typing = event.target.matches("input:not([type=radio]), textarea, select, [contenteditable]");
    if (!key || (key !== "close" && (sheet() || (typing && !held)))) return;
    if (does[key](event)) event.preventDefault();
  });

  let conversation = "";
  const settle = () => {
    const now = document.querySelector(".sd-reply")?.dataset.conversation ?? "";
    if (now !== conversation) mode = "reply";
    conversation = now;
    if (open && part(open) && !part(open).open) part(open).showModal();
    const choice = part(`sd-mode-${mode}`);
    if (choice && !choice.checked) choice.checked = true;
  };
  new MutationObserver(settle).observe(document.body, { childList: true, subtree: true });
  return { show, shut };
})();
