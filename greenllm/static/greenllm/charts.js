"use strict";
// Draws each figure.chart with Plotly when it comes into view; colours follow the style sheet, light or dark.
// Plotly itself is fetched for the first chart that does: a page whose charts nobody scrolls to never pays for it.
(() => {
  const source = document.currentScript.dataset.plotly;
  const PAPER = { "--ink": "#000000", "--line": "#b9beb9", "--surface": "#ffffff" };
  let isOnPaper = false;
  let fetched = null;

  const token = (name) => (isOnPaper ? PAPER[name] : getComputedStyle(document.documentElement).getPropertyValue(name).trim());

  const plotly = () => {
    fetched ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = source;
      script.addEventListener("load", () => resolve(window.Plotly));
      script.addEventListener("error", reject);
      document.head.append(script);
    });
    return fetched;
  };

  const NARROW_PX = 420;

  const themed = (layout, width) => {
    const axis = { gridcolor: token("--line"), zerolinecolor: token("--line"), linecolor: token("--line"), automargin: true };
    const merged = {
      autosize: true,
      margin: { l: 56, r: 16, t: 16, b: 48 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: token("--ink"), family: getComputedStyle(document.body).fontFamily, size: width < NARROW_PX ? 11 : 13 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, // above: below it would lie on titles of axes
      hoverlabel: { bgcolor: token("--surface"), font: { color: token("--ink") } },
      ...layout,
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key)).concat(["xaxis", "yaxis"])) {
      const own = layout[name] || {};
      // only with a distance does the title make room for itself beside long numbers
      merged[name] = { ...axis, ...own, ...(own.title && { title: { standoff: 8, ...own.title } }) };
    }
    return merged;
  };

  const figureOf = (chart) => {
    const json = document.getElementById(chart.dataset.chart);
    return json ? JSON.parse(json.textContent) : null;
  };

  // a legend cuts off what is wider than a phone: long names go on in a new line, after a word where there is one to end with
  const linesOf = (name) => name.match(/.{1,27}$|.{1,24}(?=\s)|.{24}/g).map((line) => line.trim());
  const fitted = (data, width) => (width < NARROW_PX
    ? data.map((trace) => ({ ...trace, name: trace.name && linesOf(trace.name).join("<br>") }))
    : data);

  const draw = async (chart) => {
    const area = chart.querySelector(".chart-area");
    const figure = figureOf(chart);
    if (!figure || !area) return;
    const drawer = window.Plotly ?? (await plotly());
    chart.dataset.begun = "yes"; // on paper what was never begun is left out
    await drawer.react(area, fitted(figure.data, area.clientWidth), themed(figure.layout || {}, area.clientWidth), { responsive: true, displayModeBar: false });
    chart.dataset.drawn = "yes";
  };

  // one chart after the other, with a pause in which the page answers its reader
  let latest = Promise.resolve();
  const drawInTurn = (chart) => {
    latest = latest.then(() => new Promise((resolve) => { setTimeout(resolve); })).then(() => draw(chart)).catch(reportError);
  };

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      seen.unobserve(entry.target);
      drawInTurn(entry.target);
    }
  }, { rootMargin: "200px" });

  // the numbers of a figure: a row a point, with how far its bars of error reach
  const csvOf = (figure) => {
    const axis = (name) => csvHead(figure.layout?.[name]?.title?.text ?? figure.layout?.[name]?.title ?? name[0]);
    const ends = (bar, i) => [(bar?.arrayminus ?? bar?.array)?.[i], bar?.array?.[i]];
    const [x, y] = [axis("xaxis"), axis("yaxis")];
    const rows = [["series", x, y, `${x}: minus`, `${x}: plus`, `${y}: minus`, `${y}: plus`]];
    for (const trace of figure.data) {
      const count = Math.max(trace.x?.length ?? 0, trace.y?.length ?? 0);
      for (let i = 0; i < count; i += 1) {
        rows.push([trace.name, trace.x?.[i], trace.y?.[i], ...ends(trace.error_x, i), ...ends(trace.error_y, i)]);
      }
    }
    return rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
  };

  const offer = (chart) => {
    const tools = chart.querySelector(".chart-tools");
    if (!tools || tools.childElementCount || hasFileOf(chart)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = "CSV";
    button.setAttribute("aria-label", `The numbers of “${chart.querySelector("figcaption")?.textContent ?? ""}” as CSV`);
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([csvOf(figureOf(chart))], { type: "text/csv;charset=utf-8" }));
      link.download = `${chart.id}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
    tools.append(button);
  };

  const watch = (root) => root.querySelectorAll("figure.chart:not([data-drawn])").forEach((chart) => {
    offer(chart);
    seen.observe(chart);
  });
  const redraw = () => document.querySelectorAll("figure.chart[data-drawn]").forEach(draw);

  document.addEventListener("DOMContentLoaded", () => watch(document));
  document.addEventListener("htmx:afterSettle", (event) => watch(event.target.parentElement || document));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  for (const [name, value] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(name, () => {
      isOnPaper = value;
      if (window.Plotly) document.querySelectorAll("figure.chart").forEach(draw);
    });
  }
})();
