// Talks: login, tokens and their refresh, REST calls, the socket.
"use strict";

const app = (() => {
  const { $ } = market;
  const CHANNELS = ["quotes", "indices", "foreign", "derivatives", "prices"];
  const POLLS = [["/api/foreign-flow", 2000, (body) => market.showFlow(body.foreign)], ["/api/indices", 3000, (body) => market.showIndices(body.indices)]];
  const state = { grant: null, socket: null, timers: [], nextId: 1, waiting: new Map(), messages: 0, leaving: false, tries: 0 };

  function pill(kind, text) {
    $("pill").dataset.state = kind;
    $("pill-text").textContent = text;
  }

  async function ask(path, options = {}) {
    const headers = { ...options.headers };
    if (state.grant) headers.Authorization = "Bearer " + state.grant.access_token;
    if (options.json) headers["Content-Type"] = "application/json";
    const answer = await fetch(path, { method: options.method || "GET", headers, body: options.json && JSON.stringify(options.json) });
    if (!answer.ok) {
      const body = await answer.json().catch(() => ({}));
      throw new Error(body.error || `the server answered ${answer.status}`);
    }
    return answer;
  }

  const askJson = async (path, options) => (await ask(path, options)).json();

  function take(grant) {
    state.grant = grant;
    clearTimeout(state.refresher);
    state.refresher = setTimeout(refresh, Math.max(500, grant.expires_in * 700));
  }

  async function refresh() {
    try {
      take(await askJson("/api/refresh", { method: "POST", json: { refresh_token: state.grant.refresh_token } }));
    } catch (error) {
      pill("lost", error.message);
    }
  }

  async function logIn(user, password) {
    take(await askJson("/api/login", { method: "POST", json: { user, password } }));
    $("gate").hidden = true;
    $("board").hidden = $("foot").hidden = false;
    connect();
    const [quotes, indices, flow] = await Promise.all(["/api/quotes", "/api/indices", "/api/foreign-flow"].map((path) => askJson(path)));
    market.showQuotes(quotes.quotes);
    market.showIndices(indices.indices);
    market.showFlow(flow.foreign);
    state.timers = POLLS.map(([path, every, show]) => setInterval(() => askJson(path).then(show).catch((error) => pill("lost", error.message)), every));
  }

  function connect() {
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/market?token=${encodeURIComponent(state.grant.ws_ticket)}`;
    const socket = (state.socket = new WebSocket(url));
    pill("wait", "connecting");
    socket.onopen = () => { state.tries = 0; subscribe(CHANNELS); };
    socket.onmessage = (event) => receive(JSON.parse(event.data));
    socket.onclose = () => {
      if (state.leaving) return;
      pill("lost", "stream lost, coming back");
      setTimeout(connect, Math.min(8000, 500 * 2 ** state.tries++));
    };
  }

  function subscribe(channels) {
    const id = state.nextId++;
    state.waiting.set(id, performance.now());
    state.socket.send(JSON.stringify({ type: "subscribe", id, channels }));
  }

  function receive(message) {
    state.messages += 1;
    switch (message.type) {
      case "snapshot":
        market.showQuotes(message.quotes || []);
        market.showIndices(message.indices || []);
        market.showFutures(message.derivatives || []);
        pill("live", `live · ${Math.max(0, Date.now() - message.ts)} ms`);
        $("foot-stream").textContent = `message ${state.messages} · tick ${message.seq}`;
        break;
      case "depth":
        if (market.isChosen(message.symbol)) market.showBook(message);
        break;
      case "ping":
        state.socket.send(JSON.stringify({ type: "pong", id: message.id }));
        break;
      case "ack":
        state.waiting.delete(message.id);
        break;
      case "error":
        pill("lost", message.error);
    }
  }

  async function openQuote(symbol) {
    const quote = await askJson("/api/quotes/" + encodeURIComponent(symbol));
    $("quote-name").textContent = quote.name;
    market.showBook(quote);
    if (state.socket.readyState === WebSocket.OPEN) subscribe(["depth:" + symbol]);
  }

  async function openOrderForm(symbol) {
    $("order-slot").innerHTML = await (await ask("/orders/new")).text();
    const form = $("order-form");
    if (symbol) form.elements.symbol.value = symbol;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      placeOrder(form).catch((error) => pill("lost", error.message));
    });
    return form;
  }

  async function placeOrder(form) {
    const { csrf, symbol, side, quantity, price } = Object.fromEntries(new FormData(form));
    const json = { symbol, side, quantity: Number(quantity), price: Number(price) };
    const placed = await askJson("/api/orders", { method: "POST", headers: { "X-CSRF-Token": csrf }, json });
    form.remove();
    market.showOrder(placed);
    setTimeout(async () => market.showOrder(await askJson("/api/orders/" + placed.id)), 500);
  }

  function leave() {
    state.leaving = true;
    state.timers.forEach(clearInterval);
    clearTimeout(state.refresher);
    return new Promise((resolve) => {
      if (!state.socket || state.socket.readyState > WebSocket.OPEN) return resolve();
      state.socket.onclose = resolve;
      state.socket.close(1000, "goodbye");
    }).then(() => {
      pill("off", "signed out");
      $("board").hidden = $("foot").hidden = true;
      $("indices").replaceChildren();
      $("goodbye").hidden = false;
    });
  }

  $("login-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const { user, password } = event.target.elements;
    $("login-error").textContent = "";
    logIn(user.value, password.value).catch((error) => { $("login-error").textContent = error.message; });
  });
  $("new-order").addEventListener("click", () => openOrderForm().catch((error) => pill("lost", error.message)));
  market.whenChosen((symbol) => openQuote(symbol).catch((error) => pill("lost", error.message)));

  return { leave };
})();
