// Small conveniences of every page, which all work without them: sending by Ctrl + Enter, and messages that go by themselves.
"use strict";

// a cell of CSV, for the tables and charts of every page; what a spreadsheet would run gets an apostrophe (benchmarks/spreadsheets.py)
const csvCell = (value) => {
  const text = String(value ?? "");
  const isRun = /^'*[=+\-@\t\r\n＝＋－＠]/.test(text) && Number.isNaN(Number(text));
  return `"${(isRun ? `'${text}` : text).replaceAll('"', '""')}"`;
};

// the head of a column of CSV, in which CO₂e is written as in the server's own files
const csvHead = (title) => title.replaceAll("CO₂e", "CO2e");

// whether the part of a page that a table or chart is in offers the numbers as the server's own file already
const hasFileOf = (element) => Boolean(element.closest("section, .card")?.querySelector(':scope > .head a[href*=".csv"]'));

document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && field instanceof HTMLTextAreaElement && field.form) {
    event.preventDefault();
    field.form.requestSubmit();
  }
});

(() => {
  const READING_MS = 6000; // and longer the longer it is
  const MS_PER_LETTER = 60;

  const dress = (toast) => {
    const close = document.createElement("button");
    close.type = "button";
    close.className = "close";
    close.setAttribute("aria-label", "Close this message");
    close.textContent = "×";
    close.addEventListener("click", () => toast.remove());
    const span = READING_MS + MS_PER_LETTER * toast.textContent.length;
    toast.append(close);
    if (toast.classList.contains("problem")) return; // what went wrong stays until it was closed
    let timer = 0;
    const wait = () => { timer = setTimeout(() => toast.remove(), span); };
    const stay = () => clearTimeout(timer);
    for (const name of ["mouseenter", "focusin"]) toast.addEventListener(name, stay);
    for (const name of ["mouseleave", "focusout"]) toast.addEventListener(name, wait);
    wait();
  };

  const place = document.getElementById("messages");
  place?.querySelectorAll("p").forEach(dress);

  // an answer to htmx says it by the header HX-Trigger: greenllm.toasts.with_toast
  const say = (text, isProblem) => {
    const toast = document.createElement("p");
    toast.className = isProblem ? "problem" : "note";
    toast.textContent = text;
    toast.dataset.said = text;
    place?.append(toast);
    dress(toast);
  };
  document.addEventListener("toast", (event) => say(event.detail.text, event.detail.is_problem));

  // what htmx asked for and did not get: said once, however often a part that renews itself asks again
  const sayOnce = (text) => {
    const isSaid = [...(place?.children ?? [])].some((toast) => toast.dataset.said === text);
    if (!isSaid) say(text, true);
  };
  const WHY = {
    403: "You may not do this, or you were signed out meanwhile. Load the page again.",
    404: "It is no longer there. Load the page again.",
    429: "Too many requests at once. Wait a moment and try again.",
  };
  document.addEventListener("htmx:responseError", (event) => {
    const answer = event.detail.xhr;
    if ((answer.getResponseHeader("HX-Trigger") ?? "").includes("toast")) return; // the server said it itself
    const isServers = answer.status >= 500;
    sayOnce(WHY[answer.status] ?? (isServers
      ? `The server failed (${answer.status}). Nothing may have changed; its log says why.`
      : `The server did not take this (${answer.status}). Load the page again and check what you gave.`));
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, () => sayOnce("The server cannot be reached. Check that it runs, and try again."));
  }
})();
