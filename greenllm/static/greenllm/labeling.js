// The labeling page. A verdict shows the next answer at once, which is here already, and is saved behind it.
// Votes go to the server one after the other and are sent again until they are saved; without this script the same
// forms post and reload.
"use strict";

(() => {
  const desk = document.getElementById("desk");
  if (!desk) return;

  const SEEN_MS = 150; // so long an answer has been painted before a key can judge it: nobody reads faster
  const MAX_ACTIVE_MS = 120000;
  const RENEW_MS = 120000;
  const RETRY_MS = [500, 1500, 4000];

  const answerBox = document.getElementById("answer");
  const judgeForm = document.getElementById("judge");
  const undoForm = document.getElementById("undo");
  const verdictButtons = judgeForm.querySelector("fieldset");
  const told = document.getElementById("told");
  const said = document.getElementById("said");
  const unsaved = document.getElementById("unsaved");
  const help = document.getElementById("help");
  const helpButton = document.getElementById("help-button");
  const keysSwitch = document.getElementById("keys-switch");
  const latest = document.getElementById("latest");
  const panels = [...document.querySelectorAll(".extra")]; // comment and flag, of the answer on the screen
  const flagReason = document.getElementById("reason");

  let ahead = [...document.getElementById("ahead").content.querySelectorAll("article")];
  let awaitedSince = null; // when the key was pressed whose next answer was not here yet
  let isReady = false; // whether the answer on the screen may be judged
  let showing = 0; // counts what was shown, so that a late paint readies nothing else
  let shownAt = 0;
  let active = 0;
  let activeSince = null;
  let isGuidelineOpen = false;
  let isLatestOpen = false;
  let isUndoing = false;

  // --- what is on the screen ---------------------------------------------------------------------------------------

  const current = () => answerBox.querySelector("article[data-answer]");
  const idOf = (article) => (article ? article.dataset.answer : null);

  function show(element, { pressedAt = null, focus = true } = {}) {
    const number = ++showing;
    isReady = false;
    answerBox.replaceChildren(element);
    const isAnswer = element.matches("article[data-answer]");
    verdictButtons.hidden = !isAnswer;
    for (const panel of panels) panel.hidden = !isAnswer;
    clearPanels();
    const guideline = element.querySelector("details.guideline");
    if (guideline) guideline.open = isGuidelineOpen;
    markKeys(element);
    if (focus) {
      element.querySelector("h2").focus({ preventScroll: true });
      if (element.getBoundingClientRect().top < 0) element.scrollIntoView({ block: "start" });
    }
    // The first frame lays out and paints, the second one comes when that is on the screen.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (number !== showing) return;
      if (pressedAt !== null) performance.measure("labeling-next", { start: pressedAt, end: performance.now() });
      startTimer();
      if (isAnswer) setTimeout(() => number === showing && ready(element), SEEN_MS);
    }));
  }

  function ready(element) {
    isReady = true;
    element.dataset.ready = "";
  }

  function showWaiting() {
    const waiting = document.createElement("section");
    waiting.className = "card";
    const heading = document.createElement("h2");
    heading.tabIndex = -1;
    heading.textContent = "The next answer is on its way…";
    waiting.append(heading);
    show(waiting);
  }

  function startTimer() {
    shownAt = performance.now();
    active = 0;
    activeSince = document.visibilityState === "visible" ? shownAt : null;
  }

  function activeMs() {
    const running = activeSince === null ? 0 : performance.now() - activeSince;
    return Math.round(Math.min(active + running, MAX_ACTIVE_MS));
  }

  function clearPanels() {
    for (const panel of panels) {
      panel.open = false;
      panel.querySelector("textarea").value = "";
    }
  }

  function tell(element) {
    told.replaceChildren(...(element ? [element] : []));
  }

  // --- saving: one request after the other, each until it has arrived ----------------------------------------------

  const queue = [];
  let isSending = false;
  let contactAt = performance.now();
  const decided = () => new Set(queue.map((job) => job.answer).filter(Boolean));

  function enqueue(job) {
    queue.push(job);
    if (!isSending) void sendAll();
  }

  async function sendAll() {
    isSending = true;
    while (queue.length > 0) {
      const job = queue[0];
      const text = await send(job);
      if (text === null) break; // the person was told; "Try again" goes on from here
      queue.shift();
      contactAt = performance.now();
      if (!job.isSilent) take(text, job);
    }
    isSending = false;
  }

  async function send(job) {
    for (let attempt = 0; ; attempt++) {
      let status = 0;
      try {
        const response = await fetch(job.url, {
          method: "POST", body: job.data, keepalive: true, redirect: "error",
          headers: { "HX-Request": "true", "X-CSRFToken": csrfToken() },
        });
        status = response.status;
        if (response.ok) {
          unsaved.hidden = true;
          return await response.text();
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // fetch says so when the server cannot be reached
      }
      if (status === 403 || (status >= 400 && status < 500) || attempt >= RETRY_MS.length) {
        sayUnsaved(status);
        return null;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS[attempt]));
    }
  }

  function csrfToken() {
    // Signing in again in another window changes the token; the cookie has the one that counts.
    const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
    return cookie ? cookie.slice("csrftoken=".length) : judgeForm.elements.csrfmiddlewaretoken.value;
  }

  function sayUnsaved(status) {
    const why = status === 403
      ? "You are signed out, or may not judge answers any more. Sign in again in another window, then try again here."
      : status === 0 ? "The server cannot be reached." : `The server had a problem (${status}).`;
    const count = queue.filter((job) => job.answer).length;
    const what = count ? ` ${count} verdict${count === 1 ? " is" : "s are"} not saved yet, and kept in this window.` : "";
    unsaved.querySelector("[data-text]").textContent = why + what;
    unsaved.hidden = false;
    isReady = false;
  }

  unsaved.querySelector("[data-retry]").addEventListener("click", () => {
    if (!isSending) void sendAll().then(() => {
      const article = current();
      if (unsaved.hidden && article) ready(article);
    });
  });

  window.addEventListener("beforeunload", (event) => {
    if (queue.some((job) => job.answer)) event.preventDefault();
  });

  // --- what the server says ----------------------------------------------------------------------------------------

  function take(text, job) {
    const template = document.createElement("template");
    template.innerHTML = text; // our own server's page, escaped there
    const part = (name) => template.content.querySelector(`[data-${name}]`);
    const progress = part("progress");
    if (progress) document.getElementById("progress").replaceChildren(...progress.childNodes);
    takeLatest(part("latest"));
    const message = part("told");
    if (job.isAside) takeEvidence(template.content);
    if (message && job.isAside) said.textContent = message.textContent;
    if (message && (job.isUndo || message.classList.contains("problem"))) tell(message);
    if (message && job.isUndo) said.textContent = message.textContent;
    const taken = decided();
    const held = [...template.content.querySelectorAll("article[data-answer]")].filter((one) => !taken.has(idOf(one)));
    if (job.isUndo) isUndoing = false;
    const onScreen = idOf(current());
    if (!job.isUndo && onScreen && held.some((one) => idOf(one) === onScreen)) {
      ahead = held.filter((one) => idOf(one) !== onScreen);
      return;
    }
    if (onScreen && !job.isUndo && !message?.classList.contains("problem")) sayGone();
    const empty = part("empty");
    ahead = held.slice(1);
    if (held[0]) show(held[0], { pressedAt: job.isUndo ? job.pressedAt : awaitedSince });
    else if (empty && queue.length === 0) show(empty);
    if (held[0]) awaitedSince = null;
  }

  function takeLatest(part) {
    const isTypedIn = latest.contains(document.activeElement) && isTyping(document.activeElement);
    if (!part || isTypedIn) return; // nobody's half a comment is thrown away
    latest.replaceChildren(...part.childNodes);
    const details = latest.querySelector("details");
    if (details) details.open = isLatestOpen;
  }

  function takeEvidence(content) {
    const article = current();
    const slot = article?.querySelector("[data-evidence]");
    const found = content.querySelector(`article[data-answer="${idOf(article)}"] [data-evidence]`);
    if (!slot || !found) return;
    const hadFocus = slot.contains(document.activeElement);
    slot.replaceWith(found);
    markKeys(found);
    if (hadFocus) article.querySelector("h2").focus({ preventScroll: true });
    said.textContent = found.textContent.trim().replace(/\s+/g, " ");
  }

  function sayGone() {
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = "Your time for the answer on the screen had run out and somebody else has it now.";
    tell(note);
  }

  // --- what the person does ----------------------------------------------------------------------------------------

  function decide(button, pressedAt) {
    const article = current();
    if (!isReady || !article || isUndoing) return;
    const data = new FormData(judgeForm);
    if (button.name) data.set(button.name, button.value);
    if (button.dataset.action === "evidence") {
      enqueue({ url: button.getAttribute("formaction"), data, answer: null, isUndo: false, isAside: true });
      return;
    }
    if (button.dataset.action === "send-flag" && !flagReason.value.trim()) {
      said.textContent = "Say in a few words what is wrong with it.";
      flagReason.focus();
      return;
    }
    data.set("elapsed_ms", String(Math.round(performance.now() - shownAt)));
    data.set("active_ms", String(activeMs()));
    tell(null);
    const next = ahead.shift();
    const job = { url: button.getAttribute("formaction") ?? judgeForm.action, data, answer: idOf(article), isUndo: false };
    if (next) {
      show(next, { pressedAt });
    } else {
      awaitedSince = pressedAt;
      showWaiting();
    }
    said.textContent = `${button.dataset.said} ${next ? `Next: ${next.dataset.category}.` : ""}`;
    enqueue(job);
  }

  function undo(pressedAt) {
    if (isUndoing || !unsaved.hidden) return;
    isUndoing = true;
    isReady = false;
    enqueue({ url: undoForm.action, data: new FormData(undoForm), answer: null, isUndo: true, pressedAt });
  }

  function toggle(selector) {
    const details = answerBox.querySelector(selector);
    if (details) details.open = !details.open;
  }

  function openPanel(id) {
    const panel = document.getElementById(id);
    if (panel.hidden) return;
    for (const other of panels) if (other !== panel) other.open = false;
    panel.open = true;
    panel.querySelector("textarea").focus();
  }

  // Enter ends what is typed: a flag is sent, a comment waits for the verdict. Escape leaves without a flag.
  for (const panel of panels) {
    panel.querySelector("textarea").addEventListener("keydown", (event) => {
      if (event.isComposing || (event.key === "Enter" && event.shiftKey)) return;
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      const send = panel.querySelector("[data-action=send-flag]");
      if (send && event.key === "Enter") {
        if (!event.repeat) send.click();
        return;
      }
      if (!event.target.value.trim() || send) panel.open = false;
      current()?.querySelector("h2").focus({ preventScroll: true });
    });
  }
  latest.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    current()?.querySelector("h2").focus({ preventScroll: true });
    enqueue({ url: form.action, data: new FormData(form), answer: null, isUndo: false, isAside: true });
  });
  latest.addEventListener("toggle", (event) => {
    if (event.target.matches(".latest-details")) isLatestOpen = event.target.open;
  }, true);

  // The second click of a double click would judge an answer that has only just come.
  desk.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest(".verdict")) event.preventDefault();
  });
  judgeForm.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter) decide(event.submitter, event.timeStamp);
  });
  undoForm.addEventListener("submit", (event) => {
    event.preventDefault();
    undo(event.timeStamp);
  });
  answerBox.addEventListener("toggle", (event) => {
    if (event.target.matches("details.guideline")) isGuidelineOpen = event.target.open;
  }, true);

  // --- keys --------------------------------------------------------------------------------------------------------

  const down = new Set(); // keys that are down now, by their place on the keyboard
  const isTyping = (element) =>
    element instanceof Element &&
    element.closest("textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])") !== null;

  function markKeys(root) {
    for (const element of root.querySelectorAll("[data-key]")) {
      if (keysSwitch.checked) element.setAttribute("aria-keyshortcuts", element.dataset.key);
      else element.removeAttribute("aria-keyshortcuts");
    }
  }

  function useKeys(isOn) {
    keysSwitch.checked = isOn;
    desk.classList.toggle("has-keys", isOn);
    markKeys(desk);
  }

  keysSwitch.addEventListener("change", () => {
    useKeys(keysSwitch.checked);
    const data = new FormData();
    data.set("on", keysSwitch.checked ? "1" : "0");
    enqueue({ url: keysSwitch.dataset.url, data, answer: null, isUndo: false, isSilent: true });
  });

  const doing = {
    undo: (element, event) => undo(event.timeStamp),
    comment: () => openPanel("comment-panel"),
    flag: () => openPanel("flag-panel"),
    reference: () => toggle(".side-reference"),
    guideline: () => toggle("details.guideline"),
    help: () => help.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const isHeld = event.repeat || down.has(event.code);
    down.add(event.code);
    const key = event.key.toLowerCase();
    if (isHeld || event.isComposing || !keysSwitch.checked || isTyping(event.target)) return;
    const isLetter = key !== key.toUpperCase();
    if (document.querySelector("dialog[open]") || (event.shiftKey && isLetter)) return;
    const element = desk.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!element) return;
    const act = doing[element.dataset.action] ?? ((button) => decide(button, event.timeStamp));
    act(element, event);
    event.preventDefault();
  });
  document.addEventListener("keyup", (event) => down.delete(event.code));
  window.addEventListener("blur", () => down.clear());

  // --- time: what counts as active, and who is still there ---------------------------------------------------------

  let didSomething = false;
  for (const kind of ["pointermove", "keydown", "scroll"]) {
    document.addEventListener(kind, () => { didSomething = true; }, { passive: true });
  }

  function renew() {
    didSomething = false;
    if (queue.length === 0 && current()) {
      const data = new FormData();
      enqueue({ url: desk.dataset.renewUrl, data, answer: null, isUndo: false });
    }
  }

  setInterval(() => {
    if (didSomething && document.visibilityState === "visible") renew();
  }, RENEW_MS);

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      activeSince = performance.now();
      if (performance.now() - contactAt > RENEW_MS) renew();
    } else if (activeSince !== null) {
      active += performance.now() - activeSince;
      activeSince = null;
    }
  });

  // --- the start ---------------------------------------------------------------------------------------------------

  helpButton.hidden = false;
  helpButton.addEventListener("click", () => help.showModal());
  useKeys(keysSwitch.checked);
  const first = answerBox.firstElementChild;
  if (first) show(first, { focus: false });
})();
