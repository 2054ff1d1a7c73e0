// The chat page while it streams; without this script the form sends, waits and shows the whole answer.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const form = byId("composer");
  if (!form || !window.ReadableStream) return;
  const [prompt, thread, problem, status] = ["prompt", "thread", "problem", "chat-status"].map(byId);
  const [sendButton, stopButton, deletion] = ["send", "stop", "delete"].map(byId);
  const THREAD_TRIES = 25;
  const THREAD_PAUSE_MS = 120;
  let current = null; // the exchange under way

  const isAtEnd = () => window.innerHeight + window.scrollY > document.documentElement.scrollHeight - 120;
  const toEnd = () => window.scrollTo({ top: document.documentElement.scrollHeight });
  const tell = (message) => {
    problem.textContent = message;
    problem.hidden = !message;
  };
  const dress = (root) => {
    if (navigator.clipboard) for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
  };

  const added = (templateId) => {
    const turn = document.importNode(byId(templateId).content.querySelector("article"), true);
    thread.append(turn);
    return turn;
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

  const newExchange = (text) => {
    const person = added("person-turn");
    person.querySelector(".said").textContent = text;
    const turn = added("live-turn");
    return {
      text,
      person,
      turn,
      answer: painter(turn.querySelector("[data-text]")),
      thinking: painter(turn.querySelector("[data-thinking]")),
      controller: new AbortController(),
      question: null,
      url: "",
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
    exchange.turn.querySelector("[data-model]").textContent = `${line.model} is answering…`;
    status.textContent = `${line.model} is answering.`;
    if (form.elements.conversation.value !== line.conversation) {
      form.elements.conversation.value = line.conversation;
      history.replaceState(null, "", line.url);
      document.title = `${line.title} – GreenLLM`;
      byId("chat-title").textContent = line.title;
      deletion.querySelector("form").action = `${line.url}delete/`;
      deletion.hidden = false;
    }
    if (form.elements.model.value === "auto") byId("auto").textContent = `auto (stays on ${line.model})`;
    list(line);
  };

  const finish = (exchange, line) => {
    const follows = isAtEnd();
    exchange.isFinished = true;
    const holder = document.createElement("div");
    holder.innerHTML = line.html; // made and cleaned by our own server
    const turn = holder.querySelector("article");
    exchange.turn.replaceWith(turn);
    dress(turn);
    status.textContent = line.text;
    if (follows) toEnd();
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
      exchange.person.remove();
      exchange.turn.remove();
      // a conversation that ended before it began was not kept
      if (exchange.wasNew && exchange.question !== null) forget(exchange);
    } else {
      exchange.turn.removeAttribute("aria-busy");
      exchange.turn.querySelector("[data-model]").textContent = "broken off";
    }
    if (!prompt.value) prompt.value = exchange.text;
    tell(message);
    status.textContent = "";
  };

  const forget = (exchange) => {
    for (const link of document.querySelectorAll("#conversation-list a")) {
      if (link.getAttribute("href") === exchange.url) link.parentElement.remove();
    }
    form.elements.conversation.value = "";
    history.replaceState(null, "", form.dataset.start);
    byId("chat-title").textContent = "New conversation";
    byId("auto").textContent = "auto";
    deletion.hidden = true;
  };

  // the server keeps what had come; it is shown as it was kept
  const renewThread = async (exchange) => {
    for (let left = THREAD_TRIES; left > 0; left -= 1) {
      const response = await fetch(`${exchange.url}thread/`);
      if (response.ok) {
        const holder = document.createElement("div");
        holder.innerHTML = await response.text();
        if (holder.querySelector(`[data-question="${exchange.question}"]`)) {
          thread.replaceChildren(...holder.children);
          dress(thread);
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
      exchange.person.remove();
      exchange.turn.remove();
      if (!prompt.value) prompt.value = exchange.text;
    } else await renewThread(exchange);
  };

  const send = async () => {
    const data = new FormData(form);
    const exchange = newExchange(prompt.value);
    exchange.wasNew = !form.elements.conversation.value;
    current = exchange;
    prompt.value = "";
    byId("welcome").hidden = true;
    tell("");
    setBusy(true);
    toEnd();
    try {
      const response = await fetch(form.action, {
        method: "POST", body: data, headers: { Accept: "application/x-ndjson" }, signal: exchange.controller.signal,
      });
      if (!response.ok) throw new Error(await problemOf(response));
      await read(exchange, response);
    } catch (error) {
      if (exchange.controller.signal.aborted) await stopped(exchange);
      else fail(exchange, error instanceof TypeError ? "The server cannot be reached. Send it again." : error.message);
    } finally {
      current = null;
      setBusy(false);
    }
  };

  const stop = () => {
    if (!current) return;
    stopButton.disabled = true;
    current.controller.abort();
    prompt.focus();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!current && prompt.value.trim()) send();
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
  });
  stopButton.addEventListener("click", stop);
  thread.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.closest("article").querySelector(".raw").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  dress(thread);
  if (thread.children.length) toEnd();
})();
