// Passkeys exist in scripts alone. What needs them is hidden until this has found
// that the browser has them.
(() => {
  "use strict";

  const can = window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON && PublicKeyCredential.parseCreationOptionsFromJSON;
  const get = document.getElementById("passkey-sign-in");
  const create = document.getElementById("passkey-create");
  if (!can) return;
  if (get) get.hidden = false;
  if (create) create.querySelector("[data-passkey]").hidden = false;

  // What the device answers goes to the server as a form, like everything else.
  const send = (form, credential, state) => {
    form.elements.answer.value = JSON.stringify(credential.toJSON());
    if (state) form.elements.state.value = state;
    form.requestSubmit();
  };

  const ask = async (form) => {
    if (form === create) {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(form.dataset.options));
      return send(form, await navigator.credentials.create({ publicKey }));
    }
    const answer = await fetch(form.dataset.options, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.statusText);
    const { options, state } = await answer.json();
    send(form, await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }), state);
  };

  document.addEventListener("click", async (e) => {
    const b = e.target.closest("button[data-passkey]");
    if (!b) return;
    const failed = b.form.querySelector("[data-failed]");
    failed.textContent = "";
    b.disabled = true;
    try {
      await ask(b.form);
    } catch {
      failed.textContent = failed.dataset.failed;
    } finally {
      b.disabled = false;
    }
  });
})();
