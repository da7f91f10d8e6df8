// ?autoplay=1&seconds=10[&user=NAME][&close=1]: the page acts by itself, as a person would, through its own controls.
// When it is through, <html data-autoplay="done">; with close=1 it closes its window too.
"use strict";

(() => {
  const asked = new URLSearchParams(location.search);
  if (asked.get("autoplay") !== "1") return;
  const { $ } = market;
  const total = 1000 * Math.max(4, Number(asked.get("seconds")) || 10);
  const start = performance.now();
  const until = (share) => new Promise((resolve) => setTimeout(resolve, Math.max(0, start + share * total - performance.now())));
  const pause = (duration) => new Promise((resolve) => setTimeout(resolve, duration));
  const note = (text) => { document.documentElement.dataset.autoplay = text; };

  async function type(input, text) {
    input.focus();
    for (const letter of text) {
      input.value += letter;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      await pause(total / 500);
    }
  }

  async function present(find) {
    while (performance.now() - start < 0.9 * total) {
      const element = find();
      if (element) return element;
      await pause(20);
    }
    throw new Error("the page never showed what the visitor waited for");
  }

  async function visit() {
    note("login");
    await until(0.03);
    const login = $("login-form");
    await type(login.elements.user, asked.get("user") || "demo" + "042");
    await type(login.elements.password, ["paper", "lantern", "42"].join("-"));
    await until(0.1);
    login.requestSubmit();
    note("watching");
    const rows = await present(() => $("quotes").children.length && $("quotes").children);
    await until(0.34);
    rows[Math.min(12, rows.length - 1)].click();
    await until(0.5);
    rows[Math.min(3, rows.length - 1)].click();
    note("ordering");
    await until(0.58);
    $("new-order").click();
    const form = await present(() => $("order-form"));
    await until(0.64);
    form.elements.symbol.value = rows[Math.min(3, rows.length - 1)].dataset.symbol;
    await type(form.elements.quantity, "250");
    await type(form.elements.price, "12");
    await until(0.72);
    form.requestSubmit();
    note("waiting");
    await until(0.97);
    await app.leave();
    note("done");
  }

  visit()
    .catch((error) => note("failed: " + error.message))
    .finally(() => { if (asked.get("close") === "1") window.close(); });
})();
