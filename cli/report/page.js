"use strict";
// What stands here writes text and shapes, never markup: names come from whoever wrote the objects of the store.
const data = JSON.parse(document.getElementById("data").textContent);
const { execution, tasks, edges, jobs, failures, reasons, executors, states, hows } = data;
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);
const chosen = { text: "", state: "", task: "" };
const PAGE = 200;
let shown = PAGE;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

const count = (number) => number.toLocaleString("en");

function time(microseconds) {
  if (microseconds < 0) return "";
  if (microseconds < 1000) return `${microseconds} µs`;
  if (microseconds < 1e6) return `${(microseconds / 1000).toFixed(microseconds < 1e4 ? 1 : 0)} ms`;
  if (microseconds < 6e7) return `${(microseconds / 1e6).toFixed(2)} s`;
  const seconds = Math.round(microseconds / 1e6);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

const KINDS = [["DONE", "done", "ran"], ["CACHED", "cached", "cached"], ["FAILED", "failed", "failed"], ["RUNNING", "running", "not ended"], ["PENDING", "pending", "never begun"]];
const total = (task) => KINDS.reduce((sum, [, key]) => sum + task[key], 0);

// -- the head ---------------------------------------------------------------------------------------------------------

function drawHead() {
  document.title = `redun ${execution.command}`;
  $("status").textContent = execution.status;
  $("status").classList.add(execution.status);
  $("command").textContent = `redun ${execution.command}`;
  const facts = [["Execution", execution.id], ["Started", execution.started], ["Duration", time(execution.duration)], ["Jobs", count(execution.jobs)]];
  facts.push(...execution.info.map(([name, text]) => [name, text]));
  if (execution.tags.length) facts.push(["tags", execution.tags.map(([name, text]) => `${name}=${text}`).join(", ")]);
  for (const [name, text] of facts) $("facts").append(element("dt", {}, name), element("dd", {}, text));
  const sums = Object.fromEntries(KINDS.map(([, key]) => [key, tasks.reduce((sum, task) => sum + task[key], 0)]));
  const all = total(sums);
  const told = [];
  for (const [kind, key, word] of KINDS) {
    if (!sums[key]) continue;
    const part = element("span", { class: `${kind}-fill` });
    part.style.width = `${(100 * sums[key]) / all}%`;
    $("total").append(part);
    $("legend").append(element("span", { class: `swatch ${kind}-fill` }), ` ${count(sums[key])} ${word}`);
    told.push(`${sums[key]} ${word}`);
  }
  $("total").setAttribute("aria-label", told.join(", "));
  if (data.left_out) {
    $("left-out").hidden = false;
    $("left-out").textContent = `${count(data.left_out)} jobs are not listed below: those inside of replays, or the shortest of very many.`;
  }
}

// -- failures ---------------------------------------------------------------------------------------------------------

function drawFailures() {
  $("failures-section").hidden = failures.length === 0;
  failures.forEach((failure, place) => {
    const box = element("details", place < 3 && !failure.handled ? { open: "" } : {});
    const path = failure.lineage.map((task) => tasks[task].name).join(" > ");
    const handled = failure.handled ? " (handled by its caller)" : "";
    box.append(element("summary", {}, `${path}(${failure.args}): ${failure.error}${handled}`));
    const text = element("pre", {}, [`Job ${failure.id}`, ...failure.trace].join("\n"));
    box.append(text);
    $("failures").append(box);
  });
}

// -- the graph --------------------------------------------------------------------------------------------------------

const BOX = { width: 230, height: 62, across: 90, down: 18, margin: 16 };

function layers() {
  // The layer of a task is the longest way to it; calls that lead back up (recursion) count for nothing.
  const below = tasks.map(() => []);
  const inner = edges.filter(([from, to]) => from >= 0 && from !== to);
  for (const [from, to] of inner) below[from].push(to);
  const layer = tasks.map(() => 0);
  const state = tasks.map(() => 0);
  const order = [];
  for (let root = 0; root < tasks.length; root++) {
    if (state[root]) continue;
    const stack = [[root, 0]];
    state[root] = 1;
    while (stack.length) {
      const top = stack[stack.length - 1];
      const next = below[top[0]][top[1]++];
      if (next === undefined) { state[top[0]] = 2; order.push(top[0]); stack.pop(); }
      else if (!state[next]) { state[next] = 1; stack.push([next, 0]); }
    }
  }
  const rank = [];
  order.reverse().forEach((task, place) => { rank[task] = place; });
  for (const task of order) {
    for (const next of below[task]) if (rank[next] > rank[task]) layer[next] = Math.max(layer[next], layer[task] + 1);
  }
  return layer;
}

function drawGraph() {
  const layer = layers();
  const columns = [];
  tasks.forEach((_, task) => { (columns[layer[task]] ??= []).push(task); });
  const row = [];
  columns.forEach((column) => {
    const middle = (task) => {
      const callers = edges.filter(([from, to]) => to === task && from >= 0 && row[from] !== undefined).map(([from]) => row[from]);
      return callers.length ? callers.reduce((a, b) => a + b, 0) / callers.length : task;
    };
    column.sort((a, b) => middle(a) - middle(b)).forEach((task, place) => { row[task] = place; });
  });
  const x = (task) => BOX.margin + layer[task] * (BOX.width + BOX.across);
  const y = (task) => BOX.margin + row[task] * (BOX.height + BOX.down);
  const width = 2 * BOX.margin + columns.length * (BOX.width + BOX.across) - BOX.across;
  const height = 2 * BOX.margin + Math.max(...columns.map((column) => column.length), 1) * (BOX.height + BOX.down) - BOX.down;
  const svg = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "tasks and their calls" });
  const marker = shape("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
  marker.append(shape("path", { d: "M0 0L8 4L0 8z", fill: "context-stroke" }));
  const defs = shape("defs");
  defs.append(marker);
  svg.append(defs);
  for (const [from, to, number] of edges) {
    if (from < 0 || from === to) continue;
    const x1 = x(from) + BOX.width, y1 = y(from) + BOX.height / 2, x2 = x(to), y2 = y(to) + BOX.height / 2;
    const bend = Math.max(40, Math.abs(x2 - x1) / 2);
    svg.append(shape("path", { class: "edge", d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, "marker-end": "url(#arrow)" }));
    if (number > 1) svg.append(shape("text", { class: "edge-label", x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 4, "text-anchor": "middle" }, count(number)));
  }
  tasks.forEach((task, place) => svg.append(drawTask(task, place, x(place), y(place))));
  $("graph").append(svg);
}

function drawTask(task, place, x, y) {
  const group = shape("g", { class: "node", transform: `translate(${x} ${y})`, tabindex: 0, role: "button", "data-task": place });
  const short = task.name.length > 29 ? `…${task.name.slice(-28)}` : task.name;
  const parts = KINDS.filter(([, key]) => task[key]).map(([, key, word]) => `${count(task[key])} ${word}`);
  group.append(shape("title", {}, `${task.name}: ${parts.join(", ")}; bodies took ${time(task.seconds * 1e6)}`));
  group.append(shape("rect", { class: "box", width: BOX.width, height: BOX.height, rx: 7 }));
  group.append(shape("text", { x: 10, y: 19 }, short));
  group.append(shape("text", { x: 10, y: 36, class: "small" }, `${parts.join(", ")}${task.seconds ? ` · ${time(task.seconds * 1e6)}` : ""}`));
  let left = 10;
  const all = Math.max(total(task), 1);
  for (const [kind, key] of KINDS) {
    const width = ((BOX.width - 20) * task[key]) / all;
    if (width) group.append(shape("rect", { class: `f-${kind}`, x: left, y: 46, width, height: 7 }));
    left += width;
  }
  const choose = () => chooseTask(chosen.task === String(place) ? "" : String(place));
  group.addEventListener("click", choose);
  group.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); }
  });
  return group;
}

function chooseTask(task) {
  chosen.task = task;
  $("filter-task").value = task;
  for (const node of document.querySelectorAll(".node")) node.classList.toggle("chosen", node.dataset.task === task && task !== "");
  refresh();
}

// -- the timeline -----------------------------------------------------------------------------------------------------

const line = { from: 0, to: 1, whole: 1, lanes: 1, places: [], drag: null };
const HEAD = 22;

function prepareTimeline() {
  line.places = jobs.lane.map((lane, place) => (lane < 0 ? -1 : place)).filter((place) => place >= 0);
  line.places.sort((a, b) => jobs.start[a] - jobs.start[b]);
  line.whole = Math.max(execution.duration, 1);
  line.lanes = jobs.lane.reduce((most, lane) => Math.max(most, lane + 1), 1);
  line.to = line.whole;
  const canvas = $("timeline");
  canvas.style.height = `${Math.min(420, Math.max(90, HEAD + line.lanes * 18 + 8))}px`;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX / canvas.clientWidth);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => { line.drag = { x: event.offsetX, from: line.from, to: line.to }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { line.drag = null; });
  canvas.addEventListener("pointermove", (event) => {
    if (line.drag) {
      const moved = ((line.drag.x - event.offsetX) / canvas.clientWidth) * (line.drag.to - line.drag.from);
      setRange(line.drag.from + moved, line.drag.to + moved);
    } else tell(event);
  });
  canvas.addEventListener("pointerleave", () => { $("tip").hidden = true; });
  canvas.addEventListener("dblclick", () => setRange(0, line.whole));
  canvas.addEventListener("keydown", (event) => {
    const step = (line.to - line.from) / 8;
    const does = {
      "+": () => zoom(0.8, 0.5), "=": () => zoom(0.8, 0.5), "-": () => zoom(1.25, 0.5), "0": () => setRange(0, line.whole),
      ArrowLeft: () => setRange(line.from - step, line.to - step), ArrowRight: () => setRange(line.from + step, line.to + step),
    }[event.key];
    if (does) { event.preventDefault(); does(); }
  });
  new ResizeObserver(drawTimeline).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTimeline);
}

function zoom(factor, at) {
  const middle = line.from + (line.to - line.from) * at;
  const span = Math.min(Math.max((line.to - line.from) * factor, 10), line.whole);
  setRange(middle - span * at, middle + span * (1 - at));
}

function setRange(from, to) {
  const span = Math.min(to - from, line.whole);
  line.from = Math.min(Math.max(from, 0), line.whole - span);
  line.to = line.from + span;
  drawTimeline();
}

const laneHeight = (canvas) => Math.max((canvas.clientHeight - HEAD - 4) / line.lanes, 0.5);
const ended = (place) => (jobs.duration[place] < 0 ? line.whole : jobs.start[place] + jobs.duration[place]);

function drawTimeline() {
  const canvas = $("timeline"), scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  pen.scale(scale, scale);
  pen.clearRect(0, 0, width, height);
  const per = width / (line.to - line.from), tall = laneHeight(canvas);
  pen.fillStyle = color("faint");
  pen.strokeStyle = color("line");
  pen.font = "11px system-ui, sans-serif";
  const step = tick((line.to - line.from) / Math.max(width / 110, 1));
  for (let at = Math.ceil(line.from / step) * step; at <= line.to; at += step) {
    const x = (at - line.from) * per;
    pen.beginPath(); pen.moveTo(x, HEAD - 6); pen.lineTo(x, height); pen.stroke();
    pen.fillText(time(Math.round(at)), x + 3, 12);
  }
  const colors = states.map((state) => color({ DONE: "done", CACHED: "cached", FAILED: "failed", RUNNING: "running", CANCELLED: "cancelled", INTERRUPTED: "failed" }[state]));
  const last = new Map();
  for (const place of line.places) {
    if (jobs.start[place] > line.to) break;
    if (ended(place) < line.from) continue;
    const lane = jobs.lane[place], x = (jobs.start[place] - line.from) * per;
    const wide = Math.max((ended(place) - jobs.start[place]) * per, 1);
    const dim = chosen.task !== "" && String(jobs.task[place]) !== chosen.task;
    // of bodies that share a pixel one is drawn
    const key = `${lane}:${jobs.state[place]}:${dim}`;
    if (wide <= 1 && last.get(key) === Math.floor(x)) continue;
    last.set(key, Math.floor(x));
    pen.globalAlpha = dim ? 0.15 : 1;
    pen.fillStyle = colors[jobs.state[place]];
    pen.fillRect(x, HEAD + lane * tall, wide, Math.max(tall - (tall > 4 ? 1.5 : 0), 0.5));
    if (wide > 60 && tall > 13) {
      pen.fillStyle = "#fff";
      pen.save();
      pen.beginPath(); pen.rect(x, HEAD + lane * tall, wide - 3, tall); pen.clip();
      pen.fillText(tasks[jobs.task[place]].name.split(".").pop(), Math.max(x, 0) + 4, HEAD + lane * tall + tall / 2 + 3);
      pen.restore();
    }
  }
  pen.globalAlpha = 1;
  const slots = line.lanes === 1 ? "1 slot" : `${count(line.lanes)} slots`;
  $("timeline-range").textContent = `${slots}; from ${time(Math.round(line.from)) || "0"} to ${time(Math.round(line.to))} of ${time(line.whole)}`;
}

function tick(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}

function tell(event) {
  const canvas = $("timeline"), tip = $("tip");
  const lane = Math.floor((event.offsetY - HEAD) / laneHeight(canvas));
  const per = (line.to - line.from) / canvas.clientWidth, at = line.from + event.offsetX * per;
  const found = line.places.find((place) => jobs.lane[place] === lane && jobs.start[place] - per <= at && at <= ended(place) + per);
  tip.hidden = found === undefined;
  if (found === undefined) return;
  tip.textContent = `${jobs.id[found]} ${states[jobs.state[found]]}\n${call(found)}\n${time(jobs.start[found])} + ${time(jobs.duration[found]) || "not ended"} on ${executors[jobs.executor[found]]}\n${why(found)}`.trim();
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8)}px`;
}

// -- reasons and jobs -------------------------------------------------------------------------------------------------

const call = (place) => `${tasks[jobs.task[place]].name}(${jobs.args[place]})`;

function why(place) {
  if (jobs.reason[place] >= 0) return reasons[jobs.reason[place]].text;
  return { whole: "replayed whole", step: "replayed one step", joined: "joined an equal job", inner: "inside a whole replay" }[hows[jobs.how[place]]] ?? "";
}

function drawReasons() {
  $("reasons-section").hidden = reasons.length === 0;
  const groups = new Map();
  for (const { task, text, jobs: number } of reasons) {
    const key = `${task} ${text.split(":")[0]}`;
    const group = groups.get(key) ?? { task, text, number: 0, texts: 0 };
    groups.set(key, { ...group, number: group.number + number, texts: group.texts + 1 });
  }
  for (const group of [...groups.values()].sort((a, b) => b.number - a.number)) {
    const row = document.createElement("tr");
    const others = group.texts > 1 ? `, and ${count(group.texts - 1)} other${group.texts > 2 ? "s" : ""} like it` : "";
    row.append(element("td", { class: "number" }, count(group.number)), element("td", {}, tasks[group.task].name), element("td", {}, group.text + others));
    $("reasons").tBodies[0].append(row);
  }
}

function found() {
  const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
  const places = [];
  for (let place = 0; place < jobs.id.length; place++) {
    if (chosen.state !== "" && String(jobs.state[place]) !== chosen.state) continue;
    if (chosen.task !== "" && String(jobs.task[place]) !== chosen.task) continue;
    if (words.length) {
      const text = `${jobs.id[place]} ${call(place)} ${why(place)}`.toLowerCase();
      if (!words.every((word) => text.includes(word))) continue;
    }
    places.push(place);
  }
  return places;
}

function drawJobs() {
  const places = found(), body = document.createElement("tbody");
  for (const place of places.slice(0, shown)) {
    const row = document.createElement("tr"), state = states[jobs.state[place]];
    const cell = element("td", { class: "whole" });
    cell.append(element("span", { class: `badge ${state}` }, state));
    row.append(element("td", { class: "whole" }, jobs.id[place]), cell, element("td", {}, tasks[jobs.task[place]].name), element("td", {}, jobs.args[place]));
    row.append(element("td", { class: "number" }, time(jobs.start[place])), element("td", { class: "number" }, jobs.lane[place] < 0 ? "" : time(jobs.duration[place])));
    row.append(element("td", {}, executors[jobs.executor[place]]), element("td", {}, why(place)));
    body.append(row);
  }
  $("jobs").tBodies[0].replaceWith(body);
  $("found").textContent = `${count(places.length)} of ${count(jobs.id.length)} jobs`;
  $("more").hidden = places.length <= shown;
}

function refresh() {
  shown = PAGE;
  drawJobs();
  drawTimeline();
}

function prepareFilters() {
  states.forEach((state, place) => { if (jobs.state.includes(place)) $("filter-state").append(element("option", { value: place }, state)); });
  tasks.forEach((task, place) => $("filter-task").append(element("option", { value: place }, task.name)));
  $("filter-text").addEventListener("input", (event) => { chosen.text = event.target.value; shown = PAGE; drawJobs(); });
  $("filter-state").addEventListener("change", (event) => { chosen.state = event.target.value; refresh(); });
  $("filter-task").addEventListener("change", (event) => chooseTask(event.target.value));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { shown += PAGE; drawJobs(); });
}

drawHead();
drawFailures();
drawGraph();
prepareTimeline();
drawReasons();
prepareFilters();
refresh();
