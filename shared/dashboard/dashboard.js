"use strict";
// Asks our own interface as the caller, and shows the answers. Text enters the page as text only:
// nodes are made by `h`, nothing is ever parsed as HTML.

const PAGE = 50;            // tenants on a page
const ASKED_AT_ONCE = 100;  // tenants in one question for operations, as the interface allows
const AT_ONCE = 8;          // cards of tenants that need somebody, before "more"
const FOLLOW_EVERY = 4000;  // milliseconds between looks at what runs
const RENEW_EVERY = 60000;  // milliseconds between looks at everything
const KEY = "mondoo-onboarding-key";

const $ = (id) => document.getElementById(id);
const byKeys = document.body.dataset.authentication === "keys";
const OUTCOMES = {
  passed: "✓", changed: "✚", planned: "→", skipped: "·", warning: "!", failed: "✗", unknown: "?",
};
const STATES = [
  "onboarding", "onboarded", "waiting", "refused", "failed", "cancelled", "offboarded",
  "offboarding-incomplete",
];
const GOOD = new Set(["onboarded", "succeeded", "done", "clean", "passed", "changed"]);
const BAD = new Set(["failed", "unknown", "offboarding-incomplete"]);
const BUSY = new Set(["running", "onboarding"]);
const CALM = new Set(["offboarded", "skipped"]);
const SOON_DAYS = 14;

const view = {
  operations: new Map(),  // by tenant id, the newest that is known
  names: new Map(),       // by tenant id
  overview: null, fleet: null, tenants: [], next: null, starts: [null], state: "",
  busy: false,
};

// --- making nodes --------------------------------------------------------------------------------

function h(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

// Puts new content in, and keeps what a person has opened and where they are.
function show(place, ...nodes) {
  const opened = new Set([...place.querySelectorAll("details[open][data-key]")].map((d) => d.dataset.key));
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  place.replaceChildren(...nodes.flat().filter(Boolean));
  for (const details of place.querySelectorAll("details[data-key]"))
    if (opened.has(details.dataset.key)) details.open = true;
  if (focused) place.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

function badge(word, kind) {
  const colour = kind || (GOOD.has(word) ? "good" : BAD.has(word) ? "bad" : BUSY.has(word) ? "busy" : CALM.has(word) ? "calm" : "mind");
  return h("span", { class: `badge ${colour}` }, word);
}

function ago(text) {
  if (!text) return "never";
  const seconds = (new Date(text) - Date.now()) / 1000;
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const [unit, size] = units.find(([, each]) => Math.abs(seconds) >= each) || ["second", 1];
  return h("time", { datetime: text, title: new Date(text).toLocaleString("en") },
    words.format(Math.round(seconds / size), unit));
}

function daysLeft({ certificate, authentication }) {
  if (authentication === "federated") return h("span", { class: "quiet" }, "keyless");
  if (!certificate) return h("span", { class: "quiet" }, "none");
  const days = Math.floor((new Date(certificate.notAfter) - Date.now()) / 86400000);
  const kind = days < 0 ? "bad" : days <= SOON_DAYS ? "mind" : "";
  return h("span", { class: kind && `days ${kind}`, title: new Date(certificate.notAfter).toLocaleString("en") },
    days < 0 ? "ended" : `${days} day${days === 1 ? "" : "s"}`);
}

function findings(counts) {
  if (!counts) return h("span", { class: "quiet" }, "not known");
  const found = ["high", "medium", "low"].filter((severity) => counts[severity]);
  if (!found.length) return h("span", { class: "quiet" }, "none");
  return found.map((severity) => [h("span", { class: `badge ${severity}` }, `${counts[severity]} ${severity}`), " "]);
}

const nameOf = (tenant) => tenant.displayName || tenant.initialDomain || tenant.tenantId;

function opener(tenantId, key) {
  return h("button", { type: "button", class: "link", "data-key": key, on: { click: () => openTenant(tenantId) } },
    view.names.get(tenantId) || tenantId);
}

function said(what, code, remediation) {
  return [
    h("p", {}, what, code ? [" ", h("code", {}, code)] : null),
    remediation ? h("p", { class: "fix" }, h("b", {}, "What to do: "), remediation) : null,
  ];
}

const stops = (step) => step.outcome === "failed" || step.outcome === "unknown";

// Whether a step's findings say more than the step itself: a single one is often the step again.
const tells = ({ findings, remediation }) =>
  findings?.length > 1 || (findings?.length === 1 && findings[0].remediation !== remediation);

// What stopped an operation, in full: code, message, remedy, and what belongs to it.
function stopped(operation) {
  return (operation.steps || []).filter(stops).map((step) => h("div", { class: "stopped" },
    h("p", { class: "where" }, badge(step.outcome), " ", operation.kind, ", step ", h("b", {}, step.name)),
    said(step.message, step.code, step.remediation),
    tells(step) ? h("ul", { class: "plain" }, step.findings.slice(0, 10).map((finding) =>
      h("li", {}, h("span", { class: `badge ${finding.severity}` }, finding.severity), " ", h("b", {}, finding.subject), ": ",
        said(finding.message, finding.code, finding.remediation)))) : null));
}

function steps(operation) {
  return h("ol", { class: "steps" }, (operation.steps || []).map((step) => {
    const running = step.startedAt && !step.outcome;
    const word = step.outcome || (running ? (step.code ? "waiting" : "running") : "to come");
    return h("li", { class: `step ${step.outcome || (running ? "running" : "todo")}` },
      h("span", { class: "sign", "aria-hidden": "true" }, OUTCOMES[step.outcome] || (running ? "…" : "○")),
      h("span", { class: "name" }, step.name, " ", h("span", { class: "quiet" }, word,
        step.attempts > 1 ? `, ${step.attempts} attempts` : "")),
      step.message && (running || step.outcome !== "skipped") && !stops(step) ? h("span", { class: "message" }, step.message) : null);
  }));
}

// --- asking --------------------------------------------------------------------------------------

class Problem extends Error {
  constructor(status, body) {
    super(body.detail || `the interface answered ${status}`);
    Object.assign(this, { status, code: body.code, remediation: body.remediation });
  }
}

function credential() {
  try { return sessionStorage.getItem(KEY); } catch { return null; }
}

function remember(value) {
  try { value === null ? sessionStorage.removeItem(KEY) : sessionStorage.setItem(KEY, value); } catch { /* kept nowhere */ }
}

async function ask(path, method = "GET") {
  const headers = { Accept: "application/json" };
  const held = credential();
  if (held) headers[byKeys ? "x-functions-key" : "Authorization"] = byKeys ? held : `Bearer ${held}`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, cache: "no-store", credentials: "same-origin", redirect: "error", referrerPolicy: "no-referrer" });
  } catch {
    throw new Problem(0, { detail: "The interface does not answer.", remediation: "Look whether the app is up (GET /api/health); this page tries again by itself." });
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, body);
  return body;
}

async function askOperations(tenantIds) {
  const ids = [...new Set(tenantIds)];
  const parts = [];
  for (let at = 0; at < ids.length; at += ASKED_AT_ONCE) parts.push(ids.slice(at, at + ASKED_AT_ONCE));
  for (const part of await Promise.all(parts.map((each) => ask(`/api/operations?tenants=${each.join(",")}`))))
    for (const operation of part.operations) view.operations.set(operation.tenantId, operation);
}

async function orNone(question) {
  try { return await question; } catch (error) { if (error.status === 404) return null; throw error; }
}

// --- the parts of the page -----------------------------------------------------------------------

function tile(label, number, kind) {
  return h("li", { class: number ? kind : "zero" }, h("b", {}, number.toLocaleString("en")), " ", h("span", {}, label));
}

function showTiles() {
  const all = view.overview;
  show($("tiles"),
    tile("tenants", all.tenants, ""),
    tile("onboarded", all.states.onboarded || 0, "good"),
    tile("need somebody", all.needing, "bad"),
    tile("findings, high", all.findings.high, "bad"),
    tile("findings, medium", all.findings.medium, "mind"),
    tile("findings, low", all.findings.low, "low"),
    tile("certificates ending", all.certificatesEnding, "mind"),
    tile("never audited", all.notAudited, "mind"));
}

function showNeeding() {
  const all = view.overview;
  if (!all.named.length) {
    show($("needing"), h("p", { class: "card calm" }, all.tenants ? "Nobody: every tenant is as it should be." : "There is no tenant yet."));
    return;
  }
  const causes = new Map();
  const cards = all.named.map(({ tenant, reasons, operation }) => {
    for (const step of operation?.steps || []) if (stops(step)) causes.set(step.code, (causes.get(step.code) || 0) + 1);
    const why = operation ? stopped(operation) : [];
    const grave = reasons[0].weight >= 70;
    return h("li", { class: `card ${grave ? "bad" : "mind"}` },
      h("div", { class: "bar" },
        h("h3", {}, opener(tenant.tenantId, `needing-${tenant.tenantId}`)),
        badge(tenant.state)),
      h("p", { class: "quiet ids" }, tenant.displayName ? h("span", {}, tenant.initialDomain) : null, h("code", {}, tenant.tenantId)),
      h("ul", { class: "reasons" }, reasons.map((reason) => h("li", {}, reason.message))),
      why,
      !why.length && reasons.some((r) => r.code === "findings-high" || r.code === "audit-failed")
        ? h("p", { class: "fix" }, h("b", {}, "What to do: "), "open the tenant to see each finding with its fix.") : null,
      !why.length && reasons.some((r) => r.code.startsWith("certificate"))
        ? h("p", { class: "fix" }, h("b", {}, "What to do: "), h("code", {}, `POST /api/tenants/${tenant.tenantId}/rotate`)) : null);
  });
  const left = all.needing - all.named.length;
  const shared = [...causes].filter(([code, times]) => code && times > 1);
  show($("needing"),
    shared.length ? h("p", { class: "shared" }, "One cause for several: ", shared.map(([code, times]) => [h("code", {}, code), ` (${times} tenants) `])) : null,
    h("ul", { class: "cards" }, cards.slice(0, AT_ONCE)),
    cards.length > AT_ONCE ? h("details", { "data-key": "more", class: "more" }, h("summary", {}, `${cards.length - AT_ONCE} more`),
      h("ul", { class: "cards" }, cards.slice(AT_ONCE))) : null,
    left > 0 ? h("p", { class: "quiet" }, `and ${left.toLocaleString("en")} more; see All tenants, by state.`) : null);
}

const running = () => [...view.operations.values()].filter((operation) => !operation.finishedAt);

function showRunning() {
  const now = running();
  if (!now.length) {
    show($("running"), h("p", { class: "card calm" }, "Nothing that this page looks at: onboardings, and the tenants that are shown."));
    return;
  }
  show($("running"), h("ul", { class: "cards" }, now.map((operation) => {
    const all = operation.steps.length, ended = operation.steps.filter((step) => step.outcome).length;
    const current = operation.steps.find((step) => step.startedAt && !step.outcome);
    return h("li", { class: "card busy" },
      h("div", { class: "bar" },
        h("h3", {}, operation.kind, " · ", opener(operation.tenantId, `running-${operation.id}`)),
        operation.cancelRequestedAt ? badge("stopping", "mind")
          : h("button", { type: "button", "data-key": `stop-${operation.id}`, on: { click: () => stop(operation) } }, "Stop…")),
      h("p", { class: "quiet" }, "begun ", ago(operation.startedAt), `, ${ended} of ${all} steps`),
      h("progress", { max: all, value: ended, "aria-label": `${ended} of ${all} steps ended` }),
      current ? h("p", {}, h("b", {}, current.name), current.message ? `: ${current.message}` : "", current.code ? [" ", h("code", {}, current.code)] : null) : null,
      h("details", { "data-key": operation.id }, h("summary", {}, "Steps"), steps(operation)));
  })));
}

function showFleet() {
  const run = view.fleet;
  if (!run) {
    show($("fleet"), h("p", { class: "card calm" }, "There was no run over all tenants yet."));
    return;
  }
  const words = { look: "reading all tenants", mend: "putting right", done: "done", stopped: "stopped: asks you", cancelled: "cancelled", failed: "failed" };
  const looks = run.phase === "look" || run.phase === "mend";
  const numbers = [["tenants", run.tenants], ["audited", run.audited], ["clean", run.clean], ["with findings", run.withFindings], ["failing", run.failing],
    ["put right", run.mended], ["not put right, for want of rights", run.refused], ["busy", run.busy], ["in flight", run.inFlight], ["would change", run.wouldChange]];
  const kind = looks ? "busy" : run.phase === "stopped" || run.phase === "failed" ? "bad" : run.phase === "cancelled" || run.failing || run.refused ? "mind" : "good";
  const [of, ended, what] = run.phase === "mend" ? [run.wouldChange, run.mended, "put right"] : [run.tenants, run.audited, "audited"];
  show($("fleet"), h("div", { class: `card ${kind}` },
    h("p", {}, badge(words[run.phase] || run.phase, kind), " ",
      run.startedAt ? ["begun ", ago(run.startedAt)] : null, run.finishedAt ? [", ended ", ago(run.finishedAt)] : null,
      run.manifest ? [", roll-out of ", h("code", {}, run.manifest)] : null),
    looks && of ? h("progress", { max: of, value: ended, "aria-label": `${ended} of ${of} ${what}` }) : null,
    h("dl", { class: "facts" }, numbers.filter(([, number]) => number).map(([label, number]) =>
      h("div", {}, h("dt", {}, label), h("dd", {}, number.toLocaleString("en"))))),
    run.notice ? h("p", { class: "fix" }, run.notice) : null));
}

function showTenants() {
  const head = ["Tenant", "State", "Last proof", "Certificate", "Open findings", "Newest operation"];
  const rows = view.tenants.map((tenant) => {
    const operation = view.operations.get(tenant.tenantId);
    const cells = [
      [opener(tenant.tenantId, `tenant-${tenant.tenantId}`), h("span", { class: "line quiet" }, tenant.displayName ? tenant.initialDomain : "")],
      badge(tenant.state),
      [ago(tenant.scannedAt), tenant.grade ? h("span", { class: "line quiet" }, `grade ${tenant.grade}`) : ""],
      daysLeft(tenant),
      tenant.auditStatus === "failed" ? badge("audit failed", "bad") : findings(tenant.findings),
      operation ? [operation.kind, " ", badge(operation.finishedAt ? operation.status : "running"), " ",
        h("span", { class: "line quiet" }, ago(operation.finishedAt || operation.startedAt))] : "",
    ];
    return h("tr", { role: "row" }, cells.map((cell, at) => h("td", { role: "cell", "data-label": head[at] }, h("div", {}, cell))));
  });
  show($("tenants"), rows.length
    ? h("table", { role: "table", "aria-labelledby": "tenants-heading" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head.map((label) => h("th", { scope: "col", role: "columnheader" }, label)))),
      h("tbody", { role: "rowgroup" }, rows))
    : h("p", { class: "card calm" }, view.state ? `No tenant is ${view.state}.` : "There is no tenant yet. Onboard one with POST /api/tenants."));
  const of = view.state ? view.overview.states[view.state] || 0 : view.overview.tenants;
  const first = (view.starts.length - 1) * PAGE;
  $("place").textContent = rows.length ? `${first + 1} to ${first + rows.length} of ${of.toLocaleString("en")}` : "";
  $("previous").disabled = view.starts.length === 1;
  $("next").disabled = !view.next;
  const states = [h("option", { value: "" }, `all (${view.overview.tenants})`),
    ...STATES.filter((state) => view.overview.states[state]).map((state) =>
      h("option", { value: state }, `${state} (${view.overview.states[state]})`))];
  $("state").replaceChildren(...states);
  $("state").value = view.state;
}

function showAll() {
  $("sign-in").hidden = true;
  $("shown").hidden = $("controls").hidden = false;
  $("forget").hidden = !credential();
  $("updated").replaceChildren("as of ", h("time", { datetime: view.overview.createdAt }, new Date(view.overview.createdAt).toLocaleTimeString("en")));
  showTiles(); showNeeding(); showRunning(); showFleet(); showTenants();
}

// --- one tenant ----------------------------------------------------------------------------------

async function openTenant(name) {
  const dialog = $("detail");
  $("detail-heading").textContent = view.names.get(name) || name;
  $("detail-body").replaceChildren(h("p", { class: "quiet" }, "Asking…"));
  if (!dialog.open) dialog.showModal();
  try {
    const { tenantId, tenant, operation } = await ask(`/api/tenants/${encodeURIComponent(name)}`);
    const report = tenant ? await orNone(ask(`/api/tenants/${tenantId}/report?format=json`)) : null;
    $("detail-heading").textContent = tenant ? nameOf(tenant) : tenantId;
    $("detail-body").replaceChildren(...tenantParts(tenantId, tenant, operation, report));
  } catch (error) {
    $("detail-body").replaceChildren(h("div", { class: "stopped" }, said(error.message, error.code, error.remediation)));
  }
}

function tenantParts(tenantId, tenant, operation, report) {
  const facts = tenant ? [
    ["State", badge(tenant.state)], ["Domain", tenant.initialDomain], ["Onboarded", tenant.onboardedAt && ago(tenant.onboardedAt)],
    ["Last proof (scan)", ago(tenant.scannedAt)], ["Grade", tenant.grade], ["Certificate", daysLeft(tenant)],
    ["Manifest", tenant.manifestTarget ? `${tenant.manifest || "none"}, on the way to ${tenant.manifestTarget}` : tenant.manifest], ["Audits may", tenant.repair || "report"], ["Audited", tenant.auditedAt && ago(tenant.auditedAt)],
    ["Rotation", tenant.rotation && tenant.rotation.state], ["Application", tenant.appId && h("code", {}, tenant.appId)],
  ] : [];
  const parts = [h("p", {}, h("code", {}, tenantId)),
    h("dl", { class: "facts" }, facts.filter(([, value]) => value).map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))))];
  if (operation) parts.push(h("h3", {}, "Newest operation: ", operation.kind, " ", badge(operation.finishedAt ? operation.status : "running")),
    h("p", { class: "quiet" }, h("code", {}, operation.id)), ...stopped(operation), steps(operation));
  for (const service of tenant?.coverage || []) if (service.state !== "scanned")
    parts.push(h("p", {}, h("b", {}, service.service), `: ${service.state}. `, (service.causes || []).map((cause) => [cause.message, cause.subjects?.length ? ` (${cause.subjects.join(", ")})` : "", ". "])));
  if (report) {
    const open = (report.findings || []).filter((finding) => finding.severity !== "info");
    parts.push(h("h3", {}, `Open findings: ${open.length}`), h("ul", { class: "plain" }, open.slice(0, 100).map((finding) =>
      h("li", {}, h("span", { class: `badge ${finding.severity}` }, finding.severity), " ", h("b", {}, finding.subject), ": ",
        said(finding.message, finding.code, finding.remediation)))));
    if (report.failure) parts.push(h("div", { class: "stopped" }, said(report.failure.message, report.failure.code, report.failure.remediation)));
  }
  const left = (tenant?.receipt?.entries || []).filter((entry) => entry.fate === "present" || entry.fate === "unknown");
  if (left.length) parts.push(h("h3", {}, "Still there after the offboarding"), h("ul", { class: "plain" }, left.map((entry) =>
    h("li", {}, h("b", {}, entry.kind), ` ${entry.name} (${entry.fate})`, entry.message ? `: ${entry.message}` : ""))));
  return parts;
}

async function stop(operation) {
  const name = view.names.get(operation.tenantId) || operation.tenantId;
  $("confirm-body").textContent = `The ${operation.kind} operation on ${name} stops at the next safe point. What was done stays, nothing is undone, and it can be sent again.`;
  const dialog = $("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") return;
  try {
    await ask(`/api/operations/${operation.id}/cancel`, "POST");
    tell("It was asked to stop.");
    show($("refused"));
  } catch (error) {
    // It stays until it was read: the next look at what runs would take away what `trouble` says.
    show($("refused"), h("div", { class: "alert" }, said(error.message, error.code, error.remediation),
      h("div", { class: "buttons" }, h("button", { type: "button", on: { click: () => show($("refused")) } }, "Dismiss"))));
    $("refused").scrollIntoView({ block: "center" });
  }
  await follow();
}

// --- the course of things ------------------------------------------------------------------------

function tell(what) { if ($("said").textContent !== what) $("said").textContent = what; }

function trouble(error) {
  show($("trouble"), error ? h("div", { class: "alert" }, said(error.message, error.code, error.remediation)) : null);
}

function askWho(refused) {
  $("shown").hidden = $("controls").hidden = true;
  $("sign-in").hidden = false;
  $("key-label").textContent = byKeys ? "Function key" : "Access token";
  $("key-hint").replaceChildren(byKeys ? "" : "Of the application in front of this interface: ",
    byKeys ? "" : h("code", {}, "az account get-access-token --resource api://<client id> --query accessToken -o tsv"), byKeys ? "" : ". ",
    "It is sent in a header and kept in this tab until you close it; it never becomes part of an address.");
  trouble(refused && credential() ? new Problem(401, {
    detail: refused.code ? refused.message : byKeys ? "This key was not accepted." : "This token was not accepted.",
    remediation: refused.remediation || (byKeys
      ? "Take a function key or a host key of the function app (App keys in the portal)."
      : "Get a new one, for the application in front of this interface; tokens live for about an hour."),
  }) : null);
  remember(null);
  $("key").focus();
}

async function guarded(work) {
  if (view.busy) return;
  view.busy = true;
  $("main").setAttribute("aria-busy", "true");
  try { await work(); trouble(null); }
  catch (error) { if (error.status === 401) askWho(error); else if (error instanceof Problem) trouble(error); else throw error; }
  finally { view.busy = false; $("main").removeAttribute("aria-busy"); }
}

const tenantsPath = () => {
  const after = view.starts.at(-1);
  return `/api/tenants?limit=${PAGE}${view.state ? `&state=${view.state}` : ""}${after ? `&after=${after}` : ""}`;
};

const load = () => guarded(async () => {
  const [overview, page, fleet] = await Promise.all([ask("/api/overview"), ask(tenantsPath()), orNone(ask("/api/audit"))]);
  Object.assign(view, { overview, fleet, tenants: page.tenants, next: page.next || null });
  for (const tenant of [...page.tenants, ...overview.named.map((one) => one.tenant)]) view.names.set(tenant.tenantId, nameOf(tenant));
  view.operations.clear();
  await askOperations([...overview.onboarding, ...page.tenants.map((tenant) => tenant.tenantId)]);
  showAll();
  tell(`${overview.tenants} tenants, ${overview.needing} need somebody, ${running().length} operations running.`);
});

const follow = () => guarded(async () => {
  const before = running();
  const looks = view.fleet && (view.fleet.phase === "look" || view.fleet.phase === "mend");
  if (looks) { view.fleet = await orNone(ask("/api/audit")); showFleet(); }
  if (!before.length) return;
  await askOperations(before.map((operation) => operation.tenantId));
  showRunning(); showTenants();
  const ended = before.filter((operation) => view.operations.get(operation.tenantId)?.finishedAt);
  if (!ended.length) return;
  tell(ended.map((operation) => `${operation.kind} of ${view.names.get(operation.tenantId) || operation.tenantId}: ${view.operations.get(operation.tenantId).status}.`).join(" "));
  setTimeout(load, 0);  // its record is written by now
});

// A key that somebody put into the address is taken out of it, and out of the history, at once.
const given = new URLSearchParams(location.search);
if (given.has("code")) {
  if (byKeys) remember(given.get("code"));
  history.replaceState(null, "", location.pathname);
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  remember($("key").value.trim());
  $("key").value = "";
  load().then(() => $("shown").hidden || $("main").focus());
});
$("forget").addEventListener("click", () => { remember(null); location.reload(); });
$("refresh").addEventListener("click", load);
$("state").addEventListener("change", (event) => { view.state = event.target.value; view.starts = [null]; load(); });
$("next").addEventListener("click", () => {
  view.starts.push(new URL(view.next, location.origin).searchParams.get("after"));
  load();
});
$("previous").addEventListener("click", () => { view.starts.pop(); load(); });
$("find-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("find").value.trim();
  if (name) openTenant(name);
});
const looking = (work) => () => { if (!document.hidden && $("sign-in").hidden) work(); };
addEventListener("beforeprint", () => { for (const details of document.querySelectorAll("#shown details")) details.open = true; });
setInterval(looking(follow), FOLLOW_EVERY);
setInterval(looking(load), RENEW_EVERY);
document.addEventListener("visibilitychange", looking(load));
load();
