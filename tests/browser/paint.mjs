// Opens a page in Chromium, each time in a new context, and tells in JSON when it was first painted, in milliseconds from the navigation's start.
// paint.mjs MODULES URL COOKIE
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, url, cookie] = process.argv.slice(2);
const { chromium } = createRequire(modules + "/")("playwright-core");
const executablePath = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => {
  try { return readFileSync(path, { flag: "r" }).length > 0; } catch { return false; }
});
const [name, value] = cookie.split("=");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const paints = [];
for (let load = 0; load < 12; load++) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  await context.addCookies([{ name, value, url }]);
  const page = await context.newPage();
  await page.goto(url, { waitUntil: "load" });
  const seen = await page.waitForFunction(() => {
    const at = Object.fromEntries(performance.getEntriesByType("paint").map((one) => [one.name, one.startTime]));
    const [navigation] = performance.getEntriesByType("navigation");
    return at["first-paint"] && at["first-contentful-paint"] && { first: at["first-paint"], contentful: at["first-contentful-paint"], answered: navigation.responseEnd };
  });
  // The first two warm the browser itself up.
  if (load > 1) paints.push(await seen.jsonValue());
  await context.close();
}
await browser.close();
console.log(JSON.stringify(paints));
