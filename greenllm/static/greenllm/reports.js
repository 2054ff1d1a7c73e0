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

  // three significant digits, as the server writes them
  const written = (value) => {
    const text = Number(value.toPrecision(3));
    const exponent = text ? Math.floor(Math.log10(Math.abs(text)) + 1e-12) : 0;
    if (exponent <= -7 || exponent >= 7) return text.toExponential(2);
    const digits = Math.max(0, 2 - exponent);
    return text.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
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
    for (const [id, one] of Object.entries(data.figures)) {
      const cell = document.getElementById(id);
      const found = worked(one, joule, second);
      if (!cell || !found) continue;
      const isShare = one.how === "share";
      const milligrams = (value) => written(value * data.milligrams);
      cell.querySelector("b").textContent = isShare ? `${Math.round(100 * found.value)}\u00a0%` : milligrams(found.value);
      cell.querySelector(".interval").textContent =
        found.half === null ? "" : `${milligrams(found.value - found.half)} to ${milligrams(found.value + found.half)}`;
    }
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
