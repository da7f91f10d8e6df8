"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 760px)");
  const inMinutes = data.t.length * data.width >= 600;
  const seconds = data.t.map((t) => (inMinutes ? t / 60 : t));
  const timed = [];

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const alpha = (hex, a) => {
    const n = parseInt(hex.slice(1), 16);
    return "rgba(" + (n >> 16) + "," + ((n >> 8) & 255) + "," + (n & 255) + "," + a + ")";
  };
  const ms = (v) => {
    if (v === null || v === undefined) return "–";
    if (v >= 59950) return Number((v / 60000).toPrecision(3)) + " min";
    return v >= 999.5 ? Number((v / 1000).toPrecision(3)) + " s" : Number(v.toPrecision(3)) + " ms";
  };

  // plotly reads some HTML, and TeX between dollar signs: what came from outside is neither
  const plain = (text) => text.replace(/[&<>$]/g, (c) => "&#" + c.charCodeAt(0) + ";");

  const axis = (extra) => Object.assign({
    gridcolor: color("line"), linecolor: color("line"), zeroline: false, tickfont: { color: color("muted"), size: 11 },
    automargin: true, fixedrange: true, ticks: "", title: { text: "" },
  }, extra);
  const timeAxis = () => axis({
    showgrid: false, automargin: false, fixedrange: narrow.matches, ticksuffix: inMinutes ? " min" : " s", nticks: narrow.matches ? 5 : 9,
    range: [seconds[0], seconds[seconds.length - 1] + (inMinutes ? data.width / 60 : data.width)], hoverformat: ".4~g",
  });
  const logTicks = (low, high) => {
    const values = [], texts = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      for (const m of [1, 2, 5]) {
        const v = m * Math.pow(10, e);
        if (v >= low * 0.999 && v <= high * 1.001) { values.push(v); texts.push(ms(v)); }
      }
    }
    const every = Math.ceil(values.length / 9);
    return { tickvals: values.filter((_, i) => i % every === 0), ticktext: texts.filter((_, i) => i % every === 0) };
  };
  const layout = (extra) => Object.assign({
    margin: { l: 44, r: 12, t: 24, b: 22 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: color("sans") || "sans-serif", size: 12, color: color("ink") },
    hovermode: "x unified", dragmode: narrow.matches ? false : "zoom",
    hoverlabel: { bgcolor: color("panel"), bordercolor: color("line"), font: { size: 12, color: color("ink") } },
    legend: { orientation: "h", traceorder: "normal", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11, color: color("muted") }, bgcolor: "rgba(0,0,0,0)" },
    xaxis: timeAxis(), yaxis: axis({ rangemode: "tozero", nticks: 5 }),
  }, extra);
  const config = { displayModeBar: false, responsive: true, displaylogo: false, doubleClick: "reset" };
  const draw = (name, traces, extra, isTimed = true) => {
    const node = document.getElementById("chart-" + name);
    if (!node) return Promise.resolve();
    if (isTimed && !timed.includes(node)) timed.push(node);
    return Plotly.react(node, traces, layout(extra), config);
  };
  const line = (name, y, c, more) => Object.assign({
    type: "scatter", mode: "lines", name, x: seconds, y, line: { color: c, width: 1.6 }, hovertemplate: "%{y:,.4~g}",
  }, more);

  const throughput = () => draw("throughput", [
    line("answered", data.throughput.ok, color("blue"), { stackgroup: "done", line: { color: color("blue"), width: 1.2 }, fillcolor: alpha(color("blue"), 0.22) }),
    line("failed or wrong", data.throughput.bad, color("red"), { stackgroup: "done", line: { color: color("red"), width: 1 }, fillcolor: alpha(color("red"), 0.55) }),
    line("offered", data.throughput.offered, color("ink"), { line: { color: color("ink"), width: 1.3, dash: "dot" } }),
  ], {});

  const users = () => draw("users", [
    line("users", data.users.users_active, color("blue")),
    line("connections", data.users.connections_open, color("gray"), { line: { color: color("gray"), width: 1.3 } }),
    line("sockets", data.users.sockets_open, color("teal"), { line: { color: color("teal"), width: 1.3, dash: "dot" } }),
  ], {});

  const heat = () => {
    const choice = document.getElementById("heat-series");
    const name = choice ? choice.value : Object.keys(data.heat)[0];
    const one = data.heat[name];
    if (!one) return Promise.resolve();
    const z = one.counts.map((row) => row.map((n) => (n ? Math.log10(n + 1) : null)));
    const edges = seconds.concat([seconds[seconds.length - 1] + (inMinutes ? data.width / 60 : data.width)]);
    const middle = seconds.map((s) => s + (edges[1] - edges[0]) / 2);
    const scale = [0, 1, 2, 3, 4].map((i) => [i / 4, color("heat" + i)]);
    const percentile = (key, c, width) => ({
      type: "scatter", mode: "lines", name: key, x: middle, y: one[key], line: { color: c, width }, connectgaps: false,
      customdata: one[key].map(ms), hovertemplate: "%{customdata}",
    });
    const low = one.edges[0];
    const high = one.edges[one.edges.length - 1];
    const shapes = one.limits.map((limit) => ({
      type: "line", xref: "paper", x0: 0, x1: 1, y0: limit.ms, y1: limit.ms, line: { color: color("muted"), width: 1, dash: "dash" },
    }));
    const annotations = one.limits.filter((limit) => limit.ms >= low && limit.ms <= high).map((limit) => ({
      xref: "paper", x: 1, xanchor: "right", y: Math.log10(limit.ms), yanchor: "bottom", showarrow: false,
      text: "limit " + limit.stat + " " + ms(limit.ms), font: { size: 11, color: color("muted") }, bgcolor: alpha(color("panel"), 0.75),
    }));
    const traces = [
      { type: "heatmap", x: edges, y: one.edges, z, colorscale: scale, showscale: false, hoverinfo: "skip", zsmooth: false },
      percentile("p50", color("p50"), 1.6), percentile("p95", color("orange"), 1.6), percentile("p99", color("red"), 1.6),
    ];
    return draw("heat", traces, {
      yaxis: axis(Object.assign({ type: "log", range: [Math.log10(low), Math.log10(high)] }, logTicks(low, high))),
      shapes, annotations, margin: { l: 56, r: 12, t: 24, b: 22 },
    });
  };

  const errors = () => {
    const colors = ["red", "orange", "invalid", "blue", "teal", "inconclusive", "pass", "gray", "muted"];
    return draw("errors", data.errors.map((row, i) => ({
      type: "bar", name: plain(row.name), x: seconds, y: row.n, marker: { color: color(colors[i % colors.length]) },
      hovertemplate: "%{y:,}",
    })), { barmode: "stack", bargap: 0.1, showlegend: true, xaxis: timeAxis() });
  };

  const lag = () => {
    const values = data.lag.p99.concat(data.lag.loop99).filter((v) => v !== null);
    const top = Math.max(data.lag.limit * 1.25, ...values.map((v) => v * 1.1));
    const text = { hovertemplate: "%{y:.3~g} ms" };
    return draw("lag", [
      line("p50", data.lag.p50, color("teal"), Object.assign({}, text, { line: { color: color("teal"), width: 1 } })),
      line("p99", data.lag.p99, color("teal"), Object.assign({}, text, { fill: "tonexty", fillcolor: alpha(color("teal"), 0.2) })),
      line("loop p99", data.lag.loop99, color("gray"), Object.assign({}, text, { line: { color: color("gray"), width: 1.2, dash: "dot" } })),
    ], {
      yaxis: axis({ range: [0, top], ticksuffix: " ms", nticks: 5 }),
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: data.lag.limit, y1: data.lag.limit, line: { color: color("invalid"), width: 1.2, dash: "dash" } }],
      annotations: [{ xref: "paper", x: 1, xanchor: "right", y: data.lag.limit, yanchor: "bottom", showarrow: false, text: "limit " + ms(data.lag.limit), font: { size: 11, color: color("invalid") } }],
    });
  };

  const percentiles = () => {
    if (!data.percentiles.length) return Promise.resolve();
    const colors = { http: "blue", "ws.reply": "orange" };
    const all = data.percentiles.flatMap((row) => row.y);
    const low = Math.min(...all) / 1.15, high = Math.max(...all) * 1.2;
    const last = Math.max(...data.percentiles.map((row) => row.x[row.x.length - 1]));
    const marks = [[1, "0%"], [2, "50%"], [10, "90%"], [20, "95%"], [100, "99%"], [1000, "99.9%"], [10000, "99.99%"], [100000, "99.999%"], [1000000, "99.9999%"]]
      .filter(([x]) => x <= last * 1.01 && !(narrow.matches && (x === 20 || x === 1)));
    const share = (x) => Number((100 * (1 - 1 / x)).toPrecision(6)) + "%";
    const traces = data.percentiles.map((row) => ({
      type: "scatter", mode: "lines", name: row.name + " " + row.kind, x: row.x, y: row.y, line: { color: color(colors[row.name]), width: row.kind === "latency" ? 2 : 1.3, dash: row.kind === "latency" ? "solid" : "dot" },
      customdata: row.x.map((x, i) => [share(x), ms(row.y[i])]), hovertemplate: "%{customdata[0]}: %{customdata[1]}",
    }));
    return draw("percentiles", traces, {
      hovermode: "closest", margin: { l: 56, r: 16, t: 24, b: 22 },
      xaxis: axis({ type: "log", automargin: false, tickangle: 0, tickvals: marks.map((m) => m[0]), ticktext: marks.map((m) => m[1]), range: [0, Math.log10(last) + 0.03], fixedrange: narrow.matches }),
      yaxis: axis(Object.assign({ type: "log", range: [Math.log10(low), Math.log10(high)] }, logTicks(low, high))),
    }, false);
  };

  const messages = () => (data.messages ? draw("messages", [
    line("received", data.messages.in, color("blue")), line("sent", data.messages.out, color("orange")),
  ], {}) : Promise.resolve());

  const drawAll = () => Promise.all([throughput(), users(), heat(), errors(), lag(), percentiles(), messages()]);

  const shareZoom = () => {
    let isBusy = false;
    for (const node of timed) {
      node.on("plotly_relayout", (change) => {
        const range = change["xaxis.range[0]"] !== undefined ? [change["xaxis.range[0]"], change["xaxis.range[1]"]] : null;
        const isReset = change["xaxis.autorange"] || change["xaxis.range"] !== undefined;
        if (isBusy || (!range && !isReset)) return;
        isBusy = true;
        const target = range || timeAxis().range;
        Promise.all(timed.filter((other) => other !== node).map((other) => Plotly.relayout(other, { "xaxis.range": target })))
          .finally(() => { isBusy = false; });
      });
    }
  };

  const sortable = (table) => {
    const heads = Array.from(table.querySelectorAll("th"));
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const isDown = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : head.classList.contains("n");
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
        const body = table.tBodies[0];
        const value = (row) => row.cells[column].dataset.value;
        const rows = Array.from(body.rows).sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          const order = head.classList.contains("n") ? Number(x) - Number(y) : x.localeCompare(y);
          return isDown ? -order : order;
        });
        body.append(...rows);
      });
    });
  };

  document.querySelectorAll("table.sortable").forEach(sortable);
  drawAll().then(() => {
    shareZoom();
    document.documentElement.dataset.charts = String(document.querySelectorAll(".plot.js-plotly-plot").length);
  });
  const choice = document.getElementById("heat-series");
  if (choice) choice.addEventListener("change", heat);
  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
})();
