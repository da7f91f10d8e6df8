"use strict";
// The page is whole without this: a cursor through the charts, and tables that sort.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (root, what) => Array.from(root.querySelectorAll(what));

  const ms = (v) => {
    if (v >= 59950) return Number((v / 60000).toPrecision(3)) + " min";
    return v >= 999.5 ? Number((v / 1000).toPrecision(3)) + " s" : Number(v.toPrecision(3)) + " ms";
  };
  const written = (value, unit) => {
    if (value === null || value === undefined) return "–";
    return unit === "ms" ? ms(value) : value.toLocaleString("en", { maximumFractionDigits: 1 }) + unit;
  };
  const two = (n) => String(n).padStart(2, "0");
  const clock = (s) => {
    if (data.time.end <= 120) return s + " s";
    const [h, m, rest] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60), s % 60];
    return data.time.end < 3600 ? m + ":" + two(rest) : h + ":" + two(m) + ":" + two(rest);
  };

  // Legends show figures of the whole run; while there is a cursor, those under it.
  const legend = (root) => {
    const entries = all(root, "[data-s]").map((node) => ({ node, series: node.dataset.s, unit: node.dataset.u || "", whole: node.textContent }));
    return {
      show: (valueOf) => entries.forEach((e) => { e.node.textContent = written(valueOf(e.series), e.unit); }),
      clear: () => entries.forEach((e) => { e.node.textContent = e.whole; }),
    };
  };

  // Calls move with the share (0 to 1) of the canvas that the pointer is at, and leave when it has gone.
  const follow = (root, move, leave) => {
    const canvases = all(root, ".canvas");
    root.addEventListener("pointermove", (event) => {
      const box = canvases[0].getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      if (share < 0 || share > 1) leave();
      else move(share);
    });
    root.addEventListener("pointerleave", leave);
    root.addEventListener("pointercancel", leave);
  };

  const overTime = (stack) => {
    const { n, width, series } = data.time;
    const shown = legend(stack);
    const now = document.createElement("div");
    now.className = "now";
    now.append(document.createElement("span"));
    now.setAttribute("aria-live", "polite");
    stack.prepend(now);
    let column = -1;
    const leave = () => { column = -1; stack.classList.remove("on"); shown.clear(); };
    const show = (index) => {
      column = Math.min(n - 1, Math.max(0, index));
      stack.style.setProperty("--at", (100 * (column + 0.5)) / n + "%");
      stack.classList.add("on");
      const from = clock(column * width);
      now.firstChild.textContent = width > 1 ? from + " to " + clock((column + 1) * width) : from;
      shown.show((name) => series[name][column]);
    };
    follow(stack, (share) => show(Math.floor(share * n)), leave);
    stack.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      if (event.key === "Escape") leave();
      if (!by) return;
      event.preventDefault();
      show(column < 0 ? 0 : column + by);
    });
    stack.addEventListener("blur", leave);
  };

  // The nearest point of a curve [[1/(1-q), ms], …]; beyond its end there is none.
  const nearest = (curve, x) => {
    if (!curve || x > curve[curve.length - 1][0] * 1.05) return null;
    return curve.reduce((best, point) => (Math.abs(Math.log(point[0] / x)) < Math.abs(Math.log(best[0] / x)) ? point : best))[1];
  };
  const byPercentile = (figure) => {
    const curves = Object.assign({}, ...Object.values(data.curves));
    const last = Math.log(Number(figure.querySelector(".curves").dataset.x));
    const shown = legend(figure);
    const title = figure.querySelector("h3");
    const name = title.textContent;
    follow(figure, (share) => {
      const x = (10 / 9) * Math.exp(share * (last - Math.log(10 / 9)));
      figure.style.setProperty("--at", 100 * share + "%");
      figure.classList.add("on");
      title.textContent = name + " at p" + Number((100 * (1 - 1 / x)).toPrecision(x < 10 ? 2 : 2 + Math.ceil(Math.log10(x))));
      shown.show((series) => nearest(curves[series], x));
    }, () => { figure.classList.remove("on"); title.textContent = name; shown.clear(); });
  };

  const sortable = (table) => {
    const heads = all(table, "th");
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const isNumber = head.classList.contains("n");
        const isDown = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : isNumber;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
        const value = (row) => row.cells[column].dataset.value;
        const rows = Array.from(table.tBodies[0].rows).sort((a, b) => {
          const order = isNumber ? Number(value(a)) - Number(value(b)) : value(a).localeCompare(value(b));
          return isDown ? -order : order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  };

  all(document, ".stack").forEach(overTime);
  all(document, ".pair > figure").forEach(byPercentile);
  all(document, "table.sortable").forEach(sortable);
  // On paper everything is open, and afterwards as it was.
  let closed = [];
  window.addEventListener("beforeprint", () => { closed = all(document, "details:not([open])"); closed.forEach((d) => { d.open = true; }); });
  window.addEventListener("afterprint", () => closed.forEach((d) => { d.open = false; }));
  document.documentElement.dataset.ready = String(document.querySelectorAll(".canvas").length);
})();
