// Approving more than one run, on the card and in the list of standing grants.
export default ({ base, id, other, pictures, is, has, tell, somebody, state }) => {
  const card = (request) => `${base}/r/${request}`;
  const marked = (page) => page.locator("#cmd li.any .r").allTextContents();

  return {
    async lasting() {
      const alice = await somebody("alice", card(id));
      await alice.fill("#number", "42");
      is("without it", await alice.textContent("#approve"), "Approve");
      has("without it", await alice.textContent("#why"), "exactly this, once");
      await alice.click("#more summary");
      await alice.locator("#why", { hasText: "Say how often" }).waitFor();
      is("nothing is chosen", await alice.inputValue("#uses") + await alice.inputValue("#span") + await alice.locator("#more input:checked").count(), "0");
      is("what may be left open", (await alice.locator("#more .tick").allTextContents()).map((text) => text.trim()).join(), "prod-eu-1,delete,namespace,payments");
      is("how long", (await alice.locator("#span option").allTextContents()).join(), "Choose,1 h,4 h,8 h");
      await alice.click("#approve", { force: true });
      is("it leads to what is missing", await alice.evaluate(() => document.activeElement.id), "uses");
      await alice.keyboard.type("6");
      await alice.keyboard.press("Enter");
      await alice.selectOption("#span", "14400");
      has("more uses than the terms allow", await alice.textContent("#why"), "Say how often");
      await alice.fill("#uses", "3");
      has("the very same", await alice.textContent("#why"), "You approve exactly this, 3 times within 4 h: digest");
      await alice.check("#more input[value='5']");
      has("how far", await alice.textContent("#why"), "You approve this and the like, 3 times within 4 h: digest");
      has("the pattern", await alice.textContent("#why"), "The pattern: kubectl --context prod-eu-1 delete namespace <any> --wait=false");
      is("the button", await alice.textContent("#approve"), "Approve 3 times");
      is("marked in the command", (await marked(alice)).join(), "payments");
      await alice.screenshot({ path: `${pictures}/flow-lasting-light.png`, fullPage: true });
      await alice.emulateMedia({ colorScheme: "dark" });
      await alice.screenshot({ path: `${pictures}/flow-lasting-dark.png`, fullPage: true });
      await alice.setViewportSize({ width: 360, height: 800 });
      is("it fits a phone", await alice.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);
      await alice.screenshot({ path: `${pictures}/flow-lasting-phone.png`, fullPage: true });
      await alice.emulateMedia({ colorScheme: "light" });
      await alice.setViewportSize({ width: 1280, height: 900 });
      await alice.click("#approve");
      await state(alice, "Approved");
      has("the original", await alice.textContent("#stands"), "any word of its kind in the place of payments. 2 are left.");
      has("the review", await alice.textContent(".reviews"), "3 uses until");
      is("still marked", (await marked(alice)).join(), "payments");

      const second = await tell("like payments-2");
      await alice.goto(card(second));
      await state(alice, "Approved");
      has("a use", await alice.textContent("#stands"), "Approved under a standing grant: use 2 of 3.");
      is("it leads to the original", await alice.getAttribute("#stands a", "href"), `/r/${id}`);
      is("what could be another", (await marked(alice)).join(), "payments-2");
      await alice.screenshot({ path: `${pictures}/flow-use.png`, fullPage: true });
      await alice.goto(card(await tell("unlike payments-2")));
      is("another command waits", await alice.locator("#decide").count(), 1);

      const carol = await somebody("carol", `${base}/grants`);
      is("it is not hers to see", await carol.locator(".members").count(), 0);
      await alice.goto(`${base}/grants`);
      is("the pattern in the list", (await alice.textContent(".members code")).replace(/\s+/g, " ").trim(), "kubectl --context prod-eu-1 delete namespace any --wait=false 'two words'");
      for (const part of ["ada@build-01", "given by Alice Archer", "1 of 3 uses left"]) has("the list", await alice.textContent(".members"), part);
      await alice.screenshot({ path: `${pictures}/flow-grants.png`, fullPage: true });
      await Promise.all([alice.waitForEvent("load"), alice.click(".members button")]);
      has("ended", await alice.textContent(".empty"), "There are none.");
      await alice.goto(card(id));
      has("the original, later", await alice.textContent("#stands"), "It has ended.");
      await alice.goto(card(second));
      has("what did not run yet", await alice.textContent("#stands"), "The standing grant was ended");
      await alice.goto(card(await tell("like payments-3")));
      is("the next waits", await alice.locator("#decide").count(), 1);
      await alice.goto(`${base}/history`);
      for (const part of ["use 2 of 3", "standing grant, 3 uses"]) has("the history", await alice.textContent(".rows"), part);
    },

    async many_lasting() {
      const alice = await somebody("alice", `${base}/grants`);
      is("one page", await alice.locator(".members li").count(), 50);
      await alice.click(".more a");
      is("the next page", await alice.locator(".members li").count(), 1);
    },

    async closed() {
      const alice = await somebody("alice", card(id));
      await alice.fill("#number", "42");
      // By keys alone.
      await alice.focus("#more summary");
      for (const key of ["Enter", "Tab", "Tab", "3", "Tab"]) await alice.keyboard.press(key);
      is("keyboard reaches the span", await alice.evaluate(() => document.activeElement.id), "span");
      for (const key of ["1", "Tab", "Tab", "Space"]) await alice.keyboard.press(key);
      is("keyboard leaves a word open", (await marked(alice)).join(), "delete");
      has("how far", await alice.textContent("#why"), "3 times within 1 h");
      await alice.focus("#more summary");
      await alice.keyboard.press("Enter");
      await alice.locator("#why", { hasText: "You approve exactly this, once" }).waitFor();
      is("the button", await alice.textContent("#approve"), "Approve");
      is("nothing is marked", (await marked(alice)).length, 0);
      await alice.click("#approve");
      await state(alice, "Approved");
      is("no standing grant", (await alice.textContent("main")).includes("tanding grant:"), false);
    },

    async unoffered() {
      const alice = await somebody("alice", card(id));
      is("she decides", await alice.locator("#decide").count(), 1);
      is("the terms allow none", await alice.locator("#more").count(), 0);
      // In her own place Carol may, whoever decides in hers may not.
      const carol = await somebody("carol", card(other));
      is("herself", await carol.locator("#more").count(), 1);
      const headers = { "x-gate-csrf": await carol.getAttribute("meta[name=csrf]", "content"), "sec-fetch-site": "same-origin" };
      await carol.goto(`${base}/settings`);
      const to = (await carol.locator("code.line").last().textContent()).replace("carol", "alice");
      const data = { to, slots: ["team:security"], until: new Date(Date.now() + 3600000).toISOString(), reason: "on holiday" };
      is("given", Math.floor((await carol.request.post(`${base}/v1/delegations`, { data, headers })).status() / 100), 2);
      await alice.goto(card(other));
      has("in her place", await alice.textContent("#decide"), "in the place of carol");
      is("no more than once", await alice.locator("#more").count(), 0);
    },
  };
};
