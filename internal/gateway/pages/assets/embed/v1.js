// <paylink-form form="frm_…"> shows a payment form in a frame of the server that
// this script came from. No card digit touches the page around it: the frame is of
// another origin, and what it says is where the payment stands, and its own height.
//
// It dispatches paylink:success, paylink:declined, paylink:pending and
// paylink:resize, with what is known in event.detail. After a success the page goes
// where the form sends payers, with the signed result, unless a listener calls
// event.preventDefault(). With mode="button" it is a button that opens the form's
// own page. Without this script, what is inside the element is shown: a link.
(() => {
  "use strict";
  const script = document.currentScript && document.currentScript.src;
  if (!script || !window.customElements || customElements.get("paylink-form")) return;
  const base = script.slice(0, script.lastIndexOf("/embed.js"));
  const home = new URL(script).origin;
  const patience = 8000; // milliseconds until a frame that says nothing counts as refused

  const style = new CSSStyleSheet();
  style.replaceSync(`
    :host { display: block; }
    :host([hidden]) { display: none; }
    :host([mode="button"]) { display: inline-block; }
    iframe { display: block; width: 100%; height: 30rem; border: 0; color-scheme: light dark; }
    a { display: inline-flex; align-items: center; justify-content: center; min-height: 2.75rem; padding: .5rem 1.25rem;
      font: 600 1rem/1.3 system-ui, sans-serif; color: #fff; background: #1f4fd1; border-radius: .75rem; text-decoration: none; }
    a:hover { background: #183fa9; }
    a:focus-visible { outline: 3px solid #1f4fd1; outline-offset: 2px; }`);

  class PaylinkForm extends HTMLElement {
    static observedAttributes = ["form", "mode", "lang"];
    #frame = null;
    #timer = 0;
    #heard = (e) => this.#hear(e);

    constructor() {
      super();
      this.attachShadow({ mode: "open" }).adoptedStyleSheets = [style];
    }

    connectedCallback() {
      addEventListener("message", this.#heard);
      this.#show();
    }

    disconnectedCallback() {
      removeEventListener("message", this.#heard);
      clearTimeout(this.#timer);
      this.#frame = null;
      this.shadowRoot.replaceChildren();
    }

    attributeChangedCallback(name, was, is) {
      if (this.isConnected && was !== is) this.#show();
    }

    get #address() {
      const form = this.getAttribute("form") || "";
      if (!/^frm_[0-9a-z]{26}$/.test(form)) return null;
      const lang = this.getAttribute("lang") || "";
      return base + "/f/" + form + (lang ? "?lang=" + encodeURIComponent(lang) : "");
    }

    #show() {
      clearTimeout(this.#timer);
      this.#frame = null;
      const address = this.#address;
      if (!address) return this.#fallback();
      if (this.getAttribute("mode") === "button") return this.#button(address);
      const frame = document.createElement("iframe");
      frame.title = this.getAttribute("title") || "Payment form";
      frame.referrerPolicy = "strict-origin";
      frame.allow = "payment";
      frame.addEventListener("load", () => {
        frame.contentWindow.postMessage({ paylink: 1, type: "hello", form: this.getAttribute("form") }, home);
      });
      frame.src = address;
      this.#frame = frame;
      this.shadowRoot.replaceChildren(frame);
      this.#timer = setTimeout(() => this.#fallback(), patience);
    }

    #button(address) {
      const a = document.createElement("a");
      a.href = address;
      a.setAttribute("part", "button");
      a.textContent = this.getAttribute("label") || this.textContent.trim() || "Pay";
      this.shadowRoot.replaceChildren(a);
    }

    // The frame was refused, or is not ours: what is inside the element is shown.
    #fallback() {
      this.#frame = null;
      this.shadowRoot.replaceChildren(document.createElement("slot"));
    }

    #hear(e) {
      const said = e.data;
      if (!this.#frame || e.origin !== home || e.source !== this.#frame.contentWindow) return;
      if (!said || said.paylink !== 1 || said.form !== this.getAttribute("form")) return;
      clearTimeout(this.#timer);
      const { type, height, payment, status, code, result, redirect } = said;
      switch (type) {
        case "resize":
          if (!(height > 0)) return;
          this.#frame.style.height = Math.min(Math.max(Math.ceil(height), 100), 5000) + "px";
          this.#tell(type, { height });
          return;
        case "pending":
        case "declined":
          this.#tell(type, { payment, status, code });
          return;
        case "success":
          if (this.#tell(type, { payment, status, result }) && /^https?:\/\//.test(redirect || "")) location.assign(redirect);
      }
    }

    #tell(type, detail) {
      detail.form = this.getAttribute("form");
      return this.dispatchEvent(new CustomEvent("paylink:" + type, { detail, bubbles: true, composed: true, cancelable: type === "success" }));
    }
  }
  customElements.define("paylink-form", PaylinkForm);
})();
