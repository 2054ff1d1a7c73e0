// Django's admin site closes its popups when a page unloads, by an event that browsers give up. `pagehide` tells the same.
// Loaded before Django's scripts, on the pages of the admin site alone.
"use strict";

(() => {
  const listen = window.addEventListener;
  window.addEventListener = (kind, ...rest) => listen.call(window, kind === "unload" ? "pagehide" : kind, ...rest);

  // Django opens the sidebar by a script once the page is there, which pushed all of it aside: it has its room before
  if (localStorage.getItem("django.admin.navSidebarIsOpen") !== "false") {
    document.documentElement.classList.add("sidebar-awaited");
    document.addEventListener("DOMContentLoaded", () => document.documentElement.classList.remove("sidebar-awaited"));
  }
})();
