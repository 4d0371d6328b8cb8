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
      const short = column.texts.every((text) => text.length <= 24);
      const head = make("th", { scope: "col", className: column.numeric ? "n" : short ? "k" : "" }, column.heading);
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
    const classes = dialog.querySelector(".classes");
    classes.replaceChildren(...rows.flatMap((row) => (row.classes ? classTables(row.classes) : [])));
    dialog.showModal();
    dialog.scrollTop = 0;
    dialog.addEventListener("close", () => link.focus({ preventScroll: true }), { once: true });
  }

  function classTables({ seeds, classes, matrix, pairs }) {
    const mean = seeds > 1 ? `, mean of ${seeds} seeds` : "";
    const percent = ({ top1 }) => (top1 === null ? "-" : top1.toFixed(2));
    const figure = (text) => make("td", { className: "n" }, String(text));
    const name = (text, scope) => make("th", { scope, className: scope === "col" ? "n" : "k" }, make("bdi", {}, text));
    const grid = (caption, heads, lines) => {
      const table = make("table", {}, make("caption", {}, caption), make("thead"), make("tbody"));
      table.tHead.insertRow().append(...heads.map((head, place) => name(head, place ? "col" : "row")));
      lines.forEach((cells) => table.tBodies[0].insertRow().append(...cells));
      return make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption }, table);
    };
    if (matrix) {
      const lines = matrix.map((counts, row) => [
        name(classes[row].name, "row"),
        ...counts.map((count, column) => {
          const cell = figure(count || "·");
          cell.style.setProperty("--share", `${Math.round((45 * count) / (classes[row].images || 1))}%`);
          cell.className = row === column ? "n right" : "n wrong";
          return cell;
        }),
        figure(percent(classes[row])),
      ]);
      const heads = ["", ...classes.map((each) => each.name), "Top-1(%)"];
      return [make("h3", {}, "Classes"), grid(`Images of each class by what they were taken for${mean}`, heads, lines)];
    }
    const worst = classes.map((each) => [name(each.name, "row"), figure(each.images), figure(percent(each))]);
    const mixed = pairs.map((each) => [name(each.true, "row"), make("td", {}, each.predicted), figure(each.images)]);
    return [
      make("h3", {}, "Classes"),
      grid(`The ${worst.length} classes that are hardest${mean}`, ["Class", "Images", "Top-1(%)"], worst),
      grid(`The ${mixed.length} largest confusions${mean}`, ["Class", "Taken for", "Images"], mixed),
    ];
  }

  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // outside of its content
  });

  // --- charts

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const copy = (value) => JSON.parse(JSON.stringify(value));

  // the inverse of pack in embedded.py
  function unpack({ count, columns }) {
    const records = Array.from({ length: count }, () => ({}));
    const fill = (key, runs, value) => {
      let place = 0;
      for (let run = 0; run < runs.length; run += 2) {
        for (let end = place + runs[run + 1]; place < end; place += 1) records[place][key] = value(runs[run]);
      }
    };
    for (const [key, { runs, steps, each }] of Object.entries(columns)) {
      let sum = 0;
      if (runs) fill(key, runs, (value) => value);
      else if (steps) fill(key, steps, (step) => (sum += step));
      else if (each) each.forEach((value, place) => (records[place][key] = value));
    }
    for (const [key, { of }] of Object.entries(columns)) {
      if (of) records.forEach((record) => (record[key] = String(Number(record[of].toPrecision(4)))));
    }
    return records;
  }

  function walk(value, visit) {
    if (value === null || typeof value !== "object") return;
    visit(value);
    Object.values(value).forEach((each) => walk(each, visit));
  }

  function specOf(chart, width, picture) {
    const spec = copy(chart.spec);
    for (const [name, records] of Object.entries(spec.datasets)) {
      if (records.columns) spec.datasets[name] = unpack(records);
    }
    if (chart.names.size) choose(spec, new Set(chart.chosen));
    if (spec.height?.step) spec.height = Math.max(60, picture.getAttribute("height") - 110); // what fits a width wants a height
    if (typeof spec.width === "number" && spec.layer) {
      spec.width = width;
      spec.autosize = { type: "fit-x", contains: "padding" };
    }
    spec.config = { title: { limit: width } };
    if (width < 720) legendsBelow(spec, width);
    if (width < 480) spec.config.axisY = { labelLimit: 130 };
    if (width < 480) spec.layer = spec.layer?.filter(({ mark }) => !/label|halo/.test(mark.style)); // no room for names
    return spec;
  }

  function legendsBelow(spec, width) {
    Object.assign(spec.config, { legend: { layout: { bottom: { anchor: "start", direction: "vertical" } } } });
    walk(spec, (part) => {
      if (!part.legend || !part.scale?.domain) return;
      const longest = Math.max(...part.scale.domain.map((name) => name.length));
      const columns = Math.max(1, Math.floor((width - 60) / (7 * longest + 30)));
      Object.assign(part.legend, { orient: "bottom", columns });
    });
  }

  // only some rows of a chart of curves, and only those in its legends
  function choose(spec, rows) {
    const shown = new Set();
    for (const [name, records] of Object.entries(spec.datasets)) {
      spec.datasets[name] = records.filter((record) => rows.has(record.row));
      spec.datasets[name].forEach((record) => shown.add(record.colour).add(record.shape));
    }
    walk(spec, (part) => {
      if (!Array.isArray(part.domain) || part.domain.some((each) => typeof each !== "string")) return;
      const kept = (_, place) => shown.has(part.domain[place]);
      if (part.range) part.range = part.range.filter(kept);
      part.domain = part.domain.filter(kept);
    });
  }

  async function draw(plot) {
    const chart = data.charts[Number(plot.dataset.chart)];
    const width = Math.floor(plot.clientWidth);
    const spec = specOf(chart, width, plot.querySelector("img"));
    const turn = (plot.turn = (plot.turn || 0) + 1); // of several that overlap, the last one counts
    const target = make("div");
    const result = await vegaEmbed(target, spec, {
      actions: false,
      renderer: chart.points > SVG_POINTS ? "canvas" : "svg",
      config: { ...data.themes[dark.matches ? "dark" : "light"], padding: { left: 0, top: 4, right: 4, bottom: 8 } },
      tooltip: { theme: dark.matches ? "dark" : "light" },
    });
    if (turn !== plot.turn) {
      result.finalize();
      return;
    }
    plot.result?.finalize();
    plot.result = result;
    find(":scope > div", plot).forEach((old) => old.remove());
    plot.append(target);
    plot.width = width;
    plot.style.minHeight = "";
    plot.classList.add("live");
  }

  function setUpCharts() {
    const plots = find(".plot");
    const seen = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          if (!entry.isIntersecting) continue;
          seen.unobserve(entry.target);
          draw(entry.target);
        }
      },
      { rootMargin: "600px" },
    );
    // a chart that was drawn is drawn again now, another one when it comes into view
    const again = (which) => which.filter((plot) => plot.result).forEach(draw);
    for (const chart of data.charts) chart.names = new Map(Object.entries(chart.rows));
    for (const plot of plots) {
      plot.style.minHeight = `${plot.querySelector("img").getAttribute("height")}px`;
      seen.observe(plot);
    }
    dark.addEventListener("change", () => again(plots));
    let wait = 0;
    addEventListener("resize", () => {
      clearTimeout(wait);
      wait = setTimeout(() => again(plots.filter((plot) => Math.abs(plot.width - plot.clientWidth) > 8)), 150);
    });
    for (const menu of find("[data-rows]")) {
      const own = find(".plot", menu.closest(".gallery"));
      const charts = own.map((plot) => data.charts[Number(plot.dataset.chart)]).filter((chart) => chart.names.size);
      const names = new Map(charts.flatMap((chart) => [...chart.names]));
      const chosen = new Set(charts[0].chosen.map(String));
      for (const [row, name] of [...names].sort((a, b) => a[0] - b[0])) {
        const box = make("input", { type: "checkbox", checked: chosen.has(row) });
        box.addEventListener("change", () => {
          if (box.checked) chosen.add(row);
          else chosen.delete(row);
          for (const chart of charts) chart.chosen = [...chosen].map(Number);
          again(own.filter((plot) => data.charts[Number(plot.dataset.chart)].names.size));
        });
        menu.append(make("label", {}, box, make("bdi", {}, name)));
      }
      menu.closest(".tools").hidden = false;
    }
  }

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

  find("table.results[data-table]").forEach((table) => setUpTable(table, Number(table.dataset.table)));
  if (window.vegaEmbed) setUpCharts();
  else document.documentElement.classList.add("still");
})();
