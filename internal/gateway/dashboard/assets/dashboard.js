// Every page works without this file. With it, times are shown in the reader's
// own zone, a text is copied by a button, a list follows what is new, and a form
// is sent once.
(() => {
  "use strict";

  const locale = document.documentElement.lang || "en";
  const thisYear = new Date().getFullYear();
  const near = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
  const far = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

  const localTimes = (root) => {
    for (const t of root.querySelectorAll("time[datetime]:not([title])")) {
      const at = new Date(t.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      t.title = t.textContent;
      t.textContent = (at.getFullYear() === thisYear ? near : far).format(at);
    }
  };

  const copyButtons = (root) => {
    for (const b of root.querySelectorAll("button[data-copy][hidden]")) b.hidden = !navigator.clipboard;
  };

  const dress = (root) => {
    localTimes(root);
    copyButtons(root);
  };

  document.addEventListener("click", async (e) => {
    const b = e.target.closest("button[data-copy]");
    if (!b) return;
    const input = document.getElementById(b.dataset.copy);
    input.select();
    await navigator.clipboard.writeText(input.value);
    const words = b.querySelector("span");
    b.dataset.word ??= words.textContent;
    words.textContent = b.dataset.done;
    clearTimeout(b.timer);
    b.timer = setTimeout(() => { words.textContent = b.dataset.word; }, 2000);
  });

  // A form is sent once; a page that the back button brings again may send again:
  // its attempt makes that harmless.
  document.addEventListener("submit", (e) => {
    const form = e.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) return e.preventDefault();
    form.dataset.sent = "1";
    for (const b of form.querySelectorAll("button[type=submit]")) b.setAttribute("aria-disabled", "true");
  });
  addEventListener("pageshow", (e) => {
    if (!e.persisted) return;
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const b of form.querySelectorAll("button[aria-disabled]")) b.removeAttribute("aria-disabled");
    }
  });

  new MutationObserver((changes) => {
    for (const c of changes) for (const n of c.addedNodes) if (n.nodeType === 1) dress(n.parentElement || n);
  }).observe(document.body, { childList: true, subtree: true });

  dress(document);
  document.getElementById("errors")?.focus();
})();
