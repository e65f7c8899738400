// Serves pages as a server would and opens each in Chromium: light, dark, at three widths; says what is wrong with them.
// pages.mjs MODULES PAGES PICTURES
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { readFileSync, readdirSync } from "node:fs";

const [modules, place, pictures] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core"), "utf8");
const executablePath = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => {
  try { return readFileSync(path, { flag: "r" }).length > 0; } catch { return false; }
});
const headers = JSON.parse(readFileSync(`${place}/headers.json`, "utf8"));
const kinds = { html: "text/html; charset=utf-8", css: "text/css", js: "text/javascript" };
const server = createServer((request, response) => {
  for (const [name, value] of headers) response.setHeader(name, value);
  if (request.url.endsWith("/events")) {
    response.writeHead(200, { "content-type": "text/event-stream" }).write(": here\n\n");
    return;
  }
  try {
    const bytes = readFileSync(place + request.url);
    response.writeHead(200, { "content-type": kinds[request.url.split(".").pop()] }).end(bytes);
  } catch {
    response.writeHead(404).end();
  }
}).listen(0, "127.0.0.1");
await new Promise((ready) => server.once("listening", ready));
const base = `http://127.0.0.1:${server.address().port}`;

const wrong = [];
const only = process.env.PAGES?.split(",");
const names = readdirSync(place).filter((name) => name.endsWith(".html")).map((name) => name.slice(0, -5)).filter((name) => !only || only.includes(name));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
for (const width of [360, 768, 1280]) for (const colorScheme of ["light", "dark"]) {
  // axe has to get in, so its look does not enforce the pages' own policy; the first look does.
  for (const bypassCSP of width === 1280 || colorScheme === "dark" && width === 360 ? [false, true] : [false]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, bypassCSP, reducedMotion: "reduce" });
    for (const name of names) {
      const page = await context.newPage();
      const at = `${name} ${width} ${colorScheme}`;
      page.on("console", (message) => wrong.push(`${at}: console: ${message.text()}`));
      page.on("pageerror", (error) => wrong.push(`${at}: ${error}`));
      page.on("dialog", () => wrong.push(`${at}: a dialog opened`));
      page.on("request", (request) => { if (!request.url().startsWith(base) && !request.url().startsWith("data:")) wrong.push(`${at}: asked for ${request.url()}`); });
      await page.goto(`${base}/${name}.html`);
      if (bypassCSP) {
        // What is folded away has to be as good.
        await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
        await page.evaluate(axe);
        const found = await page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
        for (const { id, nodes } of found.violations) wrong.push(`${at}: axe ${id}: ${nodes[0].html} (${nodes.length}): ${nodes[0].failureSummary}`);
      } else {
        const seen = await page.evaluate(() => ({
          wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          ours: document.querySelectorAll("img,iframe,object,embed,style,script:not([src^='/assets/']),[onclick],[onerror],[onload]").length,
          styled: getComputedStyle(document.querySelector(".top")).display,
          small: [...document.querySelectorAll("button,a.button")].filter((one) => one.offsetParent && (one.offsetHeight < 24 || one.offsetWidth < 24)).length,
        }));
        const shifted = await page.evaluate(() => new Promise((done) => {
          let sum = 0;
          new PerformanceObserver((list) => list.getEntries().forEach((one) => { sum += one.value; })).observe({ type: "layout-shift", buffered: true });
          requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(sum), 20)));
        }));
        // A clock that ticks may move a word after it.
        if (shifted > 0.005) wrong.push(`${at}: the layout shifts by ${shifted}`);
        if (seen.wide > 0) wrong.push(`${at}: ${seen.wide} pixels wider than the window`);
        if (seen.ours) wrong.push(`${at}: something of a request became an element`);
        if (seen.styled !== "flex") wrong.push(`${at}: the style sheet was not taken`);
        if (seen.small) wrong.push(`${at}: ${seen.small} buttons are too small to hit`);
        await page.screenshot({ path: `${pictures}/${name}-${width}-${colorScheme}.png`, fullPage: true });
      }
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
server.closeAllConnections();
server.close();
console.log([...new Set(wrong)].join("\n") || "clean");
process.exit(wrong.length ? 1 : 0);
