// Small conveniences of every page, which all work without them: sending by Ctrl + Enter, and messages that go by themselves.
"use strict";

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
  document.addEventListener("toast", (event) => {
    const toast = document.createElement("p");
    toast.className = event.detail.is_problem ? "problem" : "note";
    toast.textContent = event.detail.text;
    place?.append(toast);
    dress(toast);
  });
})();
