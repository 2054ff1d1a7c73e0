"use strict";
// Renews the part "Now" by server-sent events; without them it stays as it was when the page was opened.
(() => {
  document.addEventListener("DOMContentLoaded", () => {
    const part = document.querySelector("[data-live]");
    const state = document.getElementById("live-state");
    if (!part || !window.EventSource) return;
    const source = new EventSource(part.dataset.live);
    source.onmessage = (event) => {
      part.innerHTML = event.data;
      part.dispatchEvent(new Event("renewed", { bubbles: true })); // tables.js
      if (state) state.textContent = "Live: renewed whenever something changes.";
    };
    source.onerror = () => {
      if (state) state.textContent = source.readyState === EventSource.CLOSED ? "No longer live; open the page again." : "Connecting again…";
    };
    addEventListener("pagehide", () => source.close());
  });
})();
