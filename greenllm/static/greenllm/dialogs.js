// A link with data-dialog opens the page that asks in a dialog on this page; without this script it leads there.
"use strict";

(() => {
  const isPlain = (event) => event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);

  const open = (asked, link) => {
    const dialog = document.createElement("dialog");
    dialog.append(...asked.childNodes);
    const heading = dialog.querySelector("h1, h2");
    if (heading?.id) dialog.setAttribute("aria-labelledby", heading.id);
    for (const form of dialog.querySelectorAll("form:not([action])")) form.action = link.href; // it posts to its own page
    const back = dialog.querySelector(".actions a.quiet");
    back?.setAttribute("autofocus", ""); // the harmless answer
    back?.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (!link.isConnected && link.id) document.getElementById(link.id)?.focus(); // it was drawn anew meanwhile
    });
    document.body.append(dialog);
    dialog.showModal();
  };

  document.addEventListener("click", async (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[data-dialog]") : null;
    if (!link || !isPlain(event) || !window.HTMLDialogElement) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const asked = answer.ok && !answer.redirected ? page.querySelector("main > section form")?.closest("section") : null;
      if (!asked) throw new Error("nothing to ask"); // signed out, or the page only tells something
      open(asked, link);
    } catch {
      window.location.assign(link.href);
    }
  });
})();
