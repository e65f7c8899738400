// Walks through the pages of a running server in Chromium, as people do.
// flows.mjs MODULES PICTURES URL FLOW [REQUEST…]
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import duties from "./flows_duties.mjs";
import grants from "./flows_grants.mjs";
import passkeys from "./flows_passkeys.mjs";

const [modules, pictures, base, flow, id, other] = process.argv.slice(2);
const { chromium } = createRequire(modules + "/")("playwright-core");
const executablePath = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => {
  try { return readFileSync(path, { flag: "r" }).length > 0; } catch { return false; }
});
const wrong = [];
const is = (what, found, wanted) => { if (found !== wanted) wrong.push(`${what}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`); };
const has = (what, text, part) => { if (!text.includes(part)) wrong.push(`${what}: ${JSON.stringify(part)} is not in ${JSON.stringify(text)}`); };
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
/// Says a line to whoever runs this, who answers with one.
const tell = async (line) => { console.log(line); return (await answers.next()).value; };
const ask = (changes) => tell(`ask ${JSON.stringify(changes)}`);

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const card = `${base}/r/${id}`;

/// Somebody at a page, signed on; more of the context may be given.
async function somebody(name, path, more = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  page.on("pageerror", (error) => wrong.push(`${name}: ${error}`));
  // What the server refuses is said by the browser, too; what the policy of the page refuses must not be tried.
  page.on("console", (message) => { if (message.type() === "error" && !/Failed to load resource/.test(message.text())) wrong.push(`${name}: ${message.text()}`); });
  await page.goto(path);
  await page.click(`button[value=${name}]`);
  await page.waitForURL(path);
  return page;
}
const state = (page, word) => page.locator("#stands .state", { hasText: word }).waitFor();

const flows = {
  async both() {
    const alice = await somebody("alice", card);
    const carol = await somebody("carol", card);
    await alice.click("#approve", { force: true });
    has("without a number", await alice.textContent("#why"), "Type the number");
    is("without a number", await alice.getAttribute("#approve", "aria-disabled"), "true");
    await alice.fill("#number", "00");
    await alice.click("#approve");
    await alice.locator("#why.bad", { hasText: "2 more tries" }).waitFor();
    await alice.fill("#number", "42");
    await alice.fill("#comment", "as we said on Monday");
    await alice.screenshot({ path: `${pictures}/flow-ready.png`, fullPage: true });
    await alice.click("#approve");
    await alice.locator(".note", { hasText: "You approved this" }).waitFor();
    is("focus is at the result", await alice.evaluate(() => document.activeElement.id), "stands");
    await carol.locator(".reviews", { hasText: "as we said on Monday" }).waitFor();
    await carol.fill("#number", "42");
    await carol.focus("#number");
    await carol.keyboard.press("Tab"); await carol.keyboard.press("Tab");
    is("keyboard reaches the button", await carol.evaluate(() => document.activeElement.id), "approve");
    await carol.keyboard.press("Enter");
    await state(carol, "Approved");
    await state(alice, "Approved");
    has("it is said aloud", await alice.textContent("#say"), "approved");
    await alice.screenshot({ path: `${pictures}/flow-approved.png`, fullPage: true });
  },

  async at_once() {
    const pages = await Promise.all([somebody("alice", card), somebody("carol", card)]);
    for (const page of pages) {
      await page.fill("#number", "42");
      await page.waitForSelector("#approve[aria-disabled=false]");
    }
    // Whoever comes a moment later may find no form any more.
    await Promise.all(pages.map((page) => page.evaluate(() => document.querySelector("#approve")?.click())));
    await Promise.all(pages.map((page) => state(page, "Approved")));
  },

  async inbox() {
    const alice = await somebody("alice", `${base}/inbox`);
    is("one waits", await alice.locator(".rows li").count(), 1);
    await alice.keyboard.press("j");
    is("the first is at hand", await alice.evaluate(() => document.activeElement.id), id);
    const other = await ask({ argv: ["git", "push", "--force"], terms: { approvers: ["team:payments"], threshold: 1, assurance: "second-person", within_s: 900, valid_s: 300, channels: ["server"], justification: [], escalate: [] } });
    await alice.locator(`[id="${other}"]`).waitFor();
    is("focus stays", await alice.evaluate(() => document.activeElement.id), id);
    has("it is said aloud", await alice.textContent("#say"), "2 requests wait");
    await alice.keyboard.press("k");
    is("up", await alice.evaluate(() => document.activeElement.id), other);
    await alice.uncheck("#keys");
    await alice.keyboard.press("j");
    is("keys are off", await alice.evaluate(() => document.activeElement.id), "keys");
    await alice.focus(`[id="${other}"]`);
    await alice.keyboard.press("Enter");
    await alice.waitForURL(`${base}/r/${other}`);
    has("the card", await alice.textContent("h1"), "git");
    for (const path of ["history", "people", "grants", "settings"]) {
      const answer = await alice.goto(`${base}/${path}`);
      is(path, answer.status(), 200);
      has(path, (await answer.allHeaders())["content-security-policy"], "frame-ancestors 'none'");
    }
    is("no such page", (await alice.goto(`${base}/nothing`)).status(), 404);
    has("no such page", await alice.textContent("h1"), "There is no such page");
  },

  async plain() {
    const alice = await somebody("alice", card, { javaScriptEnabled: false });
    has("it is read", await alice.textContent("#cmd"), "payments");
    await alice.click("#approve", { force: true });
    is("approving does nothing", alice.url(), card);
    await alice.fill("#comment", "not today");
    await alice.click("#reject");
    await state(alice, "Rejected");
    has("the comment", await alice.textContent(".reviews"), "not today");
  },

  async own() {
    const bob = await somebody("bob", card);
    has("his own", await bob.textContent(".note"), "your own request");
    is("no form", await bob.locator("#decide").count(), 0);
    await bob.goto(`${base}/inbox`);
    has("in the inbox", await bob.textContent(".rows"), "your own request");
    const alice = await somebody("alice", card);
    has("not hers", await alice.textContent("h1"), "There is no such page");
    is("not in her inbox", await alice.goto(`${base}/inbox`).then(() => alice.locator(".rows li").count()), 0);
    const stream = await alice.request.get(`${card}/events`, { headers: { "sec-fetch-dest": "empty" } });
    is("nor its changes", stream.status(), 404);
  },

  async elsewhere() {
    const alice = await somebody("alice", card);
    const csrf = await alice.getAttribute("meta[name=csrf]", "content"), digest = await alice.getAttribute("#decide", "data-digest");
    const review = { data: { review: "reject", digest }, headers: { "sec-fetch-site": "same-origin" } };
    const rejected = { csrf, digest, comment: "" };
    const tries = {
      "no token": [`/v1/requests/${id}/reviews`, review, 403],
      "another's token": [`/v1/requests/${id}/reviews`, { ...review, headers: { ...review.headers, "x-gate-csrf": "x" } }, 403],
      "another site": [`/v1/requests/${id}/reviews`, { ...review, headers: { "sec-fetch-site": "cross-site", "x-gate-csrf": csrf } }, 403],
      "nobody says from where": [`/v1/requests/${id}/reviews`, { data: review.data, headers: { "x-gate-csrf": csrf } }, 403],
      "a form without a token": [`/r/${id}/reject`, { form: { ...rejected, csrf: "x" }, headers: review.headers }, 403],
      "a form of another site": [`/r/${id}/reject`, { form: rejected, headers: { "sec-fetch-site": "cross-site" } }, 403],
      "settings of another site": ["/settings/passkeys/options", { data: {}, headers: { "sec-fetch-site": "cross-site", "x-gate-csrf": csrf } }, 403],
      "another digest": [`/r/${id}/reject`, { form: { ...rejected, digest: "0".repeat(64) }, headers: review.headers }, 409],
    };
    for (const [what, [path, options, status]] of Object.entries(tries)) is(what, (await alice.request.post(base + path, options)).status(), status);
    for (const path of [`/r/${id}/reject`, `/v1/requests/${id}/reviews`, "/settings/passkeys"]) is(`GET ${path}`, (await alice.request.get(base + path)).status(), 405);
    // Another site's page with a form that sends itself, and with a frame.
    const evil = createServer((request, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      const fields = Object.entries(rejected).map(([name, value]) => `<input name="${name}" value="${value}">`).join("");
      response.end(request.url === "/form" ? `<form method="post" action="${base}/r/${id}/reject">${fields}</form><script>document.forms[0].submit()</script>` : `<iframe src="${card}"></iframe>`);
    }).listen(0, "127.0.0.1");
    await new Promise((ready) => evil.once("listening", ready));
    const there = await alice.context().newPage();
    const sent = there.waitForResponse((response) => response.url().startsWith(base));
    await there.goto(`http://127.0.0.1:${evil.address().port}/form`);
    const status = (await sent).status();
    if (status !== 401 && status !== 403) wrong.push(`a form of another site was answered ${status}`);
    await there.goto(`http://127.0.0.1:${evil.address().port}/frame`);
    const text = await there.frames()[1].evaluate(() => document.body?.textContent ?? "").catch(() => "");
    is("nothing in the frame", text.includes("What runs"), false);
    evil.closeAllConnections();
    evil.close();
  },

  async ended() {
    const alice = await somebody("alice", card);
    const tab = await alice.context().newPage();
    await tab.goto(`${base}/inbox`);
    await tab.click(".me button");
    await tab.waitForURL((url) => url.pathname !== "/inbox");
    await alice.fill("#comment", "no");
    await alice.click("#reject");
    await alice.locator("button[value=alice]").or(alice.locator("#why.bad")).first().waitFor();
    await alice.reload();
    await alice.locator("button[value=alice]").waitFor();
  },

  async step_up() {
    const alice = await somebody("alice", card);
    await alice.fill("#number", "42");
    await alice.click("#approve");
    await alice.click('button[value="alice+mfa"]');
    await alice.waitForURL(card);
    await alice.fill("#number", "42");
    await alice.click("#approve");
    await state(alice, "Approved");
  },

  async long() {
    const alice = await somebody("alice", card);
    await alice.fill("#number", "42");
    has("not read", await alice.textContent("#why"), "Read the command to its end");
    await alice.click("#approve", { force: true });
    is("the command is at hand", await alice.evaluate(() => document.activeElement.id), "cmd");
    await alice.keyboard.press("End");
    await alice.locator("#approve[aria-disabled=false]").waitFor();
    await alice.click("#approve");
    await state(alice, "Approved");
  },

  async narrower() {
    const alice = await somebody("alice", card);
    await alice.fill("#comment", "too much");
    await alice.click("details:has(#narrow) summary");
    await alice.click("#narrow");
    has("unchanged", await alice.textContent("#why"), "Change the command");
    await alice.fill("#narrower", (await alice.inputValue("#narrower")).replace("-rf\n", ""));
    await alice.click("#narrow");
    await state(alice, "Rejected");
  },

  async passkey() {
    const alice = await somebody("alice", `${base}/settings`);
    const devtools = await alice.context().newCDPSession(alice);
    await devtools.send("WebAuthn.enable");
    const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: false, automaticPresenceSimulation: true };
    const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options });
    const register = async (name) => { await alice.fill("#name", name); await alice.click("#register button"); };
    await register("unverified");
    await alice.locator("#said.bad", { hasText: "was not used" }).waitFor();
    await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
    let sent;
    alice.on("request", (request) => { if (request.url() === `${base}/settings/passkeys`) sent = request; });
    await register("laptop <b>");
    await alice.locator(".passkeys", { hasText: "laptop <b>" }).waitFor();
    await alice.screenshot({ path: `${pictures}/flow-passkey.png`, fullPage: true });
    await register("again");
    await alice.locator("#said.bad", { hasText: "registered already" }).waitFor();
    const csrf = await alice.getAttribute("meta[name=csrf]", "content");
    const headers = { "x-gate-csrf": csrf, "sec-fetch-site": "same-origin" };
    const made = sent.postDataJSON();
    const post = (path, data) => alice.request.post(base + path, { data, headers });
    const replayed = await post("/settings/passkeys", made);
    is("replayed", replayed.status(), 422);
    has("replayed", await replayed.text(), "was used already");
    // Another person's challenge is not this person's.
    const carol = await somebody("carol", `${base}/settings`);
    const theirs = { "x-gate-csrf": await carol.getAttribute("meta[name=csrf]", "content"), "sec-fetch-site": "same-origin" };
    const { challenge } = await (await carol.request.post(`${base}/settings/passkeys/options`, { data: {}, headers: theirs })).json();
    const client = JSON.parse(Buffer.from(made.client_data, "base64url"));
    const other = { ...made, client_data: Buffer.from(JSON.stringify({ ...client, challenge })).toString("base64url") };
    is("another's challenge", (await post("/settings/passkeys", other)).status(), 422);
    const link = await alice.getAttribute(".passkeys a", "href");
    const file = await (await alice.request.get(base + link)).json();
    is("the registration", Object.keys(file).sort().join(), "attestation_object,client_data,nonce");
    is("it is nobody else's", (await carol.request.get(base + link)).status(), 404);
    const theirRemove = await carol.request.post(`${base}/settings/passkeys/remove`, { data: { id: link.split("/").pop() }, headers: theirs });
    is("nor removed by them", theirRemove.status(), 404);
    await alice.click("[data-remove]");
    await alice.locator(".empty", { hasText: "You have no passkey here" }).waitFor();
  },

  async many() {
    const alice = await somebody("alice", `${base}/inbox`);
    is("one page", await alice.locator(".rows li").count(), 50);
    is("and more", await alice.textContent(".count"), "50+");
    await alice.click(".more a");
    is("the next page", await alice.locator(".rows li").count(), 50);
  },
};

const kit = { base, id, other, pictures, is, has, tell, ask, somebody, state };
Object.assign(flows, passkeys(kit), duties(kit), grants(kit));
try {
  await flows[flow]();
} catch (error) {
  wrong.push(String(error));
}
await browser.close();
console.log([...new Set(wrong)].join("\n") || "clean");
process.exit(wrong.length ? 1 : 0);
