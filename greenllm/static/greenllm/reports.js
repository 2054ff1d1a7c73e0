// The sliders of a report's what-if: SCI from stored sums of energy and time, as greenllm/reports/what_if.py has it.
"use strict";

(() => {
  const form = document.querySelector("[data-what-if]");
  const given = form && document.getElementById(form.dataset.whatIf);
  if (!given) return;
  const data = JSON.parse(given.textContent);
  const status = document.getElementById("what-if-status");
  const fields = [...form.querySelectorAll("input[data-least]")];

  const dot = (weights, sums) => weights.reduce((sum, weight, place) => sum + weight * sums[place], 0);

  // half of the interval of a mean of weighted sums; products are (0, 0), (0, 1), ..., (1, 1), ...
  const half = (weights, one) => {
    if (one.n < 2) return null;
    let squares = 0;
    let largest = 0;
    let place = 0;
    for (let a = 0; a < weights.length; a += 1) {
      for (let b = a; b < weights.length; b += 1) {
        const part = (a === b ? 1 : 2) * weights[a] * weights[b] * one.products[place];
        squares += part;
        largest = Math.max(largest, Math.abs(part));
        place += 1;
      }
    }
    const variance = (squares - dot(weights, one.sums) ** 2 / one.n) / (one.n - 1);
    return one.t * Math.sqrt((variance > 1e-12 * largest ? variance : 0) / one.n);
  };

  const worked = (one, joule, second) => {
    const zeros = one.sums.slice(2).map(() => 0);
    const weights = [joule, second, ...zeros];
    if (one.n === 0) return null;
    const sum = dot(weights, one.sums);
    if (one.how === "total") return { value: sum, half: null };
    if (one.how === "share") return sum ? { value: dot([0, second, ...zeros], one.sums) / sum, half: null } : null;
    if (one.how === "mean") return { value: sum / one.n, half: half(weights, one) };
    const below = one.sums[one.sums.length - 1];
    if (below <= 0) return null;
    const left = [...weights.slice(0, -1), -sum / below];
    const end = half(left, one);
    return { value: (one.per * sum) / below, half: end === null ? null : (end * one.per * one.n) / below };
  };

  const withMinus = (number) => number.replaceAll("-", "\u2212");

  // three significant digits, as the server writes them
  const written = (value) => {
    const text = Number(value.toPrecision(3));
    const exponent = text ? Math.floor(Math.log10(Math.abs(text)) + 1e-12) : 0;
    if (exponent <= -7 || exponent >= 7) return withMinus(text.toExponential(2));
    const digits = Math.max(0, 2 - exponent);
    return withMinus(text.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  };

  // the charts of this part: marks with data-figure go where their figures are, along the axis that the drawing names
  const TICK_SHARES = [1, 2, 5, 10]; // as greenllm/reports/svg.py has them

  const drawTicks = (svg, place, high) => {
    const ticks = svg.querySelector(`.ticks-${svg.dataset.axis}`);
    const [line, text] = ["line", "text"].map((tag) => ticks.querySelector(tag)?.cloneNode(true));
    if (!line || !text) return;
    const raw = high / 5;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = TICK_SHARES.map((share) => share * power).find((one) => one >= raw);
    const isAcross = svg.dataset.axis === "x";
    const parts = [];
    for (let number = 0; number * step <= high * (1 + 1e-9); number += 1) {
      const at = place(number * step);
      const [drawnLine, drawnText] = [line.cloneNode(), text.cloneNode()];
      for (const end of isAcross ? ["x1", "x2"] : ["y1", "y2"]) drawnLine.setAttribute(end, at.toFixed(1));
      drawnText.setAttribute(isAcross ? "x" : "y", (isAcross ? at : at + 4).toFixed(1));
      drawnText.textContent = String(Number((number * step).toPrecision(6)));
      parts.push(drawnLine, drawnText);
    }
    ticks.replaceChildren(...parts);
  };

  const moveAcross = (mark, place, one) => {
    const shift = place(one.value) - Number(mark.dataset.at);
    mark.setAttribute("transform", `translate(${shift.toFixed(1)} 0)`);
    const whisker = mark.querySelector(".across");
    if (!whisker || one.half === null) return;
    whisker.setAttribute("x1", (place(one.value - one.half) - shift).toFixed(1));
    whisker.setAttribute("x2", (place(one.value + one.half) - shift).toFixed(1));
  };

  const moveUp = (mark, place, one) => {
    const bar = mark.querySelector("rect");
    bar.setAttribute("y", place(one.value).toFixed(1));
    bar.setAttribute("height", (place(0) - place(one.value)).toFixed(1));
    const whisker = mark.querySelector(".whisker");
    if (!whisker || one.half === null) return;
    whisker.setAttribute("y1", place(one.value - one.half).toFixed(1));
    whisker.setAttribute("y2", place(one.value + one.half).toFixed(1));
  };

  const drawMarks = (svg, found) => {
    const marks = [...svg.querySelectorAll("[data-figure]")].filter((mark) => found[mark.dataset.figure]);
    if (!marks.length) return;
    const ends = marks.map((mark) => found[mark.dataset.figure]).map((one) => one.value + (one.half ?? 0));
    const [start, end, room] = ["start", "end", "room"].map((name) => Number(svg.dataset[name]));
    const high = Math.max(0, ...ends) * room || 1;
    const place = (value) => start + (Math.min(Math.max(value, 0), high) / high) * (end - start);
    drawTicks(svg, place, high);
    const move = svg.dataset.axis === "x" ? moveAcross : moveUp;
    for (const mark of marks) move(mark, place, found[mark.dataset.figure]);
  };

  const drawAll = (figures) => {
    const found = {};
    for (const [id, one] of Object.entries(figures)) {
      if (one) found[id] = { value: one.value * data.milligrams, half: one.half === null ? null : one.half * data.milligrams };
    }
    for (const svg of document.querySelectorAll("#what-if-section svg[data-axis]")) drawMarks(svg, found);
  };

  // a link reads out its figure too
  const writeFigure = (cell, text) => {
    cell.querySelector("b").textContent = text;
    const link = cell.querySelector("a[aria-label]");
    if (link) link.setAttribute("aria-label", link.getAttribute("aria-label").replace(/^.*?, n = /, `${text}, n = `));
  };

  // a share of nothing is no share: the cell says why, as the server's does
  const showNone = (cell) => {
    cell.dataset.value = "";
    writeFigure(cell, "\u2013");
    cell.querySelector("b").classList.add("none");
    cell.querySelector(".interval").textContent = "";
    if (cell.querySelector(".why")) return;
    const why = document.createElement("small");
    why.className = "why";
    why.textContent = data.noEmissions;
    cell.append(why);
  };

  const show = () => {
    const asked = {};
    for (const field of fields) {
      const value = Number(field.value.replace(",", "."));
      const isRight = field.value.trim() !== "" && value >= Number(field.dataset.least) && value <= Number(field.dataset.most);
      field.setAttribute("aria-invalid", String(!isRight));
      if (!isRight) {
        status.textContent = `Give a number from ${field.dataset.least} to ${field.dataset.most}.`;
        return;
      }
      asked[field.name] = value;
    }
    const joule = asked.intensity * data.perJoule;
    const second = (asked.embodied / asked.lifespan) * data.perSecond;
    const figures = {};
    for (const [id, one] of Object.entries(data.figures)) {
      const cell = document.getElementById(id);
      const found = worked(one, joule, second);
      figures[id] = found;
      if (!cell || one.n === 0) continue; // without energies a cell stays as it is
      if (!found) {
        if (one.how === "share") showNone(cell);
        continue;
      }
      cell.querySelector("b").classList.remove("none");
      cell.querySelector(".why")?.remove();
      cell.dataset.value = found.value;
      const isShare = one.how === "share";
      const milligrams = (value) => written(value * data.milligrams);
      writeFigure(cell, isShare ? `${Math.round(100 * found.value)}\u00a0%` : milligrams(found.value));
      cell.querySelector(".interval").textContent =
        found.half === null ? "" : `${milligrams(found.value - found.half)} to ${milligrams(found.value + found.half)}`;
    }
    drawAll(figures);
    const isStored = fields.every((field) => Math.abs(asked[field.name] - data.assumed[field.name]) < 1e-9);
    status.textContent = isStored ? "" : "Worked out here from the stored energy.";
  };

  if (!form.querySelector("button")) form.addEventListener("submit", (event) => event.preventDefault()); // a shared file
  for (const field of fields) {
    const slider = document.createElement("input");
    slider.type = "range";
    slider.min = field.dataset.least;
    slider.max = field.dataset.most;
    slider.step = field.dataset.step;
    slider.value = field.value;
    slider.setAttribute("aria-label", `${form.querySelector(`label[for="${field.id}"]`).textContent}, slider`);
    slider.addEventListener("input", () => {
      field.value = slider.value;
      show();
    });
    field.addEventListener("input", () => {
      slider.value = field.value;
      show();
    });
    field.after(slider);
  }
})();
