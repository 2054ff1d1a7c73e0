// A table with data-table="what" sorts by its heads, filters, pages and goes out as CSV; without this script it is read as it is.
// A cell's data-value is what it is sorted by; rows without a value ("–", empty) stay last. tfoot stays where it is.
// Every table of a plain grid tells its cells the names of their columns, so that it is a list on a phone, and on a screen
// of medium width that it would not fit (style.css).
"use strict";

(() => {
  const FILTERED_FROM = 6; // fewer rows are seen at a glance
  const PAGE_SIZE = 25;
  const collator = new Intl.Collator(document.documentElement.lang, { numeric: true, sensitivity: "base" });
  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  const shownText = (cell) => {
    const lines = cell.innerText === undefined ? cell.textContent : cell.innerText;
    return lines.split("\n").map((line) => line.trim()).filter(Boolean).join("; ").replace(/\s+/g, " ");
  };
  const isMissing = (value) => value === "" || value === "–";
  const valueOf = (cell) => (cell ? (cell.dataset.value ?? cell.textContent.replace(/\s+/g, " ").trim()) : "");
  const compare = (a, b) => {
    const [first, second] = [Number(a), Number(b)];
    return Number.isNaN(first) || Number.isNaN(second) ? collator.compare(a, b) : first - second;
  };

  const asCsv = (heads, rows) => {
    const isValued = heads.map((_, column) => rows.some((row) => row.cells[column]?.dataset.value !== undefined));
    const lines = [heads.flatMap((head, column) => (isValued[column] ? [head, `${head}, as shown`] : [head])).map(csvHead)];
    for (const row of rows) {
      lines.push(heads.flatMap((_, column) => {
        const cell = row.cells[column];
        const text = cell ? shownText(cell) : "";
        return isValued[column] ? [cell?.dataset.value ?? "", text] : [text];
      }));
    }
    return lines.map((line) => line.map(csvCell).join(",")).join("\r\n") + "\r\n";
  };
  const save = (text, name) => {
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };

  const dress = (table) => {
    table.dataset.dressed = "yes";
    const body = table.tBodies[0];
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    const given = body ? [...body.rows] : [];
    if (given.length < 2 || given.some((row) => row.cells.length !== heads.length)) return; // one row, or cells that span
    const what = table.dataset.table;
    const titles = heads.map((head) => head.textContent.replace(/\s+/g, " ").trim());
    const state = { column: -1, direction: "", wanted: "", page: 0 };
    const told = make("span", { className: "hint" });
    told.setAttribute("role", "status");
    const pages = make("nav", { className: "pages", hidden: true });
    pages.setAttribute("aria-label", `Pages of the table of ${what}`);

    const sorted = () => {
      if (!state.direction) return given;
      const sign = state.direction === "descending" ? -1 : 1;
      return [...given].sort((one, other) => {
        const [a, b] = [one, other].map((row) => valueOf(row.cells[state.column]));
        if (isMissing(a) || isMissing(b)) return Number(isMissing(a)) - Number(isMissing(b));
        return sign * compare(a, b);
      });
    };
    const kept = (rows) => rows.filter((row) => row.textContent.toLowerCase().includes(state.wanted));

    const show = () => {
      const rows = sorted();
      const found = kept(rows);
      const last = Math.max(0, Math.ceil(found.length / PAGE_SIZE) - 1);
      state.page = Math.min(state.page, last);
      body.append(...rows);
      for (const row of rows) row.hidden = !found.includes(row);
      found.forEach((row, number) => row.classList.toggle("off-page", Math.floor(number / PAGE_SIZE) !== state.page));
      heads.forEach((head, column) => {
        if (column === state.column && state.direction) head.setAttribute("aria-sort", state.direction);
        else head.removeAttribute("aria-sort");
      });
      orders.value = state.direction ? `${state.column} ${state.direction}` : "";
      const order = state.direction ? `, by ${titles[state.column]}, ${state.direction}` : "";
      told.textContent = `${found.length === given.length ? given.length : `${found.length} of ${given.length}`} rows${order}`;
      pages.hidden = last === 0;
      pageWords.textContent = `Page ${state.page + 1} of ${last + 1}`;
      [earlier.disabled, later.disabled] = [state.page === 0, state.page === last];
    };
    const turn = (by) => () => { state.page += by; show(); };
    const earlier = make("button", { type: "button", className: "quiet", textContent: "Previous", onclick: turn(-1) });
    const later = make("button", { type: "button", className: "quiet", textContent: "Next", onclick: turn(1) });
    const pageWords = make("span");
    pages.append(earlier, pageWords, later);

    heads.forEach((head, column) => {
      if (!titles[column] || head.dataset.sort === "no") return;
      const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
      button.addEventListener("click", () => {
        const next = { "": "ascending", ascending: "descending", descending: "" };
        state.direction = next[state.column === column ? state.direction : ""];
        state.column = column;
        show();
      });
      head.append(button);
    });

    const tools = make("div", { className: "table-tools" });
    if (given.length >= FILTERED_FROM) {
      const field = make("input", { type: "search", placeholder: "Filter", autocomplete: "off" });
      field.setAttribute("aria-label", `Filter the table of ${what}`);
      field.addEventListener("input", () => {
        [state.wanted, state.page] = [field.value.trim().toLowerCase(), 0];
        show();
      });
      tools.append(field);
    }
    const csv = make("button", { type: "button", className: "quiet", textContent: "CSV" });
    csv.setAttribute("aria-label", `The table of ${what} as CSV`);
    csv.addEventListener("click", () => {
      const found = kept(sorted());
      found.forEach((row) => row.classList.remove("off-page")); // innerText tells the lines only of what is shown
      save(asCsv(titles, [...found, ...(table.tFoot?.rows ?? [])]), `${what.replace(/[^\w-]+/g, "-")}.csv`);
      show();
    });
    const orders = make("select", { className: "orders" }); // for a phone, where the heads are not shown
    orders.setAttribute("aria-label", `Sort the table of ${what}`);
    orders.append(make("option", { value: "", textContent: "Sort by…" }));
    titles.forEach((title, column) => {
      if (!title || heads[column].dataset.sort === "no") return;
      for (const direction of ["ascending", "descending"]) {
        orders.append(make("option", { value: `${column} ${direction}`, textContent: `${title}, ${direction}` }));
      }
    });
    orders.addEventListener("change", () => {
      const [column, direction] = orders.value.split(" ");
      Object.assign(state, { column: direction ? Number(column) : -1, direction: direction ?? "", page: 0 });
      show();
    });
    if (table.dataset.named) tools.append(orders);
    tools.append(told);
    if (!hasFileOf(table)) tools.append(csv);
    const place = table.closest(".scroll") ?? table;
    place.before(tools);
    place.after(pages);
    show();
  };

  // the first column of each cell of a group of rows, a cell that spans rows counted in all of them; null where rows differ
  const placesIn = (rows, count) => {
    const places = new Map();
    const taken = Array(count).fill(0); // for how many rows more a column is
    for (const row of rows) {
      let column = 0;
      const skip = () => { while (taken[column] > 0) column += 1; };
      for (const cell of row.cells) {
        skip();
        places.set(cell, column);
        taken.fill(cell.rowSpan, column, column + cell.colSpan);
        column += cell.colSpan;
      }
      skip();
      if (column !== count || taken.length !== count) return null;
      taken.forEach((left, place) => { taken[place] = left - 1; });
    }
    return places;
  };

  const nameCells = (table) => {
    const heads = [...(table.tHead?.rows ?? [])];
    const count = heads[0]?.cells.length ?? 0;
    const groups = [...table.tBodies, table.tFoot].filter(Boolean).map((part) => placesIn(part.rows, count));
    if (heads.length !== 1 || count < 3 || groups.includes(null)) return; // two columns fit
    const titles = [...heads[0].cells].map((head) => head.textContent.replace(/\s+/g, " ").trim());
    for (const [cell, column] of groups.flatMap((places) => [...places])) {
      if (cell.colSpan === 1) cell.dataset.name ??= titles[column]; // one that spans columns has no name of its own
    }
    if (!table.dataset.named) offerOrders(table);
    table.dataset.named = "yes";
    table.classList.add("stacked");
  };

  // the heads by which the server sorts are not shown on a phone: the same links as a list that opens
  const offerOrders = (table) => {
    const links = [...table.tHead.querySelectorAll("a.sort")];
    if (!links.length) return;
    const sorted = links.find((link) => link.closest("th").ariaSort);
    const order = sorted ? `${sorted.textContent}, ${sorted.closest("th").ariaSort}` : "…";
    const items = links.map((link) => make("li", {}, make("a", { href: link.href, textContent: link.textContent })));
    const list = make("details", { className: "orders" }, make("summary", { textContent: `Sort by ${order}` }), make("ul", {}, ...items));
    (table.closest(".scroll") ?? table).before(list);
  };

  const [isPhone, isMedium] = ["46rem", "60rem"].map((width) => matchMedia(`(max-width: ${width})`));
  const listWhatDoesNotFit = () => {
    const tables = [...document.querySelectorAll(".scroll > table.stacked")];
    tables.forEach((table) => table.classList.remove("listed"));
    const isWide = tables.map(({ parentElement: place }) => place.scrollWidth > place.clientWidth + 1);
    tables.forEach((table, number) => {
      table.classList.toggle("listed", isPhone.matches || (isMedium.matches && isWide[number]));
    });
  };

  const dressAll = () => {
    document.querySelectorAll(".scroll > table:not(.grid)").forEach(nameCells);
    document.querySelectorAll("table[data-table]:not([data-dressed])").forEach(dress);
    listWhatDoesNotFit();
  };
  document.addEventListener("DOMContentLoaded", dressAll);
  document.addEventListener("htmx:afterSettle", dressAll);
  document.addEventListener("renewed", dressAll); // by server-sent events
  addEventListener("resize", listWhatDoesNotFit);
  document.addEventListener("toggle", listWhatDoesNotFit, true); // what is folded has no width
})();
