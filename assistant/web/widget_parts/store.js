// What the browser keeps, in the shop's own storage: cookies of other sites may be blocked.
const KEPT = `frontdesk ${ORIGIN}`;
const memory = (() => {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {};
  } catch {} // storage is switched off, or holds something else: begin anew
  return {
    get: (key) => kept[key],
    set: (values) => {
      kept = { ...kept, ...values };
      try {
        localStorage.setItem(KEPT, JSON.stringify(kept));
      } catch {}
    },
  };
})();
