// Every page works without this file. With it, times are short, in the zone of the
// page, a text is copied by a button, a list follows what is new, and a form
// is sent once.
(() => {
  "use strict";

  const locale = document.documentElement.lang || "en";
  const thisYear = new Date().getFullYear();
  const format = (parts) => {
    try {
      return new Intl.DateTimeFormat(locale, { ...parts, timeZone: document.documentElement.dataset.zone });
    } catch {
      return null; // a zone that this browser does not know: the page's own words stay
    }
  };
  const near = format({ month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
  const far = format({ dateStyle: "medium", timeStyle: "short" });

  // The browser's zone becomes the account's where none was chosen.
  const guessZone = (root) => {
    for (const i of root.querySelectorAll("input[data-zone-guess]")) i.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  };

  const localTimes = (root) => {
    for (const t of root.querySelectorAll("time[datetime]:not([title])")) {
      const at = new Date(t.dateTime);
      if (Number.isNaN(at.getTime()) || !near || !far) continue;
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
    guessZone(root);
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

  // A form that shows itself in a frame does so while it is typed.
  document.addEventListener("input", (e) => {
    const form = e.target.form;
    if (!form || !form.dataset.preview) return;
    clearTimeout(form.timer);
    form.timer = setTimeout(() => {
      const frame = document.querySelector(`iframe[name="${form.dataset.frame}"]`);
      const values = new URLSearchParams(new FormData(form));
      // An address must not contain a card number, which the form is refused for.
      for (const [name, value] of [...values]) {
        if (/\p{Nd}([^\p{L}\p{Nd}\n]{0,3}\p{Nd}){11}/u.test(value)) values.delete(name);
      }
      frame.contentWindow.location.replace(form.dataset.preview + "?" + values);
    }, 300);
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

  // In a queue keys act on the row that has the focus, and nowhere else (WCAG 2.1.4).
  document.addEventListener("keydown", (e) => {
    const row = e.target.closest("[data-keys] tbody tr");
    if (!row || e.ctrlKey || e.metaKey || e.altKey || !/^[a-z]$/i.test(e.key)) return;
    const key = e.key.toLowerCase();
    const to = key === "j" ? row.nextElementSibling?.querySelector("a") :
      key === "k" ? row.previousElementSibling?.querySelector("a") : null;
    if (to) to.focus();
    else row.querySelector(`a[data-key="${key}"]`)?.click();
  });

  // A table's CSV streams in with the count of its rows. It is kept only when it came
  // whole: the server cuts the connection of a file that it cannot finish.
  const count = new Intl.NumberFormat(locale);

  const rowCounter = () => {
    let quoted = false, ends = 0;
    return (bytes) => {
      for (const b of bytes) {
        if (b === 34) quoted = !quoted;
        else if (b === 10 && !quoted) ends++;
      }
      return Math.max(ends - 1, 0); // the first line is the heading
    };
  };

  const download = async (link) => {
    const words = link.dataset.csv;
    const box = document.createElement("span");
    box.className = "csvbar";
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", words);
    const said = document.createElement("span");
    said.setAttribute("role", "status");
    box.append(bar, said);
    link.after(box);
    link.hidden = true;
    try {
      const answer = await fetch(link.href, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok || !(answer.headers.get("Content-Type") || "").startsWith("text/csv")) throw new Error("no table");
      const rows = rowCounter(), parts = [], reader = answer.body.getReader();
      for (let told = 0; ;) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        const n = rows(value);
        if (performance.now() - told > 200) {
          told = performance.now();
          said.textContent = `${words}: ${count.format(n)}`;
        }
      }
      const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") || "");
      const save = document.createElement("a");
      save.href = URL.createObjectURL(new Blob(parts, { type: "text/csv;charset=utf-8" }));
      save.download = name ? name[1] : "table.csv";
      save.click();
      setTimeout(() => URL.revokeObjectURL(save.href), 60000);
      box.remove();
    } catch {
      bar.remove();
      said.className = "error";
      said.textContent = link.dataset.failed;
    }
    link.hidden = false;
    link.focus();
  };

  document.addEventListener("click", (e) => {
    const link = e.target.closest("a[data-csv]");
    if (!link || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    const old = link.nextElementSibling;
    if (old?.classList.contains("csvbar")) old.remove();
    download(link);
  });

  new MutationObserver((changes) => {
    for (const c of changes) for (const n of c.addedNodes) if (n.nodeType === 1) dress(n.parentElement || n);
  }).observe(document.body, { childList: true, subtree: true });

  dress(document);
  document.getElementById("errors")?.focus();
})();
