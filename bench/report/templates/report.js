"use strict";
// What the page does beyond being read: sort, filter, other columns, the details of a row, charts that answer.
(() => {
  const ROWS_AT_FIRST = 2000; // more cells than these take a browser seconds to lay out
  const SVG_POINTS = 2000; // above, a canvas draws faster
  const data = JSON.parse(document.getElementById("data").textContent);
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const find = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };
  document.documentElement.classList.add("script");

  // --- tables

  function compare(column, direction) {
    const { values } = column;
    return (a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === null || y === null) return (x === null) - (y === null); // what is missing comes last both ways
      const order = typeof x === "number" && typeof y === "number" ? x - y : collator.compare(x, y);
      return direction * order;
    };
  }

  function setUpTable(table, number) {
    const { columns, rows } = data.tables[number];
    const body = table.tBodies[0];
    const lines = [...body.rows];
    const heads = find("thead th", table);
    const more = find(`[data-more="${number}"]`)[0];
    const count = find(`[data-count="${number}"]`)[0];
    const state = { column: -1, direction: 1, words: [], all: lines.length <= ROWS_AT_FIRST };
    let texts = null;

    function show() {
      const order = lines.map((_, index) => index);
      if (state.column >= 0) order.sort(compare(columns[state.column], state.direction));
      const fragment = document.createDocumentFragment();
      let matching = 0;
      for (const index of order) {
        const matches = state.words.every((word) => texts[index].includes(word));
        matching += matches;
        const rest = matches && !state.all && matching > ROWS_AT_FIRST;
        lines[index].hidden = !matches || rest;
        lines[index].toggleAttribute("data-rest", rest);
        fragment.append(lines[index]);
      }
      body.append(fragment);
      count.value = matching === lines.length ? `${matching} rows` : `${matching} of ${lines.length} rows`;
      more.hidden = state.all || matching <= ROWS_AT_FIRST;
      more.textContent = `Show all ${matching} rows`;
    }

    function sortBy(index) {
      const first = columns[index].better === "higher" ? -1 : 1;
      if (state.column !== index) [state.column, state.direction] = [index, first];
      else if (state.direction === first) state.direction = -first;
      else state.column = -1; // the order of the suite again
      heads.forEach((head, other) => {
        if (other !== state.column) head.removeAttribute("aria-sort");
        else head.setAttribute("aria-sort", state.direction > 0 ? "ascending" : "descending");
      });
      show();
    }

    function addButton(head, index) {
      const button = make("button", { type: "button", title: columns[index].description });
      button.append(...head.childNodes);
      button.addEventListener("click", () => sortBy(index));
      head.append(button);
    }

    function addColumn(index) {
      const column = columns[index];
      const head = make("th", { scope: "col", className: column.numeric ? "n" : "" }, column.heading);
      heads[index] = head;
      addButton(head, index);
      table.tHead.rows[0].append(head);
      const spreads = column.texts.some((text) => text.includes(" ± "));
      const cells = lines.map((_, row) => {
        const [mean, spread] = column.texts[row].split(" ± ");
        const cell = make("td", { className: head.className }, make("bdi", {}, mean));
        if (spreads) cell.append(make("span", { className: "spread" }, spread ? `± ${spread}` : ""));
        return cell;
      });
      lines.forEach((line, row) => line.append(cells[row]));
      return [head, ...cells];
    }

    heads.forEach(addButton);
    const menu = find(`[data-columns="${number}"]`)[0];
    const cellsOf = new Map();
    columns.forEach((column, index) => {
      const box = make("input", { type: "checkbox", checked: index < lines[0]?.cells.length });
      box.disabled = index === 0; // it says which row it is, and leads to its details
      box.addEventListener("change", () => {
        if (!cellsOf.has(index)) {
          const shown = heads[index] && [heads[index], ...lines.map((line) => line.cells[index])];
          cellsOf.set(index, shown || addColumn(index));
        }
        cellsOf.get(index).forEach((cell) => (cell.hidden = !box.checked));
      });
      const words = make("span", {}, column.heading, " ", make("small", {}, column.description));
      menu.append(make("label", {}, box, words));
    });
    find(`[data-filter="${number}"]`)[0].addEventListener("input", (event) => {
      texts ||= lines.map((line, row) => searched(line, rows[row]));
      state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      show();
    });
    more.addEventListener("click", () => {
      state.all = true;
      show();
      lines.find((line) => !line.hidden)?.querySelector("a")?.focus();
    });
    body.addEventListener("click", (event) => {
      const line = event.target.closest("tr");
      const link = line?.querySelector("th a");
      if (!link || !getSelection().isCollapsed || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      openDetails(link, rows[Number(line.dataset.row)]);
    });
    if (!state.all) show();
    table.closest("section").querySelector(".tools").hidden = false;
  }

  const searched = (line, rows) =>
    [line.textContent, ...rows.flatMap((row) => [row.label, row.schedule, row.state, row.stale && "stale"])]
      .join(" ").toLowerCase();

  // --- the details of a row

  const dialog = document.getElementById("details");

  function openDetails(link, rows) {
    const runs = document.getElementById(link.hash.slice(1));
    const names = find("thead th", runs.closest("table")).slice(1).map((head) => head.textContent);
    dialog.querySelector("h2").replaceChildren(make("bdi", {}, rows.map((row) => row.label).join(", ")));
    const facts = dialog.querySelector("dl");
    facts.replaceChildren();
    for (const row of rows) {
      const said = { Schedule: row.schedule, Recipe: row.recipe, State: row.state, Stale: row.stale, Note: row.note };
      for (const [name, text] of Object.entries(said)) {
        if (text) facts.append(make("dt", {}, name), make("dd", {}, make("bdi", {}, text)));
      }
    }
    // a run is a line in the page and a column here: few seeds, many facts
    const table = dialog.querySelector("table");
    table.replaceChildren(make("tbody"));
    names.forEach((name, place) => {
      const cells = [...runs.rows].map((run) => run.cells[place + 1]);
      if (cells.every((cell) => cell.textContent === "-")) return;
      const line = table.tBodies[0].insertRow();
      line.append(make("th", { scope: "row" }, name), ...cells.map((cell) => cell.cloneNode(true)));
    });
    dialog.showModal();
    dialog.scrollTop = 0;
    dialog.addEventListener("close", () => link.focus({ preventScroll: true }), { once: true });
  }

  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // outside of its content
  });

  // --- menus close as menus do

  document.addEventListener("click", (event) => {
    find("details.menu[open]").forEach((menu) => (menu.open = menu.contains(event.target)));
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.activeElement.closest("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  find("table.results").forEach((table) => setUpTable(table, Number(table.dataset.table)));
})();
