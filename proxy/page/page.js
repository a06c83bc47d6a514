"use strict";
/* The status page: asks /status.json each second and shows what happened between two answers. */

const POLL_MS = 1000;
const MORE_EVERY = 3; /* polls between two looks at slow commands, clients and hot keys */
const HISTORY = 120; /* polls that the lines show */
const WINDOW = 10; /* polls that percentiles and tables are about */
const SLOTS = 16384;
const CLIENT_ROWS = 12;
const MUCH_HELD = 65536; /* bytes in buffers for one client */

const $ = (id) => document.getElementById(id);
const history = []; /* of answers, oldest first; at most WINDOW + 1 */
const lines = { rate: [], p99: [] };
const commandsOf = new Map(); /* clients by id, as they were at the last look */
let polls = 0;

/* --- words and numbers ------------------------------------------------------------------------- */

function scaled(n, units, step) {
  let u = 0;
  while (n >= step && u < units.length - 1) {
    n /= step;
    u++;
  }
  const digits = n >= 100 || (u === 0 && Number.isInteger(n)) ? 0 : n >= 10 ? 1 : 2;
  return n.toFixed(digits) + units[u];
}

function count(n) {
  return n < 10000 ? Math.round(n).toLocaleString("en") : scaled(n, ["", "k", "M", "G"], 1000);
}

function perSecond(n) {
  return n === 0 ? "0" : n < 0.1 ? "< 0.1" : n < 100 ? n.toFixed(1) : count(n);
}

function bytes(n) {
  return scaled(n, [" B", " KiB", " MiB", " GiB", " TiB"], 1024);
}

function micros(us) {
  if (us === null) return "–";
  if (us <= 1) return "< 1 µs";
  return scaled(us, [" µs", " ms", " s"], 1000);
}

function duration(s) {
  if (s < 10) return s.toFixed(1) + " s";
  const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const i = parts.findIndex(([size]) => s >= size);
  const [size, unit] = parts[i];
  const next = parts[i + 1];
  const rest = next ? Math.floor((s % size) / next[0]) : 0;
  return Math.floor(s / size) + unit + (rest > 0 ? " " + rest + next[1] : "");
}

/* --- elements ---------------------------------------------------------------------------------- */

function show(id, text) {
  const e = $(id);
  if (e.textContent !== text) e.textContent = text;
}

/* Children are elements or text; nothing that comes from the network is read as HTML. */
function make(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children.map((c) => (typeof c === "number" ? String(c) : c)));
  return e;
}

function cells(...list) {
  return make("tr", "", ...list.map((c) => (c instanceof Node ? c : make("td", "", c))));
}

const number = (text, more) => make("td", "n" + (more ? " " + more : ""), text);

function fill(id, rows, empty, columns) {
  if (rows.length === 0) {
    const cell = make("td", "none", empty);
    cell.colSpan = columns;
    rows = [make("tr", "", cell)];
  }
  $(id).replaceChildren(...rows);
}

function pairs(id, list) {
  $(id).replaceChildren(...list.map(([name, value, mood]) =>
    make("div", "", make("dt", "", name), make("dd", mood || "", value))));
}

function bar(share) {
  const i = make("i", "");
  i.style.width = (100 * Math.min(1, share)).toFixed(1) + "%";
  return make("span", "bar", i);
}

function drawLine(id, values) {
  const svg = $(id);
  const top = Math.max(...values, 1e-9);
  const x = (i) => (240 * (HISTORY - values.length + i)) / (HISTORY - 1);
  const y = (v) => 42 - (39 * v) / top;
  const points = values.map((v, i) => x(i).toFixed(1) + "," + y(v).toFixed(1));
  if (!svg.firstChild) {
    for (const tag of ["path", "polyline"])
      svg.append(document.createElementNS("http://www.w3.org/2000/svg", tag));
  }
  svg.firstChild.setAttribute("d", "M" + x(0).toFixed(1) + ",44 L" + points.join(" L") + " L240,44 Z");
  svg.lastChild.setAttribute("points", points.join(" "));
}

/* --- reckoning --------------------------------------------------------------------------------- */

const sum = (o) => Object.values(o || {}).reduce((a, b) => a + b, 0);
const seconds = (a, b) => Math.max(0.001, b.now - a.now);

/* A counter's rate between two answers; a program that is new begins at 0. */
const rate = (before, now, s) => Math.max(0, (now || 0) - (before || 0)) / s;

/* The times of between two answers, as [end of bucket in us, how many]. */
function between(before, now) {
  const old = new Map((before && before.buckets) || []);
  return ((now && now.buckets) || [])
    .map(([end, n]) => [end, n - (old.get(end) || 0)])
    .filter(([, n]) => n > 0);
}

function together(lists) {
  const all = new Map();
  for (const list of lists) for (const [end, n] of list) all.set(end, (all.get(end) || 0) + n);
  return [...all].sort((a, b) => a[0] - b[0]);
}

const total = (list) => list.reduce((a, [, n]) => a + n, 0);

/* null: nothing took any time. */
function percentile(list, share) {
  let left = share * total(list);
  for (const [end, n] of list) {
    left -= n;
    if (left <= 0) return end;
  }
  return null;
}

/* --- parts of the page ------------------------------------------------------------------------- */

function showHealth(s) {
  const pill = $("health");
  pill.className = "pill " + (s.not_ready ? "bad" : "good");
  show("health", s.not_ready || "ready");
  show("about", "version " + s.version + " · port " + s.port + " · up " +
    duration(s.metrics.uptime_seconds || 0));
}

function showThroughput(last, s) {
  const m = s.metrics, o = last.metrics, t = seconds(last, s);
  const now = rate(sum(o.requests_total), sum(m.requests_total), t);
  lines.rate.push(now);
  show("rate", perSecond(now));
  show("rate-peak", "peak " + perSecond(Math.max(...lines.rate)));
  show("rate-flight", count(m.requests_outstanding) + " in flight");
  drawLine("rate-line", lines.rate);
}

function showLatency(first, s) {
  const m = s.metrics, o = first.metrics;
  const all = (key) => together(Object.entries(m[key] || {})
    .map(([name, h]) => between((o[key] || {})[name], h)));
  const clients = all("request_duration_seconds"), nodes = all("node_duration_seconds");
  const p99 = percentile(clients, 0.99);
  show("p50", micros(percentile(clients, 0.5)));
  show("p99", micros(p99));
  show("p999", micros(percentile(clients, 0.999)));
  show("node-p99", "nodes " + micros(percentile(nodes, 0.99)));
  lines.p99.push(p99 || 0);
  drawLine("p99-line", lines.p99);
}

function showErrors(first, s) {
  const t = seconds(first, s), m = s.metrics, o = first.metrics;
  const kinds = Object.entries(m.errors_total || {})
    .map(([kind, n]) => [kind, rate((o.errors_total || {})[kind], n, t), n])
    .sort((a, b) => b[1] - a[1] || b[2] - a[2]);
  const now = kinds.reduce((a, k) => a + k[1], 0);
  show("errors", perSecond(now));
  $("errors").className = now > 0 ? "bad" : "";
  pairs("error-rows", kinds.length === 0 ? [["none since the start", ""]] :
    kinds.slice(0, 4).map(([kind, r, n]) => [kind, r > 0 ? perSecond(r) + "/s" : count(n) + " in all"]));
}

function showClients(first, s) {
  const m = s.metrics, o = first.metrics;
  show("clients", count(m.clients));
  show("clients-max", "of " + count(m.clients_max));
  show("blocked", count(m.clients_blocked));
  show("subscribers", count(m.subscribers));
  show("accepted", perSecond(rate(o.clients_accepted_total, m.clients_accepted_total, seconds(first, s))));
}

function showTraffic(first, s) {
  const m = s.metrics, o = first.metrics, t = seconds(first, s);
  const flow = (key) => bytes(rate(o[key], m[key], t)) + "/s";
  pairs("traffic", [
    ["from clients", flow("client_received_bytes_total")],
    ["to clients", flow("client_sent_bytes_total")],
    ["to nodes", flow("node_sent_bytes_total")],
    ["from nodes", flow("node_received_bytes_total")],
    ["in buffers", bytes(m.buffer_bytes)],
    ["memory", bytes(m.memory_bytes)],
  ]);
}

function showCluster(first, s) {
  const m = s.metrics, o = first.metrics, t = seconds(first, s);
  const uncovered = m.slots_uncovered;
  const redirects = (a) => a.redirects_moved_total + a.redirects_ask_total;
  show("shards", count(m.shards));
  show("shards-unit", m.shards === 1 ? "shard" : "shards");
  pairs("cluster", [
    ["slots without a master", count(uncovered), uncovered > 0 ? "bad" : ""],
    ["redirects per second", perSecond(rate(redirects(o), redirects(m), t))],
    ["retries per second", perSecond(rate(o.retries_total, m.retries_total, t))],
    ["connections lost", count(m.connections_lost_total)],
  ]);
  show("map-age", "confirmed " + duration(m.topology_age_seconds || 0) + " ago");
}

function slotBar(shard) {
  const track = make("div", "slots");
  for (const [from, to] of shard.slots) {
    const i = make("i", "");
    i.style.left = (100 * from) / SLOTS + "%";
    i.style.width = (100 * (to - from + 1)) / SLOTS + "%";
    track.append(i);
  }
  return track;
}

function nodeRow(first, s, node) {
  const t = seconds(first, s);
  const of = (metrics, key) => (metrics[key] || {})[node.address];
  const times = between(of(first.metrics, "node_duration_seconds"), of(s.metrics, "node_duration_seconds"));
  const errors = rate(of(first.metrics, "node_error_replies_total"), of(s.metrics, "node_error_replies_total"), t);
  return cells(make("td", "key", node.address), make("td", "role wide", node.role),
    make("td", "", make("span", "state " + node.state, node.state)),
    number(perSecond(total(times) / t)), number(micros(percentile(times, 0.5)), "wide"),
    number(micros(percentile(times, 0.99))), number(micros(percentile(times, 0.999)), "wide"),
    number(perSecond(errors), errors > 0 ? "wide bad" : "wide zero"));
}

function shardPart(first, s, shard, i) {
  const ranges = shard.slots.map(([from, to]) => (from === to ? from : from + "–" + to)).join(", ");
  const head = make("tr", "", make("th", "", "Node"), make("th", "wide", "Role"), make("th", "", "State"),
    make("th", "n", "req/s"), make("th", "n wide", "p50"), make("th", "n", "p99"),
    make("th", "n wide", "p99.9"), make("th", "n wide", "errors/s"));
  const map = make("div", "",
    make("div", "title", make("b", "", "Shard " + (i + 1)), make("span", "", count(shard.slot_count) + " slots")),
    slotBar(shard), make("div", "ranges", ranges));
  map.lastChild.title = ranges;
  return make("div", "shard", map, make("table", "", make("thead", "", head),
    make("tbody", "", ...shard.nodes.map((n) => nodeRow(first, s, n)))));
}

function showMap(first, s) {
  if (s.shards.length === 0)
    $("map").replaceChildren(make("p", "role", "No slot map yet: no node has told one."));
  else
    $("map").replaceChildren(...s.shards.map((shard, i) => shardPart(first, s, shard, i)));
}

function showCommands(first, s) {
  const m = s.metrics, o = first.metrics, t = seconds(first, s);
  const of = (metrics, key, name) => (metrics[key] || {})[name];
  const all = Object.keys(m.requests_total || {}).map((name) => {
    const times = between(of(o, "request_duration_seconds", name), of(m, "request_duration_seconds", name));
    return {
      name, times, rate: rate(of(o, "requests_total", name), of(m, "requests_total", name), t),
      errors: rate(of(o, "requests_failed_total", name), of(m, "requests_failed_total", name), t),
    };
  }).filter((c) => c.rate > 0).sort((a, b) => b.rate - a.rate);
  const whole = all.reduce((a, c) => a + c.rate, 0);
  fill("commands", all.slice(0, 12).map((c) => cells(make("td", "key", c.name.replace("|", " ")),
    number(perSecond(c.rate)), make("td", "share wide", bar(c.rate / whole)),
    number(micros(percentile(c.times, 0.5))), number(micros(percentile(c.times, 0.99))),
    number(micros(percentile(c.times, 0.999)), "wide"),
    number(perSecond(c.errors), c.errors > 0 ? "bad" : "zero"))), "No command in the last ten seconds.", 7);
}

function showWorkers(first, s) {
  const t = seconds(first, s);
  fill("workers", s.workers.map((w, i) => {
    const o = first.workers[i] || {};
    const cpu = rate(o.cpu_user_seconds_total, w.cpu_user_seconds_total, t) +
      rate(o.cpu_system_seconds_total, w.cpu_system_seconds_total, t);
    const mood = { serving: "", starting: " idle" }[w.state];
    return cells(String(w.number), make("td", "", make("span", "state" + (mood ?? " down"), w.state)),
      number(count(w.clients)), number(perSecond(rate(o.node_requests_total, w.node_requests_total, t)), "wide"),
      number((100 * cpu).toFixed(0) + " %", cpu > 0.9 ? "warn" : ""),
      number(bytes(w.memory_bytes || 0)), number(duration(w.uptime_seconds || 0), "wide"));
  }), "No worker.", 7);
}

/* --- slow commands and hot keys ---------------------------------------------------------------- */

function showSlow(answer) {
  const list = answer.slowlog.sort((a, b) => b.duration_us - a.duration_us || b.time - a.time).slice(0, 10);
  fill("slow", list.map((e) => {
    const command = make("td", "text", e.command.join(" "));
    command.title = e.command.join(" ");
    return cells(new Date(e.time * 1000).toLocaleTimeString("en-GB"), number(micros(e.duration_us)), command,
      make("td", "wide", e.node || "–"), make("td", "wide", e.name || e.client));
  }), "None took longer than slowlog-log-slower-than.", 5);
}

/* What each has asked for since the last look; one that is new, since it came. */
function clientRate(c) {
  const before = commandsOf.get(c.id);
  const ms = before ? c.age_ms - before.age_ms : c.age_ms;
  return (1000 * (c.commands - (before ? before.commands : 0))) / Math.max(ms, 1000);
}

/* The mean time of those commands, in microseconds; null: there were none. */
function clientTook(c) {
  const before = commandsOf.get(c.id) || { commands: 0, took_us: 0 };
  const calls = c.commands - before.commands;
  return calls > 0 ? (c.took_us - before.took_us) / calls : null;
}

/* A name stands above its address; what the client does, if it is neither busy nor idle, at its command. */
function clientRow(c) {
  const who = make("td", "text client", ...(c.name ? [make("b", "", c.name), make("br", "")] : []), c.address);
  who.title = [c.name, c.address, c.library, "user " + c.user].filter(Boolean).join(", ");
  const doing = ["busy", "idle"].includes(c.doing) ? "" : ", " + c.doing;
  return cells(who, make("td", "wide", String(c.worker)),
    make("td", "key", (c.command || "–").replace("|", " ") + doing), number(perSecond(c.rate), "wide"),
    number(micros(c.took), "wide"), number(micros(c.slowest_us), "wide"),
    number(bytes(c.held_bytes), c.held_bytes >= MUCH_HELD ? "warn" : c.held_bytes > 0 ? "" : "zero"),
    number(duration(c.idle_ms / 1000)), number(duration(c.age_ms / 1000), "wide"));
}

function showTopClients(answer) {
  const all = answer.top_clients.map((c) => ({ ...c, rate: clientRate(c), took: clientTook(c) }));
  const much = (c) => (c.held_bytes >= MUCH_HELD ? c.held_bytes : 0);
  all.sort((a, b) => much(b) - much(a) || b.rate - a.rate || a.id - b.id);
  commandsOf.clear();
  for (const c of all) commandsOf.set(c.id, c);
  fill("client-rows", all.slice(0, CLIENT_ROWS).map(clientRow), "No client is connected.", 9);
}

/* Counts are halved each minute, so they are shares rather than numbers. */
function showHot(answer) {
  const all = answer.hotkeys.sort((a, b) => b.calls - a.calls);
  const most = all.length > 0 ? all[0].calls : 1;
  fill("hot", all.slice(0, 10).map((k) => {
    const key = make("td", "text", k.key);
    key.title = k.key;
    return cells(key, number(count(k.calls)), make("td", "share", bar(k.calls / most)),
      number(k.slot === null ? "–" : String(k.slot), "wide"));
  }), "No key has been asked for lately.", 4);
}

function showBig(answer) {
  const size = (k) => Math.max(k.request_bytes, k.reply_bytes);
  const all = answer.bigkeys.sort((a, b) => size(b) - size(a));
  fill("big", all.slice(0, 6).map((k) => {
    const key = make("td", "text", k.key);
    key.title = k.key;
    return cells(key, number(bytes(k.request_bytes)), number(bytes(k.reply_bytes)),
      make("td", "key wide", k.command.replace("|", " ")));
  }), "None of 16 KiB or more.", 4);
}

/* --- asking ------------------------------------------------------------------------------------ */

class Refused extends Error {}

async function ask(path) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: "Bearer " + token } : {};
  const answer = await fetch(path, { headers, cache: "no-store" });
  if (answer.status === 401 || answer.status === 403) throw new Refused((await answer.text()).trim());
  if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
  return answer.json();
}

function showAll(s) {
  history.push(s);
  if (history.length > WINDOW + 1) history.shift();
  const first = history[0], last = history[Math.max(0, history.length - 2)];
  if (history.length > 1) {
    showThroughput(last, s);
    showLatency(first, s);
    for (const list of Object.values(lines)) if (list.length > HISTORY) list.shift();
  }
  for (const part of [showErrors, showClients, showTraffic, showCluster, showMap, showCommands, showWorkers])
    part(first, s);
  showHealth(s);
}

async function poll() {
  try {
    showAll(await ask("status.json"));
    if (polls++ % MORE_EVERY === 0) {
      showSlow(await ask("slowlog"));
      showTopClients(await ask("top-clients"));
      const keys = await ask("hotkeys");
      showHot(keys);
      showBig(keys);
    }
    document.body.classList.remove("stale");
    $("main").hidden = false;
    $("login").hidden = true;
  } catch (e) {
    document.body.classList.add("stale");
    $("health").className = "pill bad";
    show("health", e instanceof Refused ? "locked" : "no answer");
    if (e instanceof Refused) {
      $("main").hidden = true;
      $("login").hidden = false;
      show("refused", sessionStorage.getItem("token") ? "That is not the token." : e.message);
      return; /* until somebody brings the token */
    }
  }
  setTimeout(poll, POLL_MS);
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value);
  $("token").value = "";
  poll();
});

poll();
