"use strict";
// Draws each figure.chart with Plotly when it comes into view; colours follow the style sheet, light or dark.
(() => {
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const themed = (layout) => {
    const axis = { gridcolor: token("--line"), zerolinecolor: token("--line"), linecolor: token("--line"), automargin: true };
    const merged = {
      autosize: true,
      margin: { l: 56, r: 16, t: 16, b: 48 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: token("--ink"), family: getComputedStyle(document.body).fontFamily, size: 13 },
      legend: { orientation: "h", y: -0.25 },
      hoverlabel: { bgcolor: token("--surface"), font: { color: token("--ink") } },
      ...layout,
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key)).concat(["xaxis", "yaxis"])) {
      merged[name] = { ...axis, ...(layout[name] || {}) };
    }
    return merged;
  };

  const draw = (chart) => {
    const source = document.getElementById(chart.dataset.chart);
    const area = chart.querySelector(".chart-area");
    if (!source || !area || !window.Plotly) return;
    const figure = JSON.parse(source.textContent);
    const config = { responsive: true, displayModeBar: false };
    window.Plotly.react(area, figure.data, themed(figure.layout || {}), config).then(() => { chart.dataset.drawn = "yes"; });
  };

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "200px" });

  const watch = (root) => root.querySelectorAll("figure.chart:not([data-drawn])").forEach((chart) => seen.observe(chart));

  document.addEventListener("DOMContentLoaded", () => watch(document));
  document.addEventListener("htmx:afterSettle", (event) => watch(event.target.parentElement || document));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.querySelectorAll("figure.chart[data-drawn]").forEach(draw);
  });
})();
