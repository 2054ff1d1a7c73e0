// Buttons of the chat page that copy an answer or one block of its code; without a script there are none.
"use strict";

(() => {
  if (!navigator.clipboard) return;
  const SAID_MS = 1500;

  const codeButton = () => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet copy-code";
    button.dataset.copyCode = "";
    button.textContent = "Copy code";
    return button;
  };

  const dress = (root) => {
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
    for (const block of root.querySelectorAll(".markdown pre")) {
      const holder = document.createElement("div");
      holder.className = "code";
      block.replaceWith(holder);
      holder.append(codeButton(), block);
    }
    for (const formula of root.querySelectorAll(".markdown .formula")) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0; // to be scrolled by keyboard
    }
  };

  const copy = async (button, text, name) => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = name; }, SAID_MS);
  };

  document.addEventListener("answers-shown", (event) => dress(event.detail));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-code]");
    if (!button) return;
    if ("copyCode" in button.dataset) copy(button, button.nextElementSibling.textContent, "Copy code");
    else copy(button, button.closest("article").querySelector(".raw").textContent, "Copy");
  });
})();
