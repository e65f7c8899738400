// Opens a page in Chromium as an auditor would, in light, dark, narrow and printed, and says what is wrong with it.
// look.mjs MODULES PAGE [DIRECTORY for pictures]
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, file, pictures] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core"), "utf8");
const executablePath = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => {
  try { return readFileSync(path, { flag: "r" }).length > 0; } catch { return false; }
});
const url = pathToFileURL(file).href;
const wrong = [];
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
for (const [name, colorScheme, width] of [["light", "light", 1200], ["dark", "dark", 1200], ["phone", "light", 390]]) {
  // axe has to get in, so the second look does not enforce the page's own policy; the first one does.
  for (const bypassCSP of [false, true]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, bypassCSP });
    const page = await context.newPage();
    page.on("console", (message) => wrong.push(`${name}: console: ${message.text()}`));
    page.on("pageerror", (error) => wrong.push(`${name}: ${error}`));
    page.on("dialog", () => wrong.push(`${name}: a dialog opened`));
    page.on("request", (request) => { if (request.url() !== url) wrong.push(`${name}: asked for ${request.url()}`); });
    await page.goto(url);
    if (bypassCSP) {
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run());
      for (const { id, nodes } of found.violations) wrong.push(`${name}: axe ${id}: ${nodes[0].html} (${nodes.length}): ${nodes[0].failureSummary}`);
    } else {
      const seen = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        scripts: document.querySelectorAll("script,img,iframe,object,embed,link,form,[onclick],[onerror],[onload]").length,
        links: [...document.querySelectorAll("a")].filter((a) => !a.getAttribute("href").startsWith("#")).length,
        styled: getComputedStyle(document.querySelector("h1")).fontWeight,
        title: document.title,
      }));
      if (seen.wide > 0) wrong.push(`${name}: ${seen.wide} pixels wider than the window`);
      if (seen.scripts || seen.links) wrong.push(`${name}: something from the record became an element`);
      if (seen.styled !== "600") wrong.push(`${name}: the style sheet was not taken`);
      if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
    }
    if (name === "light" && !bypassCSP) {
      const pdf = await page.pdf({ preferCSSPageSize: true, path: pictures && `${pictures}/print.pdf` });
      if (pdf.subarray(0, 5).toString() !== "%PDF-") wrong.push("it does not print");
    }
    await context.close();
  }
}
await browser.close();
console.log(wrong.join("\n") || "clean");
process.exit(wrong.length ? 1 : 0);
