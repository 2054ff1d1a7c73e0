// The chat page while it streams; without this script the form sends, waits and shows the whole answer.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const form = byId("composer");
  if (!form || !window.ReadableStream) return;
  const [prompt, thread, problem, status] = ["prompt", "thread", "problem", "chat-status"].map(byId);
  const [sendButton, stopButton, own] = ["send", "stop", "own"].map(byId);
  const THREAD_TRIES = 25;
  const THREAD_PAUSE_MS = 120;
  let current = null; // the exchange under way

  const isAtEnd = () => window.innerHeight + window.scrollY > document.documentElement.scrollHeight - 120;
  const toEnd = () => window.scrollTo({ top: document.documentElement.scrollHeight });
  const tell = (message) => {
    problem.textContent = message;
    problem.hidden = !message;
  };
  // chat_copy.js gives what is new its buttons
  const dress = (root) => document.dispatchEvent(new CustomEvent("answers-shown", { detail: root }));

  const added = (templateId) => {
    const turn = document.importNode(byId(templateId).content.querySelector("article"), true);
    thread.append(turn);
    return turn;
  };
  // a setting of the dial stays on the model that it chose; the others would choose anew
  const settle = (dial, model) => {
    for (const option of form.elements.model.querySelectorAll("[data-dial]")) {
      option.textContent = model && option.value === dial ? `${dial} (stays on ${model})` : option.value;
    }
  };
  const setBusy = (isBusy) => {
    sendButton.hidden = isBusy;
    stopButton.hidden = !isBusy;
    stopButton.disabled = false;
  };

  // pieces are painted at most once a frame
  const painter = (element) => {
    const node = element.appendChild(document.createTextNode(""));
    let waiting = "";
    const paint = () => {
      const follows = isAtEnd();
      node.appendData(waiting);
      waiting = "";
      if (follows) toEnd();
    };
    return {
      add(text) {
        if (!waiting) requestAnimationFrame(paint);
        waiting += text;
      },
      isEmpty: () => !node.data && !waiting,
    };
  };

  const latestAnswer = () => Math.max(0, ...[...thread.querySelectorAll("[data-answer]")].map((one) => Number(one.dataset.answer)));
  const turnOf = (key) => (key ? thread.querySelector(`[data-turn="${key}"]`) : null);
  const turnsFrom = (turn) => {
    const turns = [...thread.children];
    return turn ? turns.slice(turns.indexOf(turn)) : [];
  };

  // what the server has of the branch that is shown
  const showThread = (html) => {
    const holder = document.createElement("div");
    holder.innerHTML = html; // made and cleaned by our own server
    const now = holder.querySelector("#meter");
    if (now) byId("meter").replaceWith(now);
    thread.replaceChildren(...holder.children);
    dress(thread);
  };

  // a prompt and its answer; or another answer to the same prompt, because one was not good enough or just once more
  const newExchange = (text, button) => {
    const isRefusal = button?.classList.contains("refuse") ?? false;
    const edited = button ? "" : form.elements.edit.value;
    const latest = latestAnswer();
    for (const turn of turnsFrom(turnOf(isRefusal ? "" : button?.value ?? edited))) turn.remove();
    let person = null;
    if (!button) {
      person = added("person-turn");
      person.querySelector(".said").textContent = text;
    }
    const turn = added("live-turn");
    return {
      text: button ? "" : text,
      edited,
      isRefusal,
      changesThread: isRefusal || Boolean(edited || button), // beyond what is added at its end
      hasVersions: Boolean(edited || button) && !isRefusal,
      latestAnswer: latest,
      person,
      turn,
      answer: painter(turn.querySelector("[data-text]")),
      thinking: painter(turn.querySelector("[data-thinking]")),
      controller: new AbortController(),
      question: null,
      url: form.elements.conversation.value ? `${form.dataset.start}${form.elements.conversation.value}/` : "",
      isFinished: false,
    };
  };

  const list = (line) => {
    const links = byId("conversation-list");
    let entry = [...links.querySelectorAll("a")].find((link) => link.getAttribute("href") === line.url)?.parentElement;
    if (!entry) {
      byId("no-conversations")?.remove();
      entry = document.createElement("li");
      const link = entry.appendChild(document.createElement("a"));
      link.href = line.url;
      link.textContent = line.title;
      link.setAttribute("aria-current", "page");
    }
    links.prepend(entry);
  };

  const begin = (exchange, line) => {
    exchange.question = line.question;
    exchange.url = line.url;
    const edit = exchange.person?.querySelector(".edit");
    if (edit) {
      exchange.person.dataset.turn = line.question;
      edit.href = `${line.url}?edit=${line.question}#composer`;
      edit.hidden = false;
    }
    exchange.model = line.model;
    exchange.turn.querySelector("[data-model]").textContent = `${line.model} is answering…`;
    status.textContent = `${line.model} is answering.`;
    if (form.elements.conversation.value !== line.conversation) {
      form.elements.conversation.value = line.conversation;
      history.replaceState(null, "", line.url);
      document.title = `${line.title} – GreenLLM`;
      byId("chat-title").textContent = line.title;
      for (const one of own.querySelectorAll("[data-path]")) {
        one.setAttribute(one.tagName === "FORM" ? "action" : "href", line.url + one.dataset.path);
      }
      byId("title").value = line.title;
      own.hidden = false;
    }
    if (form.elements.model.selectedOptions[0].hasAttribute("data-dial") && !exchange.isRefusal) {
      settle(form.elements.model.value, line.model);
    }
    list(line);
  };

  const moved = (exchange) => {
    form.elements.model.value = "auto";
    settle("auto", exchange.model);
  };

  const finish = (exchange, line) => {
    const follows = isAtEnd();
    exchange.isFinished = true;
    const holder = document.createElement("div");
    holder.innerHTML = line.html; // made and cleaned by our own server
    const turn = holder.querySelector("article");
    exchange.turn.replaceWith(turn);
    dress(turn);
    holder.innerHTML = line.meter;
    byId("meter").replaceWith(holder.querySelector("#meter"));
    if (line.refused) {
      holder.innerHTML = line.refused;
      const replaced = holder.querySelector("article");
      thread.querySelector(`[data-answer="${line.answer}"]`)?.replaceWith(replaced);
      dress(replaced);
      moved(exchange);
    }
    status.textContent = line.text;
    if (follows) toEnd();
  };

  // the turns with the versions of each
  const reload = async (exchange) => {
    const response = await fetch(`${exchange.url}thread/`);
    if (response.ok && current === null) showThread(await response.text());
  };

  const take = (exchange, line) => {
    if (line.kind === "begun") begin(exchange, line);
    else if (line.kind === "text") exchange.answer.add(line.text);
    else if (line.kind === "thinking") {
      exchange.turn.querySelector(".thinking").hidden = false;
      exchange.thinking.add(line.text);
    } else if (line.kind === "finished") finish(exchange, line);
    else if (line.kind === "problem") throw new Error(line.message);
  };

  const read = async (exchange, response) => {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) take(exchange, JSON.parse(line));
    }
    if (!exchange.isFinished) throw new Error("The connection broke off. Send it again.");
  };

  const problemOf = async (response) => {
    const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
    if (isJson) return (await response.json()).problem;
    if (response.status === 403) return "The page is too old to send this. Reload it; copy your prompt first.";
    return `The server answered with status ${response.status}. Try again.`;
  };

  const fail = (exchange, message) => {
    if (exchange.answer.isEmpty()) {
      if (exchange.changesThread) restore(exchange);
      exchange.person?.remove();
      exchange.turn.remove();
      // a conversation that ended before it began was not kept
      if (exchange.wasNew && exchange.question !== null) forget(exchange);
    } else {
      exchange.turn.removeAttribute("aria-busy");
      exchange.turn.querySelector("[data-model]").textContent = "broken off";
      if (exchange.changesThread) renewThread(exchange);
    }
    if (!prompt.value && exchange.text) prompt.value = exchange.text;
    tell(message);
    status.textContent = "";
  };

  // nothing has changed on the server: it is shown as it was, and a prompt that was to be changed still is
  const restore = (exchange) => {
    if (exchange.edited) edit(exchange.edited);
    reload(exchange);
  };

  const forget = (exchange) => {
    for (const link of document.querySelectorAll("#conversation-list a")) {
      if (link.getAttribute("href") === exchange.url) link.parentElement.remove();
    }
    form.elements.conversation.value = "";
    history.replaceState(null, "", form.dataset.start);
    byId("chat-title").textContent = "New conversation";
    settle("", "");
    own.hidden = true;
  };

  // the server keeps what had come; it is shown as it was kept
  const renewThread = async (exchange) => {
    for (let left = THREAD_TRIES; left > 0; left -= 1) {
      const response = await fetch(`${exchange.url}thread/`);
      if (response.ok) {
        const html = await response.text();
        const holder = document.createElement("div");
        holder.innerHTML = html;
        const answers = [...holder.querySelectorAll(`[data-question="${exchange.question}"]`)];
        if (answers.some((one) => Number(one.dataset.answer) > exchange.latestAnswer)) {
          showThread(html);
          if (exchange.isRefusal) moved(exchange);
          return;
        }
      }
      await new Promise((resolve) => { setTimeout(resolve, THREAD_PAUSE_MS); });
    }
    exchange.turn.removeAttribute("aria-busy");
    exchange.turn.querySelector("[data-model]").textContent = "stopped";
  };

  const stopped = async (exchange) => {
    status.textContent = "Stopped.";
    if (exchange.question === null) {
      exchange.person?.remove();
      exchange.turn.remove();
      if (!prompt.value && exchange.text) prompt.value = exchange.text;
      if (exchange.changesThread) restore(exchange);
    } else await renewThread(exchange);
  };

  const send = async (button = null) => {
    const data = new FormData(form);
    if (button) {
      data.set("answer", button.value);
      data.delete("edit");
    }
    const address = button?.formAction ?? form.action;
    const exchange = newExchange(prompt.value, button);
    exchange.wasNew = !form.elements.conversation.value;
    current = exchange;
    if (!button) {
      prompt.value = "";
      leaveEdit();
    }
    byId("welcome").hidden = true;
    tell("");
    setBusy(true);
    if (button) stopButton.focus(); // the pressed button goes
    toEnd();
    try {
      const response = await fetch(address, {
        method: "POST", body: data, headers: { Accept: "application/x-ndjson" }, signal: exchange.controller.signal,
      });
      if (!response.ok) throw new Error(await problemOf(response));
      await read(exchange, response);
    } catch (error) {
      if (exchange.controller.signal.aborted) await stopped(exchange);
      else fail(exchange, error instanceof TypeError ? "The server cannot be reached. Send it again." : error.message);
    } finally {
      current = null;
      if (exchange.isFinished && exchange.hasVersions) await reload(exchange);
      if (document.activeElement === stopButton) prompt.focus();
      setBusy(false);
    }
  };

  const stop = () => {
    if (!current) return;
    stopButton.disabled = true;
    current.controller.abort();
    prompt.focus();
  };

  const edit = (key) => {
    form.elements.edit.value = key;
    byId("editing").hidden = false;
    byId("keep").href = `${form.dataset.start}${form.elements.conversation.value}/`;
  };
  const leaveEdit = () => {
    form.elements.edit.value = "";
    byId("editing").hidden = true;
  };

  const changedThread = async (button) => {
    const data = new FormData(form);
    data.set(button.name, button.value);
    const response = await fetch(button.formAction, { method: "POST", body: data, headers: { "X-Part": "thread" } });
    if (response.ok) showThread(await response.text());
    else tell("That could not be done. Reload the page and try again; copy your prompt first.");
    return response.ok;
  };

  // another version of a turn, with what was said after it
  const show = async (button) => {
    const isLater = button.getAttribute("aria-label") === "Later version";
    if (!(await changedThread(button))) return;
    const versions = turnOf(button.value)?.querySelector(".versions");
    const [earlier, later] = versions?.querySelectorAll("button") ?? [];
    (isLater && !later?.disabled ? later : earlier?.disabled ? later : earlier)?.focus();
    status.textContent = `Version ${versions?.querySelector("span").textContent ?? ""}`;
  };

  const giveThumb = async (button) => {
    if (!(await changedThread(button))) return;
    const again = turnOf(button.value)?.querySelector(`[name="${button.name}"]`);
    again?.focus();
    status.textContent = again?.getAttribute("aria-pressed") === "true" ? "Noted." : "Taken back.";
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (current) return;
    const button = event.submitter;
    if (button?.name === "turn") show(button);
    else if (button?.name === "up" || button?.name === "down") giveThumb(button);
    else if (button?.name === "answer") send(button);
    else if (prompt.value.trim()) send();
  });
  let draft = ""; // what was being written before an earlier prompt was taken up
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.edit, a#keep");
    if (!link || current || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.id === "keep") {
      leaveEdit();
      prompt.value = draft;
      draft = "";
    } else {
      const turn = link.closest("article");
      if (!form.elements.edit.value) draft = prompt.value;
      edit(turn.dataset.turn);
      prompt.value = turn.querySelector(".said").textContent;
    }
    prompt.focus();
  });
  prompt.addEventListener("keydown", (event) => {
    const isPlainEnter = event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (isPlainEnter && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") stop();
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      byId("search").focus();
      byId("search").select();
    }
  });
  stopButton.addEventListener("click", stop);
  // in place, so that what is being written stays
  byId("rename").addEventListener("submit", async (event) => {
    event.preventDefault();
    const renaming = event.target;
    const response = await fetch(renaming.action, { method: "POST", body: new FormData(renaming) });
    if (!response.ok) {
      tell("The title cannot be taken: it must have from 1 to 100 characters.");
      return;
    }
    const title = renaming.elements.title.value.trim().split(/\s+/).join(" ");
    byId("chat-title").textContent = title;
    document.title = `${title} – GreenLLM`;
    const entry = byId("conversation-list").querySelector("[aria-current]");
    if (entry) entry.textContent = title;
    const menu = renaming.closest("details");
    menu.open = false;
    menu.querySelector("summary").focus();
    tell("");
    status.textContent = `Renamed to ${title}.`;
  });
  dress(thread);
  if (thread.children.length) toEnd();
})();
