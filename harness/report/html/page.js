"use strict";
// Filter, sort, search and download the table of all promises; keep the choice in the "#" of the address. The page is complete
// without this script. Names come from strangers: they are only ever set as text, and "#" is only ever compared with them.
(() => {
  const form = document.getElementById("filter"), table = document.getElementById("promise-table");
  const chips = [...document.querySelectorAll('input[name="place"]')];
  const chipName = chip => chip.labels[0].textContent;
  const OUTCOMES = { great: "kept", good: "kept", short: "missed", bad: "missed", open: "open", flat: "open" };
  const RANKS = Object.keys(OUTCOMES);
  for (const head of table?.querySelectorAll("th[rowspan]") ?? []) {  // rows that are sorted alone need a head each
    let row = head.parentNode;
    for (let left = head.rowSpan - 1; left > 0; left--) (row = row.nextElementSibling).prepend(head.cloneNode(true));
    head.removeAttribute("rowspan");
  }
  for (const head of table?.querySelectorAll("tbody [rowspan]") ?? []) head.removeAttribute("rowspan");
  const heads = table ? [...table.tHead.rows[0].cells] : [], places = heads.filter(head => "engine" in head.dataset);
  const rows = table ? [...table.tBodies].flatMap(body => [...body.rows].filter(row => row.id).map(row => ({ row, body }))) : [];
  const titles = table ? [...table.querySelectorAll(".of")] : [];
  const outcome = cell => OUTCOMES[cell.className];
  const rank = cell => RANKS.indexOf(cell.className) + (cell.className ? 0 : RANKS.length + 1);
  const figure = cell => [...cell.childNodes].filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.data).join("").trim();
  const number = cell => Number.parseFloat(figure(cell).replace(/[^\d.+-]/g, "")) || 0;
  let order = "";  // the number of the column that rows are sorted by, from 1, with a minus to reverse it

  function compare(first, second, column) {
    const [a, b] = [first.row.cells[column], second.row.cells[column]];
    if (places.includes(heads[column])) return rank(a) - rank(b) || number(b) - number(a);
    if (column > places.length + 2) return (b.style.getPropertyValue("--at") || -1) - (a.style.getPropertyValue("--at") || -1);
    return a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
  }

  function sort(wanted) {
    const column = Math.abs(wanted) - 1;
    order = Number.isInteger(column) && heads[column] && wanted != 1 ? String(Number(wanted)) : "";
    const sorted = order ? [...rows].sort((a, b) => compare(a, b, column) * Math.sign(wanted)) : rows;
    for (const { row, body } of sorted) (order ? table.tBodies[0] : body).append(row);
    heads.forEach((head, place) => {
      if (place === (order ? column : 0)) head.setAttribute("aria-sort", wanted < 0 ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  function update() {
    const { show, engine, rtt, q } = form.elements, words = q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const seen = heads.map(head => !places.includes(head) || ((!engine?.value || head.dataset.engine === engine.value) && (!rtt?.value || head.dataset.rtt === rtt.value)));
    heads.forEach((head, column) => { head.hidden = !seen[column]; });
    const isWhole = !show.value && seen.every(Boolean);  // rows that were tried nowhere are rows as well
    let shown = 0;
    for (const { row, body } of rows) {
      const cells = [...row.cells], text = `${body.rows[0].textContent} ${row.textContent}`.toLowerCase();
      cells.forEach((cell, column) => { cell.hidden = !seen[column]; });
      const tried = cells.filter((cell, column) => seen[column] && places.includes(heads[column]) && outcome(cell));
      row.hidden = !((isWhole || tried.some(cell => !show.value || outcome(cell) === show.value)) && words.every(word => text.includes(word)));
      shown += !row.hidden;
    }
    let above = "";
    for (const row of table.rows) {
      if (row.hidden || !row.id) continue;
      row.classList.toggle("same", row.cells[0].textContent === above);
      above = row.cells[0].textContent;
    }
    for (const title of titles) title.hidden = Boolean(order) || ![...title.parentNode.rows].some(row => row.id && !row.hidden);
    form.querySelector("output").textContent = form.dataset.count.replace("{shown}", shown).replace("{all}", rows.length);
  }

  function save() {
    const state = new URLSearchParams(form ? [...new FormData(form)].filter(([, value]) => value) : []);
    if (order) state.set("sort", order);
    state.delete("place");
    const chip = chips.find(each => each.checked);
    if (chip && chip !== chips[0]) state.set("place", chipName(chip));
    const hash = state.toString();
    if (hash || location.hash.includes("=")) history.replaceState(null, "", hash ? `#${hash}` : location.href.split("#")[0]);
  }

  function choose(state) {  // what the fields do not have is as if nothing were chosen
    for (const field of form.elements) {
      const value = state.get(field.name) ?? "";
      if (field.type === "radio") field.checked = field.value === value || (!value && !field.value);
      else if (field.type === "search") field.value = value;
      else if (field.options) field.selectedIndex = Math.max(0, [...field.options].findIndex(option => option.value === value));
    }
    if (![...form.elements.show].some(radio => radio.checked)) form.elements.show[0].checked = true;
    sort(state.get("sort") ?? "");
    update();
  }

  function restore() {
    if (!location.hash.includes("=")) return reveal();
    const state = new URLSearchParams(location.hash.slice(1));
    for (const chip of chips) if (chipName(chip) === state.get("place")) chip.checked = true;
    if (form) choose(state);
    state.delete("place");
    if (form && state.size) document.getElementById("promises").scrollIntoView();
  }

  function reveal() {  // what a link points at may be folded, or hidden by the filter
    const target = document.getElementById(location.hash.slice(1));
    for (let parent = target; parent; parent = parent.parentElement) if (parent.localName === "details") parent.open = true;
    if (target && target.hidden && form) choose(new URLSearchParams());
    if (target) target.scrollIntoView();
  }

  function records() {
    return [...table.rows].filter(row => row.id && !row.hidden).flatMap(row => {
      const [name, promised, arm] = row.cells, { body } = rows.find(each => each.row === row);
      return places.filter(place => !place.hidden).flatMap(place => {
        const cell = row.cells[place.cellIndex], text = tag => cell.querySelector(tag)?.textContent ?? "";
        return outcome(cell) ? [{
          scenario: body.querySelector(".of small").textContent, promise: name.lastElementChild.textContent, claim: name.firstElementChild.textContent,
          promised: promised.textContent, arm: arm.textContent, engine: place.dataset.engine, rtt_ms: Number(place.dataset.rtt),
          verdict: text("b").replace(/^[^\p{L}\p{N}]{1,2} /u, ""), preliminary: text("b").includes("~"), measured: figure(cell), interval_95: text("i"), remark: text("small"),
        }] : [];
      });
    });
  }

  // A spreadsheet takes a text that begins with one of these signs for a formula. As is customary, it gets an apostrophe before it.
  const quoted = value => `"${String(value).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;

  function download(name, type, body) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([body], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  if (form) {
    form.hidden = false;
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => { sort(Number(order || 1) === column + 1 ? -(column + 1) : column + 1); update(); save(); });
      head.append(button);
    });
    form.addEventListener("input", () => { update(); save(); });
    form.addEventListener("submit", event => event.preventDefault());
    form.addEventListener("reset", event => { event.preventDefault(); choose(new URLSearchParams()); save(); });
    form.elements.csv.addEventListener("click", () => {
      const found = records(), names = Object.keys(found[0] ?? {});
      const lines = [names, ...found.map(Object.values)].map(line => line.map(quoted).join(","));
      download("promises.csv", "text/csv", `\ufeff${lines.join("\r\n")}\r\n`);
    });
    form.elements.json.addEventListener("click", () => download("promises.json", "application/json", JSON.stringify(records(), null, 1)));
    sort("");
    update();
  }
  for (const chip of chips) chip.addEventListener("change", save);
  addEventListener("hashchange", restore);
  restore();

  for (const button of document.querySelectorAll("button[data-copied]")) {
    const text = button.previousElementSibling, label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(text);
      try { await navigator.clipboard.writeText(text.textContent); } catch { document.execCommand("copy"); }
      button.textContent = button.dataset.copied;
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }

  // Only what scrolls needs the keyboard's focus.
  const sized = new ResizeObserver(entries => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth + 1 || target.scrollHeight > target.clientHeight + 1) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(".scroll")) sized.observe(box);
})();
