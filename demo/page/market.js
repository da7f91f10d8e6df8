// Draws: knows the document, knows nothing of requests and sockets.
"use strict";

const market = (() => {
  const $ = (id) => document.getElementById(id);
  const rows = new Map();
  const past = new Map();
  const KEPT = 60;
  let chosen = "";
  let onChoose = () => {};

  const price = (value) => value.toFixed(2);
  const signed = (value, digits = 2) => (value > 0 ? "+" : "") + value.toFixed(digits);
  const tone = (value) => (value > 0 ? "up" : value < 0 ? "down" : "soft");
  const short = (value) => {
    const size = Math.abs(value);
    return size >= 1e6 ? (value / 1e6).toFixed(2) + "M" : size >= 1e4 ? (value / 1e3).toFixed(1) + "k" : String(value);
  };

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function remember(key, value) {
    const values = past.get(key) || [];
    values.push(value);
    if (values.length > KEPT) values.shift();
    past.set(key, values);
    return values;
  }

  function spark(svg, values, width, height) {
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    const step = width / Math.max(1, KEPT - 1);
    const points = values.map((value, i) => `${(i * step).toFixed(1)},${(height - 2 - ((value - low) / span) * (height - 4)).toFixed(1)}`);
    svg.firstChild.setAttribute("points", points.join(" "));
    svg.firstChild.setAttribute("stroke", values.at(-1) >= values[0] ? "#3ddc97" : "#ff6b6b");
  }

  function newSpark(width, height) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "spark");
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    line.setAttribute("fill", "none");
    line.setAttribute("stroke-width", "1.5");
    line.setAttribute("stroke-linejoin", "round");
    svg.append(line);
    return svg;
  }

  function newRow(symbol) {
    const tr = make("tr");
    const cells = Array.from({ length: 8 }, () => make("td"));
    cells[0].textContent = symbol;
    cells[1].className = "trend";
    const svg = newSpark(84, 20);
    cells[1].append(svg);
    tr.append(...cells);
    tr.dataset.symbol = symbol;
    tr.addEventListener("click", () => choose(symbol));
    $("quotes").append(tr);
    const row = { tr, cells, svg, last: null };
    rows.set(symbol, row);
    return row;
  }

  function choose(symbol) {
    rows.get(chosen)?.tr.classList.remove("chosen");
    chosen = symbol;
    rows.get(symbol)?.tr.classList.add("chosen");
    onChoose(symbol);
  }

  function showQuote(quote) {
    const row = rows.get(quote.symbol) || newRow(quote.symbol);
    const [, , last, change, percent, bid, ask, volume] = row.cells;
    if (row.last !== null && row.last !== quote.last) {
      const name = quote.last > row.last ? "tick-up" : "tick-down";
      last.classList.remove("tick-up", "tick-down");
      void last.offsetWidth;
      last.classList.add(name);
    }
    row.last = quote.last;
    last.textContent = price(quote.last);
    change.textContent = signed(quote.change);
    percent.textContent = signed(quote.change_pct) + "%";
    change.className = percent.className = tone(quote.change);
    bid.textContent = price(quote.bid);
    ask.textContent = price(quote.ask);
    volume.textContent = quote.volume.toLocaleString("en-US");
    spark(row.svg, remember(quote.symbol, quote.last), 84, 20);
  }

  function showQuotes(quotes) {
    quotes.forEach(showQuote);
    $("no-quotes").hidden = quotes.length > 0;
    const rising = quotes.filter((quote) => quote.change > 0).length;
    const falling = quotes.filter((quote) => quote.change < 0).length;
    $("breadth").textContent = quotes.length ? `${rising} up · ${falling} down` : "";
  }

  function showIndices(indices) {
    for (const index of indices) {
      let box = $("index-" + index.code);
      if (!box) {
        box = make("div", "index");
        box.id = "index-" + index.code;
        const text = make("div");
        text.append(make("small", "", index.name), make("b"), make("em"));
        box.append(text, newSpark(56, 24));
        $("indices").append(box);
      }
      const em = box.querySelector("em");
      box.querySelector("b").textContent = price(index.value);
      em.textContent = signed(index.change_pct) + "%";
      em.className = tone(index.change_pct);
      spark(box.querySelector("svg"), remember("index " + index.code, index.value), 56, 24);
    }
  }

  function showFlow(rowsOfFlow) {
    const net = rowsOfFlow.reduce((sum, row) => sum + row.net, 0);
    $("flow-net").textContent = rowsOfFlow.length ? signed(net / 1e3, 1) + "k net" : "";
    $("flow-net").className = "num " + tone(net);
    const largest = [...rowsOfFlow].sort((a, b) => Math.abs(b.net) - Math.abs(a.net)).slice(0, 6);
    const scale = Math.max(1, ...largest.map((row) => Math.abs(row.net)));
    $("flow").replaceChildren(
      ...largest.map((row) => {
        const bar = make("div", "bar");
        const track = make("u");
        const fill = make("i");
        const share = (50 * Math.abs(row.net)) / scale;
        fill.style.cssText = `width:${share}%;left:${row.net > 0 ? 50 : 50 - share}%;background:var(--${tone(row.net)})`;
        track.append(fill);
        bar.append(make("b", "", row.symbol), track, make("span", tone(row.net), (row.net > 0 ? "+" : "") + short(row.net)));
        return bar;
      }),
    );
  }

  function showFutures(derivatives) {
    $("futures").replaceChildren(
      ...derivatives.map((row) => {
        const line = make("div");
        line.append(make("span", "soft", row.code), make("b", "", row.last.toFixed(1)), make("span", tone(row.basis), signed(row.basis, 1)));
        return line;
      }),
    );
  }

  function showBook(depth) {
    $("quote-title").textContent = `${depth.symbol}  ${price(depth.last)}`;
    const most = Math.max(...depth.bids.concat(depth.asks).map((level) => level[1]));
    const level = ([at, quantity], side) => {
      const line = make("div", "level " + side);
      const fill = make("i");
      fill.style.width = (100 * quantity) / most + "%";
      line.append(fill, make("span", side === "bid" ? "up" : "down", price(at)), make("span", "soft", quantity.toLocaleString("en-US")));
      return line;
    };
    $("book").replaceChildren(...depth.bids.flatMap((bid, i) => [level(bid, "bid"), level(depth.asks[i], "ask")]));
  }

  function showOrder(order) {
    $("no-orders").hidden = true;
    let line = $("order-" + order.id);
    if (!line) {
      line = make("div");
      line.id = "order-" + order.id;
      $("orders").prepend(line);
    }
    const side = make("b", order.side === "buy" ? "up" : "down", order.side === "buy" ? "Buy" : "Sell");
    const what = make("span", "", `${order.quantity} ${order.symbol} at ${price(order.price)}`);
    line.replaceChildren(side, what, make("span", order.status === "filled" ? "tag" : "tag wait", order.status));
  }

  return {
    $, showQuotes, showIndices, showFlow, showFutures, showBook, showOrder, choose,
    isChosen: (symbol) => symbol === chosen,
    whenChosen: (callback) => { onChoose = callback; },
  };
})();
