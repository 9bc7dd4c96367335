// Everything works without this file. With it, digits are grouped while they are
// typed, times are shown in the payer's own zone, a form is sent once, with a proof of
// work where one is wanted, the payee can count who came and who began to type, the status page follows the payment
// live, and a page that the browser kept is loaded anew.
(() => {
  "use strict";

  // Arabic by itself is written with the digits 0 to 9, as on the server.
  const lang = document.documentElement.lang;
  const locale = lang === "ar" ? "ar-u-nu-latn" : lang;

  const localTimes = (root) => {
    for (const t of root.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      t.title = t.textContent;
      t.textContent = new Intl.DateTimeFormat(locale, {
        day: "numeric", month: "long", year: "numeric",
        hour: "numeric", minute: "2-digit", timeZoneName: "short",
      }).format(at);
    }
  };

  // regroup shows what shape makes of what is typed, with the caret after the same
  // digit. A shape adds and removes what stands between digits, and nothing else; what it
  // does not fully understand it gives back as it is, because the server reads more
  // spellings than it does. testdata/typed.json holds both to one table.
  const regroup = (input, shape) => {
    const apply = () => {
      const typed = input.value, caret = input.selectionStart, atEnd = caret === typed.length;
      const shaped = shape(typed, atEnd);
      if (shaped === typed) return;
      input.value = shaped;
      if (atEnd) return;
      const before = typed.slice(0, caret).replace(/\D/g, "").length;
      let pos = 0;
      for (let seen = 0; pos < shaped.length && seen < before; pos++) {
        if (/\d/.test(shaped[pos])) seen++;
      }
      input.setSelectionRange(pos, pos);
    };
    input.addEventListener("input", (e) => {
      if (!e.isComposing && !(e.inputType || "").startsWith("delete")) apply();
    });
    input.addEventListener("blur", apply);
  };

  const cardShape = (typed) => {
    const d = typed.replace(/[\s-]/g, "");
    if (/\D/.test(d) || d.length > 19) return typed;
    return /^3[47]/.test(d) && d.length <= 15
      ? d.replace(/^(\d{4})(\d{1,6})?(\d{1,5})?$/, (_, a, b, c) => [a, b, c].filter(Boolean).join(" "))
      : d.replace(/(\d{4})(?=\d)/g, "$1 ");
  };

  // expiryShape sets month and year apart when digits alone were typed and can be
  // nothing else: 123 is the beginning of 12/31, and January 2023.
  const expiryShape = (typed, atEnd) => {
    if (!atEnd) return typed;
    if (/^12 \/ 0\d\d$/.test(typed)) return "1 / 2" + typed.slice(5); // 12031, which was 12 / 03 before its last digit
    if (/^0[1-9]\d{1,4}$|^1[0-2](\d\d|\d{4})$/.test(typed)) return typed.slice(0, 2) + " / " + typed.slice(2);
    if (/^[1-9]20\d\d$/.test(typed)) return typed[0] + " / " + typed.slice(1);
    return typed;
  };

  // tell says once that the page was in view, and once that somebody types: two
  // counts of a link, without a name, a cookie or an answer.
  const tell = (form) => {
    const said = (step) => fetch(form.action.replace(/payments$/, "seen"),
      { method: "POST", body: step, credentials: "omit", keepalive: true }).catch(() => {});
    const seen = () => {
      if (document.visibilityState !== "visible") return;
      document.removeEventListener("visibilitychange", seen);
      said("opened");
    };
    document.addEventListener("visibilitychange", seen);
    if (document.readyState === "complete") seen(); else addEventListener("load", seen, { once: true });
    form.addEventListener("input", () => said("started"), { once: true });
  };

  // prove asks whether work is wanted before this attempt is sent, and has a worker do
  // it. Whatever goes wrong, the form is sent without: then the bank asks the payer.
  const prove = async (form) => {
    const name = form.elements.namedItem("attempt").value, stop = new AbortController();
    setTimeout(() => stop.abort(), 4000);
    const answer = await fetch(form.action.replace(/payments$/, "challenge?attempt=") + name, { credentials: "omit", signal: stop.signal });
    const { seed, bits } = await answer.json();
    if (!bits) return;
    const told = document.getElementById("proof"), bar = told.nextElementSibling;
    told.textContent = told.dataset.words;
    bar.hidden = false;
    form.elements.namedItem("proof").value = await new Promise((done, fail) => {
      const worker = new Worker(told.dataset.solve);
      worker.onerror = fail;
      worker.onmessage = ({ data }) => data.proof ? done(data.proof) : bar.value = data.part;
      worker.postMessage({ seed, bits });
      setTimeout(fail, 60000);
    });
  };

  const payForm = (form) => {
    tell(form);
    const number = form.elements.namedItem("number");
    if (number) regroup(number, cardShape);
    const exp = form.elements.namedItem("exp");
    if (exp) regroup(exp, expiryShape);
    const cvc = form.elements.namedItem("cvc");
    const button = form.querySelector("button[type=submit]");
    let sent = false;
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      if (sent) return;
      sent = true;
      button.setAttribute("aria-disabled", "true");
      button.textContent = button.dataset.busy;
      prove(form).catch(() => {}).then(() => form.submit());
    });
    // Whoever goes back to this page must not find the card in it.
    addEventListener("pagehide", () => {
      for (const field of [number, cvc]) if (field) field.value = "";
    });
  };

  const follow = (main) => {
    const source = new EventSource(main.dataset.stream);
    let shown = main.dataset.state;
    source.addEventListener("status", async (e) => {
      const { link, payment } = JSON.parse(e.data);
      const state = payment ? payment.status : link.status;
      if (payment && payment.final) source.close();
      if (state === shown) return;
      shown = state;
      const res = await fetch(main.dataset.stream, { headers: { Accept: "text/html" }, cache: "no-store" }).catch(() => null);
      if (!res || !res.ok) return location.reload();
      const page = new DOMParser().parseFromString(await res.text(), "text/html");
      const next = page.querySelector("main");
      localTimes(next);
      document.querySelector("main").replaceWith(document.adoptNode(next));
      document.title = page.title;
      document.getElementById("live").textContent = next.querySelector("h1").textContent;
      if (!next.dataset.stream) source.close();
    });
    // Refused for good (too many readers): look again by loading the page.
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 10000);
    });
    addEventListener("pagehide", () => source.close());
  };

  // A page that comes back as it was left tells what was true then: browsers keep
  // pages so, even those that say no-store. The answer to a form is not asked for
  // again, that would send the form again; its link tells the same.
  addEventListener("pageshow", (e) => {
    if (!e.persisted) return;
    const answer = "/payments";
    if (location.pathname.endsWith(answer)) location.replace(location.pathname.slice(0, -answer.length));
    else location.reload();
  });

  localTimes(document);
  const form = document.getElementById("pay");
  if (form) payForm(form);
  const main = document.querySelector("main[data-stream]");
  if (main && main.dataset.stream && "EventSource" in window) follow(main);
})();
