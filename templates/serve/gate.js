// Clocks, live updates, keys, decisions, passkeys. Text of a request never becomes markup: the page's policy forbids it.
const $ = (what, at = document) => at.querySelector(what);
const all = (what) => [...document.querySelectorAll(what)];
const csrf = $("meta[name=csrf]")?.content ?? "";
const ahead = Number(document.documentElement.dataset.now) - Date.now();
const say = (text) => { $("#say").textContent = text; };

// What the API says of errors is a fragment.
const sentence = (text) => text.replace(/`/g, "").replace(/^./, (first) => first.toUpperCase()).replace(/[^.!?]$/, "$&.");
async function call(path, body, method = "POST") {
  const headers = { "content-type": "application/json", "x-gate-csrf": csrf };
  const answer = await fetch(path, { method, headers, body: JSON.stringify(body), redirect: "error" });
  const json = await answer.json().catch(() => ({}));
  if (answer.ok) return json;
  throw Object.assign(new Error(sentence(json.detail || json.title || `the server answered ${answer.status}`)), { status: answer.status, type: json.type ?? "" });
}

// Time left, by the server's clock.
function duration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  const [big, one, small, two] = seconds < 3600 ? [60, "min", 1, "s"] : seconds < 86400 ? [3600, "h", 60, "min"] : [86400, "days", 3600, "h"];
  const many = Math.floor(seconds / big), rest = Math.floor((seconds % big) / small);
  return `${many} ${many === 1 && one === "days" ? "day" : one}${rest ? ` ${rest} ${two}` : ""}`;
}
function tick() {
  for (const clock of all("[data-until]")) {
    const left = Math.max(0, Number(clock.dataset.until) - Date.now() - ahead), seconds = Math.floor(left / 1000);
    if (clock.localName === "progress") clock.value = left;
    else if (clock.textContent !== duration(seconds)) clock.textContent = duration(seconds);
    if (!("say" in clock.dataset)) continue;
    clock.classList.toggle("soon", seconds < 60);
    if (seconds === 60 || seconds === 10) say(`${duration(seconds)} left to decide`);
    if (seconds === 0 && clock.dataset.said !== "0") { clock.dataset.said = "0"; setTimeout(refresh, 1000); }
  }
}
tick();
setInterval(tick, 1000);

// Live: what changed is fetched as a page of its own, and its parts take the place of these.
function page(path) {
  return new Promise((good, bad) => {
    const asked = new XMLHttpRequest();
    asked.open("GET", path);
    asked.responseType = "document";
    asked.onload = () => (asked.response ? good(asked) : bad(new Error("no page")));
    asked.onerror = () => bad(new Error("no answer"));
    asked.send();
  });
}
async function refresh() {
  const asked = await page(location.href).catch(() => null);
  if (!asked) return;
  if (asked.status === 401) return location.reload();
  if (asked.status !== 200) return;
  const focused = document.activeElement?.id, before = $("#stands .state")?.textContent;
  for (const id of ["banner", "head", "stands", "inbox"]) swap(id, asked.response);
  if (!$("#decide", asked.response)) for (const id of ["may", "jump", "cmd"]) swap(id, asked.response);
  if (!$("#glass .call", asked.response)) swap("glass", asked.response);
  tick();
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
  const state = $("#stands .state")?.textContent, count = $(".count")?.textContent;
  if (state !== before) say(`This request is now ${state.toLowerCase()}.`);
  else if (stops !== Boolean($(".stopped"))) say((stops = !stops) ? "Everything is stopped." : "The stop was lifted.");
  else if (count && count !== shown) say(`${count} requests wait`);
  shown = count;
  document.title = asked.response.title;
}
let shown = $(".count")?.textContent, stops = Boolean($(".stopped"));
function swap(id, from) {
  const old = document.getElementById(id), fresh = from.getElementById(id);
  if (old && fresh) old.isEqualNode(fresh) || old.replaceWith(document.importNode(fresh, true));
  else old?.remove();
}
const live = $("[data-live]")?.dataset.live;
if (live) {
  const events = new EventSource(live);
  let waiting, touched = Date.now();
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(refresh, 50); };
  events.addEventListener("change", soon);
  // What changed before the stream stood is not told by it.
  events.onopen = soon;
  // A refused stream is a session that ended: the page says so.
  events.onerror = () => { if (events.readyState === EventSource.CLOSED) soon(); };
  // A page that nobody looks at does not keep a session alive.
  for (const sign of ["pointerdown", "keydown", "focus"]) addEventListener(sign, () => {
    if (events.readyState === EventSource.CLOSED) location.reload();
    touched = Date.now();
  });
  setInterval(() => { if (Date.now() - touched > 1800000) events.close(), say("Live updates are paused."); }, 60000);
}

// Keys of the inbox; whoever does not want them turns them off.
const keys = $("#keys");
if (keys) {
  keys.closest("p").hidden = false;
  keys.checked = localStorage.getItem("keys") !== "off";
  keys.onchange = () => localStorage.setItem("keys", keys.checked ? "on" : "off");
  addEventListener("keydown", (event) => {
    const step = { j: 1, k: -1 }[event.key];
    if (!step || !keys.checked || event.ctrlKey || event.metaKey || event.altKey || /INPUT|TEXTAREA/.test(event.target.tagName) && event.target !== keys) return;
    const rows = all(".rows a"), at = rows.indexOf(document.activeElement);
    rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
  });
}

// WebAuthn. What is binary goes as base64url without padding.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
const ids = (list) => list.map((id) => ({ type: "public-key", id: bytes(id) }));
async function sign({ challenge, rp_id, credentials }) {
  if (!rp_id || !credentials.length) throw new Error("None of your passkeys counts here: register one in the settings, and have it enrolled.");
  const publicKey = { challenge: bytes(challenge), rpId: rp_id, allowCredentials: ids(credentials), userVerification: "required" };
  const { rawId, response } = await navigator.credentials.get({ publicKey });
  return { id: text(rawId), client_data: text(response.clientDataJSON), authenticator_data: text(response.authenticatorData), signature: text(response.signature) };
}
async function make(asked) {
  const publicKey = { ...asked, challenge: bytes(asked.challenge), user: { ...asked.user, id: bytes(asked.user.id) }, excludeCredentials: ids(asked.exclude) };
  const { response } = await navigator.credentials.create({ publicKey });
  return { client_data: text(response.clientDataJSON), attestation_object: text(response.attestationObject) };
}
const refused = (error) => (error.name === "NotAllowedError" ? "The passkey was not used, or it is not one of yours. Nothing was sent." : error.message);

// Whoever approves has had the end of the command before their eyes.
const unread = "Read the command to its end first: scroll it down.";
let read = false, ready = () => {};
if ($("#end")) new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) { read = true; ready(); } }).observe($("#end"));
// What was typed is there again after a second factor.
const typed = ["comment", "glass-why"].map((id) => document.getElementById(id)).filter(Boolean);
for (const field of typed) field.value = sessionStorage.getItem(field.id + location.pathname) ?? "", sessionStorage.removeItem(field.id + location.pathname);
if ($("#glass-why")?.value) $(".glass").open = true;
function stepUp() {
  for (const field of typed) if (field.value) sessionStorage.setItem(field.id + location.pathname, field.value);
  location.assign(`/auth/step-up?return=${encodeURIComponent(location.pathname)}`);
}

// Forms of which the API takes the fields.
const as = { number: Number, time: (text) => new Date(text).toISOString() };
for (const form of all("form.call")) {
  const button = $("button", form), said = $(".said", form);
  const wrong = (message) => { said.className = "hint said bad"; said.textContent = message; };
  button.disabled = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    if ("read" in form.dataset && !read) return wrong(unread), $("#cmd").focus();
    const body = {};
    for (const { name, value, dataset, type, checked } of form.elements) {
      if (!name) continue;
      if (dataset.as === "list") body[name] = (body[name] ?? []).concat(type === "checkbox" && !checked ? [] : value);
      else body[name] = (as[dataset.as] ?? ((text) => text.trim()))(value);
    }
    button.disabled = true;
    try {
      await call(form.dataset.call, body, form.dataset.method);
      location.reload();
    } catch (error) {
      if (/insufficient/.test(error.type)) return stepUp();
      wrong(error.message);
      button.disabled = false;
    }
  };
}
const until = $("#until");
if (until) {
  // Tomorrow at this time, as the clock on the wall has it.
  const at = new Date(Date.now() + ahead + 86400000 - new Date().getTimezoneOffset() * 60000);
  until.value = at.toISOString().slice(0, 16);
}

// The decision.
const form = $("#decide");
if (form) {
  const { id, digest, assurance } = form.dataset, approve = $("#approve"), why = $("#why"), number = $("#number"), comment = $("#comment");
  const words = all("#cmd li"), plain = (word) => [...word.querySelectorAll(".r")].map((row) => row.textContent).join("");
  const more = $("#more"), boxes = all("#more .tick input"), once = approve.textContent;
  let busy = false;
  // What is approved beyond this run: only while that part is open.
  const standing = () => more?.open ? { uses: Number($("#uses").value), seconds: Number($("#span").value), open: boxes.filter((box) => box.checked).map((box) => Number(box.value)) } : undefined;
  // What keeps it from being approved, and where that is mended.
  const missing = () => {
    if (!read) return [unread, $("#cmd")];
    if (number && !/^[0-9]{2}$/.test(number.value.trim())) return ["Type the number that the requester sees.", number];
    const lacks = more?.open && $(":invalid", more);
    return lacks ? ["Say how often and for how long, or close that part to approve one run.", lacks] : [""];
  };
  ready = () => {
    const [lacks] = missing(), wider = standing(), times = wider && !$(":invalid", more) ? ` ${wider.uses} times` : "";
    for (const box of boxes) words[box.value].classList.toggle("any", more.open && box.checked);
    approve.setAttribute("aria-disabled", String(Boolean(lacks) || busy));
    approve.textContent = once.replace("Approve", `$&${times}`);
    let what = "exactly this", like = "";
    if (wider?.open.length) {
      const line = words.map((word, at) => (wider.open.includes(at) ? "<any>" : plain(word))).join(" ");
      [what, like] = ["this and the like", ` The pattern: ${line.slice(0, 400)}${line.length > 400 ? "…" : ""}`];
    }
    why.className = "hint";
    why.textContent = lacks || `You approve ${what},${times || " once"}${times && ` within ${$("#span").selectedOptions[0].text}`}: digest ${digest.slice(0, 5)}-${digest.slice(5, 10)}.${like}`;
  };
  const wrong = (message) => { why.textContent = message; why.className = "hint bad"; say(message); };
  form.oninput = ready;
  more?.addEventListener("toggle", ready);
  // A key that ends a field decides nothing.
  form.onkeydown = (event) => { if (event.key === "Enter" && event.target.localName === "input") event.preventDefault(); };
  ready();

  const send = async (review, comment) => {
    if (busy) return;
    busy = true;
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
    const body = { review, digest, comment, standing: review === "approve" ? standing() : undefined };
    try {
      if (number?.value && review === "approve") body.number = number.value.trim();
      if (review === "approve" && /passkey|hardware/.test(assurance)) {
        const asked = await call(`/v1/requests/${id}/statement`, { answer: review, standing: body.standing });
        body.evidence = { statement: asked.statement, webauthn: await sign(asked) };
      }
      await call(`/v1/requests/${id}/reviews`, body);
      await refresh();
      $("#stands")?.focus();
    } catch (error) {
      if (/insufficient/.test(error.type) && !body.evidence) return stepUp();
      if (error.status === 409 || error.status === 410) await refresh();
      wrong(refused(error));
      if (number) number.value = "";
    } finally {
      busy = false;
      for (const button of form.querySelectorAll("button:not(#approve)")) button.removeAttribute("aria-disabled");
      approve.setAttribute("aria-disabled", String(Boolean(missing()[0])));
    }
  };
  approve.onclick = () => {
    const [lacks, field] = missing();
    if (!lacks) return send("approve", comment.value.trim());
    wrong(lacks);
    field.focus();
  };
  form.onsubmit = (event) => { event.preventDefault(); send("reject", comment.value.trim()); };
  const narrower = $("#narrower");
  narrower.value = words.map(plain).join("\n").slice(0, 4000);
  const before = narrower.value;
  $("#narrow").onclick = () => {
    const words = narrower.value.split("\n").map((word) => word.trim()).filter(Boolean).join(" ");
    if (!words || narrower.value === before) return wrong("Change the command to what you would approve."), narrower.focus();
    send("reject", `${comment.value.trim()}\nWould be approved instead: ${words}`.trim());
  };
}

// One's own passkeys.
const register = $("#register");
if (register) {
  const said = $("#said");
  register.onsubmit = async (event) => {
    event.preventDefault();
    said.className = "hint";
    try {
      const asked = await call("/settings/passkeys/options", {});
      await call("/settings/passkeys", { name: $("#name").value.trim(), ...await make(asked) });
      location.reload();
    } catch (error) {
      said.className = "hint bad";
      said.textContent = error.name === "InvalidStateError" ? "This passkey is registered already." : refused(error);
    }
  };
  for (const button of all("[data-remove]")) {
    button.onclick = () => call("/settings/passkeys/remove", { id: button.dataset.remove }).then(() => location.reload(), (error) => { said.textContent = error.message; });
  }
}
