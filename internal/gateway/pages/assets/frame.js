// Speaks with the page that frames us, once it has proved to be one of the form's
// origins: it greets, the browser vouches for its origin, and only that origin is
// answered. What is said is where the payment stands; never what was typed.
(() => {
  "use strict";
  if (window.parent === window) return;
  document.documentElement.classList.add("framed");
  const me = document.currentScript.dataset;
  const allowed = me.origins.split(" ");
  let origin = "";
  let told = "";

  const say = (type, more) => {
    if (origin) parent.postMessage({ paylink: 1, form: me.form, type, ...more }, origin);
  };

  const size = () => say("resize", { height: document.documentElement.getBoundingClientRect().height });

  const kinds = { succeeded: "success", authorized: "success", declined: "declined", canceled: "declined",
    processing: "pending", unknown: "pending", requires_action: "pending", late: "pending", review: "pending" };

  const outcome = () => {
    const main = document.querySelector("main[data-payment]");
    if (!main || !origin) return;
    const { payment, state, result, redirect, code } = main.dataset;
    const type = kinds[state];
    if (!payment || !type || told === payment + state) return;
    told = payment + state;
    say(type, type === "success" ? { payment, status: state, result, redirect } : { payment, status: state, code });
  };

  addEventListener("message", (e) => {
    if (e.source !== parent || !allowed.includes(e.origin)) return;
    if (!e.data || e.data.paylink !== 1 || e.data.type !== "hello" || e.data.form !== me.form) return;
    origin = e.origin;
    size();
    outcome();
  });

  new ResizeObserver(size).observe(document.documentElement);
  new MutationObserver(outcome).observe(document.body, { childList: true, subtree: true });

  // An overlay cannot read what is typed here, but it can make a payer press what
  // they do not see. Where the browser tells whether the button is really seen
  // (IntersectionObserver, version 2), a press is taken only then; elsewhere the
  // frame must at least be large enough to be read.
  const button = document.querySelector("form.guarded button[type=submit], #pay button[type=submit]");
  if (!button) return;
  let seen = true;
  if ("IntersectionObserverEntry" in window && "isVisible" in IntersectionObserverEntry.prototype) {
    new IntersectionObserver((list) => {
      const last = list[list.length - 1];
      seen = !last.isIntersecting || last.isVisible;
    }, { threshold: [0, 0.5, 1], trackVisibility: true, delay: 100 }).observe(button);
  }
  button.form.addEventListener("submit", (e) => {
    if (seen && innerWidth >= 200 && innerHeight >= 120) return;
    e.preventDefault();
    e.stopImmediatePropagation();
    const note = document.getElementById("covered");
    if (note) {
      note.hidden = false;
      note.querySelector("a").href = location.href;
    }
    size();
  }, true);
})();
