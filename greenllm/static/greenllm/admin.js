// Django's admin site closes its popups when a page unloads, by an event that browsers give up. `pagehide` tells the same.
// Loaded before Django's scripts, on the pages of the admin site alone.
"use strict";

(() => {
  const listen = window.addEventListener;
  window.addEventListener = (kind, ...rest) => listen.call(window, kind === "unload" ? "pagehide" : kind, ...rest);
})();
