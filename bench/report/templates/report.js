"use strict";
// What the page does beyond being read: sort, filter, other columns, the details of a row, charts that answer.
(() => {
  const MORE_ROWS = 1000; // as many as a browser lays out at once
  const SVG_POINTS = 2000; // above, a canvas draws faster
  const data = JSON.parse(document.getElementById("data").textContent);
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const find = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };
  const parse = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  };

  // --- what packing.py packed

  function unpackColumn({ each, runs, steps }) {
    if (each) return each;
    const values = [];
    const pairs = runs || steps;
    let sum = 0;
    for (let place = 0; place < pairs.length; place += 2) {
      for (let left = pairs[place + 1]; left > 0; left -= 1) values.push(steps ? (sum += pairs[place]) : pairs[place]);
    }
    return values;
  }

  function unpack({ count, columns }) {
    const records = Array.from({ length: count }, () => ({}));
    for (const [key, column] of Object.entries(columns)) {
      if (!column.of) unpackColumn(column).forEach((value, place) => (records[place][key] = value));
    }
    for (const [key, { of }] of Object.entries(columns)) {
      if (of) records.forEach((record) => (record[key] = String(Number(record[of].toPrecision(4)))));
    }
    return records;
  }

  // the details of the rows of each line
  function unpackLines(table) {
    const rows = table.rows.columns ? unpack(table.rows) : table.rows;
    for (const [place, classes] of Object.entries(table.classes)) rows[place].classes = classes;
    let start = 0;
    return unpackColumn(table.sizes).map((size) => rows.slice(start, (start += size)));
  }

  // --- tables

  function comparison(values, direction) {
    return (a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === null || y === null) return (x === null) - (y === null); // what is missing comes last both ways
      return direction * (typeof x === "number" && typeof y === "number" ? x - y : collator.compare(x, y));
    };
  }

  function setUpTable(table, number) {
    const { count, columns } = data.tables[number];
    const lines = unpackLines(data.tables[number]);
    const body = table.tBodies[0];
    const nodes = [...body.rows]; // of the other lines, once they are shown
    const rest = find(`[data-rest="${number}"]`)[0]?.textContent.match(/<tr[^]*?<\/tr>/g) || [];
    const sources = (index) => nodes[index]?.outerHTML || rest[index - (count - rest.length)];
    const heads = find("thead th", table);
    const shownAtFirst = heads.length;
    const more = find(`[data-more="${number}"]`)[0];
    const counter = find(`[data-count="${number}"]`)[0];
    const state = { column: -1, direction: 1, words: [], limit: MORE_ROWS, added: [], hidden: new Set(), columns: 0 };
    let searched = null;

    function ordered() {
      const order = Array.from({ length: count }, (_, index) => index);
      if (state.column >= 0) order.sort(comparison(unpackColumn(columns[state.column].values), state.direction));
      return order.filter((index) => state.words.every((word) => searched[index].includes(word)));
    }

    function show() {
      const order = ordered();
      const shown = order.slice(0, state.limit);
      const absent = shown.filter((index) => !nodes[index]);
      const made = parse(`<table><tbody>${absent.map(sources).join("")}</tbody></table>`).querySelectorAll("tr");
      absent.forEach((index, place) => (nodes[index] = made[place]));
      shown.forEach((index) => fitColumns(nodes[index], index));
      const fragment = document.createDocumentFragment();
      fragment.append(...shown.map((index) => nodes[index]));
      body.replaceChildren(fragment);
      counter.value = order.length === count ? `${count} rows` : `${order.length} of ${count} rows`;
      tellMore(order.length);
    }

    function tellMore(matching) {
      more.hidden = matching <= state.limit;
      more.textContent = `Show ${Math.min(MORE_ROWS, matching - state.limit)} more of ${matching} rows`;
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

    // a line gets the cells of columns that were added since it was made, and hides those that are switched off
    function fitColumns(node, index) {
      if (node.columns === state.columns || !state.columns) return;
      node.columns = state.columns;
      state.added.slice(node.cells.length - shownAtFirst).forEach((column) => node.append(makeCell(columns[column], index)));
      [...node.cells].forEach((cell, place) => {
        cell.hidden = state.hidden.has(place < shownAtFirst ? place : state.added[place - shownAtFirst]);
      });
    }

    function makeCell(column, index) {
      const [mean, spread] = column.texts[index].split(" ± ");
      const cell = make("td", { className: column.look }, make("bdi", {}, mean));
      if (column.spreads) cell.append(make("span", { className: "spread" }, spread ? `± ${spread}` : ""));
      return cell;
    }

    function addColumn(index) {
      const column = columns[index];
      column.texts = unpackColumn(column.texts);
      column.spreads = column.texts.some((text) => text.includes(" ± "));
      column.look = column.numeric ? "n" : column.texts.every((text) => text.length <= 24) ? "k" : "";
      heads[index] = make("th", { scope: "col", className: column.look }, column.heading);
      addButton(heads[index], index);
      table.tHead.rows[0].append(heads[index]);
      state.added.push(index);
    }

    function switchColumn(index, on) {
      if (!heads[index]) addColumn(index);
      heads[index].hidden = !on;
      if (on) state.hidden.delete(index);
      else state.hidden.add(index);
      state.columns += 1;
      show();
    }

    heads.forEach(addButton);
    const menu = find(`[data-columns="${number}"]`)[0];
    columns.forEach((column, index) => {
      const box = make("input", { type: "checkbox", checked: index < shownAtFirst });
      box.disabled = index === 0; // it says which row it is, and leads to its details
      box.addEventListener("change", () => switchColumn(index, box.checked));
      const words = make("span", {}, column.heading, " ", make("small", {}, column.description));
      menu.append(make("label", {}, box, words));
    });
    find(`[data-filter="${number}"]`)[0].addEventListener("input", (event) => {
      searched ||= lines.map((rows, index) => wordsOf(rows, sources(index)));
      state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      show();
    });
    more.addEventListener("click", () => {
      const next = body.rows.length;
      state.limit += MORE_ROWS;
      show();
      body.rows[next]?.querySelector("a").focus();
    });
    body.addEventListener("click", (event) => {
      const line = event.target.closest("tr");
      const link = line?.querySelector("th a");
      if (!link || !getSelection().isCollapsed || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      openDetails(link, lines[Number(line.dataset.row)]);
    });
    addEventListener("beforeprint", () => {
      state.limit += Infinity;
      if (!more.hidden) show();
    });
    tellMore(count);
  }

  const wordsOf = (rows, html) =>
    [parse(`<table>${html}</table>`).textContent, ...rows.flatMap((row) => [row.label, row.schedule, row.state])]
      .join(" ").toLowerCase();

  // --- the details of a row

  const dialog = document.getElementById("details");

  // thousands of runs cost nothing until somebody asks for one
  function readRuns() {
    const unread = find(".runs noscript")[0];
    if (unread) unread.replaceWith(parse(unread.textContent));
  }

  function openDetails(link, rows) {
    readRuns();
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

  // text that embedded.py deflated
  async function inflate(id) {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  }

  // the charts, and the libraries that draw them: not before one of them comes into view
  let drawings = null;
  async function loadDrawings() {
    const [libraries, text] = await Promise.all([inflate("libraries"), inflate("drawings")]);
    document.head.append(make("script", { textContent: libraries }));
    const loaded = JSON.parse(text);
    for (const chart of loaded.charts) chart.names = new Map(Object.entries(chart.rows));
    find("[data-rows]").forEach((menu) => setUpChoice(menu, loaded.charts));
    return loaded;
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
    if (spec.height?.step) fitBars(spec, width, picture);
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

  // what fits a width wants a height in pixels, and figures beside bars want room
  function fitBars(spec, width, picture) {
    spec.height = Math.max(60, picture.getAttribute("height") - 110);
    const longest = Math.max(...Object.values(spec.datasets).flat().map(({ label }) => label?.length || 0));
    const room = width - Math.min(width < 480 ? 130 : 300, 7 * longest);
    walk(spec, (part) => {
      const domain = part.field === "y" && part.scale?.domain;
      if (domain) domain[1] *= room / Math.max(room - 60, 60);
    });
  }

  function legendsBelow(spec, width) {
    Object.assign(spec.config, { legend: { layout: { bottom: { anchor: "start", direction: "vertical" } }, labelLimit: width - 80 } });
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
      if (part.legend === null && part.scale?.domain) part.legend = { title: null }; // there was none for all rows
      if (!Array.isArray(part.domain) || part.domain.some((each) => typeof each !== "string")) return;
      const kept = (_, place) => shown.has(part.domain[place]);
      if (part.range) part.range = part.range.filter(kept);
      part.domain = part.domain.filter(kept);
    });
  }

  async function draw(plot) {
    const turn = (plot.turn = (plot.turn || 0) + 1); // of several that overlap, the last one counts
    const { charts, themes } = await (drawings ||= loadDrawings());
    const chart = charts[Number(plot.dataset.chart)];
    const width = Math.floor(plot.clientWidth);
    const theme = dark.matches ? "dark" : "light";
    const target = make("div");
    const result = await vegaEmbed(target, specOf(chart, width, plot.querySelector("img")), {
      actions: false,
      renderer: chart.points > SVG_POINTS ? "canvas" : "svg",
      config: { ...themes[theme], padding: { left: 0, top: 4, right: 4, bottom: 8 } },
      tooltip: { theme },
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
    plot.classList.add("live");
  }

  // a chart that was drawn is drawn again now, another one when it comes into view
  const drawAgain = (plots) => plots.filter((plot) => plot.result).forEach(draw);

  function setUpChoice(menu, all) {
    const plots = find(".plot", menu.closest(".gallery")).filter((plot) => all[Number(plot.dataset.chart)].names.size);
    const charts = plots.map((plot) => all[Number(plot.dataset.chart)]);
    const names = new Map(charts.flatMap((chart) => [...chart.names]));
    const chosen = new Set(charts[0].chosen.map(String));
    for (const [row, name] of [...names].sort((a, b) => a[0] - b[0])) {
      const box = make("input", { type: "checkbox", checked: chosen.has(row) });
      box.addEventListener("change", () => {
        if (box.checked) chosen.add(row);
        else chosen.delete(row);
        for (const chart of charts) chart.chosen = [...chosen].map(Number);
        drawAgain(plots);
      });
      menu.append(make("label", {}, box, make("bdi", {}, name)));
    }
    menu.closest(".tools").classList.remove("waiting");
  }

  function setUpCharts() {
    const plots = find(".plot");
    const seen = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) {
          if (!isIntersecting) continue;
          seen.unobserve(target);
          draw(target);
        }
      },
      { rootMargin: "600px" },
    );
    plots.forEach((plot) => seen.observe(plot));
    dark.addEventListener("change", () => drawAgain(plots));
    let wait = 0;
    addEventListener("resize", () => {
      clearTimeout(wait);
      wait = setTimeout(() => drawAgain(plots.filter((plot) => Math.abs(plot.width - plot.clientWidth) > 8)), 150);
    });
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

  find(".runs")[0].addEventListener("toggle", readRuns);
  find("table.results[data-table]").forEach((table) => setUpTable(table, Number(table.dataset.table)));
  // the address of a row opens its details
  if (/^#table-\d+-\d+$/.test(location.hash)) find(`.results a[href="${location.hash}"]`)[0]?.click();
  if (window.DecompressionStream) setUpCharts();
  else document.documentElement.classList.add("still");
})();
