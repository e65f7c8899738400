// What a few people may do for a whole server, on its pages.
export default ({ base, id, pictures, is, has, ask, somebody, state }) => {
  const reload = (page, act) => Promise.all([page.waitForEvent("load"), act()]);

  return {
    async stop() {
      const alice = await somebody("alice", `${base}/server`), bob = await somebody("bob", `${base}/inbox`);
      const carol = await somebody("carol", `${base}/inbox`), waits = await somebody("carol", `${base}/r/${id}`);
      is("no duties, no page", await carol.locator(".top nav a", { hasText: "Server" }).count(), 0);
      is("no duties, no page", (await carol.request.get(`${base}/server`)).status(), 404);
      await alice.click("summary");
      await alice.fill("#stop-why", "a token was seen <b>in public</b>");
      await alice.fill("#stop-word", "yes");
      await alice.click("form.call button");
      is("the words are not those", await alice.locator("#stop-word:invalid").count(), 1);
      is("nothing is stopped", await alice.locator(".stopped").count(), 0);
      await alice.fill("#stop-word", "stop everything");
      await alice.screenshot({ path: `${pictures}/flow-stop.png`, fullPage: true });
      await reload(alice, () => alice.click("form.call button"));
      has("it is told", await alice.textContent(".stopped"), "a token was seen <b>in public</b>");
      // Whoever looks at a list or at a request sees it, too.
      await carol.locator(".stopped", { hasText: "Alice Archer stopped it" }).waitFor();
      has("it is said aloud", await carol.textContent("#say"), "Everything is stopped");
      await state(waits, "Rejected");
      has("why", await waits.textContent(".reviews"), "emergency stop: a token was seen");
      await waits.screenshot({ path: `${pictures}/flow-stopped.png`, fullPage: true });
      for (const path of ["inbox", "history", "people", "grants", "settings", `r/${id}`]) {
        await bob.goto(`${base}/${path}`);
        is(`the banner on ${path}`, await bob.locator(".stopped").count(), 1);
      }
      await reload(alice, () => alice.click("form.call button"));
      has("one of two", await alice.textContent(".note"), "One more person has to say so");
      is("not twice", await alice.locator("form.call").count(), 0);
      is("still stopped", await alice.locator(".stopped").count(), 1);
      await bob.goto(`${base}/server`);
      has("one of two", await bob.textContent("main"), "one has said so");
      await reload(bob, () => bob.click("form.call button"));
      is("lifted", await bob.locator(".stopped").count(), 0);
      await carol.locator(".stopped").waitFor({ state: "detached" });
    },

    async glass() {
      const carol = await somebody("carol", `${base}/r/${id}`);
      has("others are named", await carol.textContent(".note"), "Its terms name other people");
      const breaks = async () => {
        await carol.fill("#glass-number", "42");
        await carol.screenshot({ path: `${pictures}/flow-glass.png`, fullPage: true });
        await carol.click(".glass button");
      };
      await carol.click(".glass summary");
      await carol.fill("#glass-number", "42");
      await carol.click(".glass button");
      is("it needs a reason", await carol.locator("#glass-why:invalid").count(), 1);
      await carol.fill("#glass-why", "the site is down");
      await breaks();
      // Without a second factor it leads to one, and back.
      await carol.click('button[value="carol+mfa"]');
      await carol.waitForURL(`${base}/r/${id}`);
      is("what was typed is still there", await carol.inputValue("#glass-why"), "the site is down");
      await breaks();
      await state(carol, "Approved");
      has("how", await carol.textContent(".reviews"), "alone, by break-glass");
      has("who looks at it", await carol.textContent("#glass"), "team sre has to look at it still");
      is("not whoever broke it", await carol.locator("#glass form").count(), 0);
      const bob = await somebody("bob", `${base}/r/${id}`);
      is("not whom it served", await bob.locator("#glass form").count(), 0);
      const alice = await somebody("alice", `${base}/inbox`);
      await alice.click("text=See what was done");
      await alice.waitForURL(`${base}/server`);
      has("what was done", await alice.textContent("main"), "the site is down");
      await alice.screenshot({ path: `${pictures}/flow-owed.png`, fullPage: true });
      await alice.click(`a[href="/r/${id}"]`);
      await alice.fill("#found", "right, and in time");
      await reload(alice, () => alice.click("#glass button"));
      is("given", await alice.locator("#glass form").count(), 0);
      await alice.goto(`${base}/server`);
      has("nothing is owed", await alice.textContent("main"), "No review is owed");
    },

    async place() {
      const alice = await somebody("alice", `${base}/inbox`);
      is("not hers", await alice.locator(".rows li").count(), 0);
      const carol = await somebody("carol", `${base}/settings`);
      const own = await carol.textContent("code.line");
      await carol.click("summary");
      const give = async (to) => {
        await carol.fill("#to", to);
        await carol.fill("#place-why", "on holiday");
        await carol.click("details .call button");
      };
      await give("alice");
      is("an id is whole", await carol.locator("#to:invalid").count(), 1);
      await give(own);
      await carol.locator(".said.bad", { hasText: "To has to be another person" }).waitFor();
      await carol.uncheck("[name=slots] >> nth=0");
      await carol.screenshot({ path: `${pictures}/flow-give.png`, fullPage: true });
      await reload(carol, () => give(own.replace("carol", "alice")));
      has("given", await carol.textContent(".members"), "alice at");
      await carol.screenshot({ path: `${pictures}/flow-place.png`, fullPage: true });
      await alice.reload();
      has("in her inbox", await alice.textContent(".rows"), "in the place of carol");
      await alice.click(".rows a");
      has("on the card", await alice.textContent("#decide"), "You decide in the place of carol");
      await alice.fill("#number", "42");
      await alice.click("#approve");
      await state(alice, "Approved");
      has("in the review", await alice.textContent(".reviews"), "in the place of carol");
      await alice.goto(`${base}/settings`);
      has("she sees it", await alice.textContent(".members"), "You decide in the place of");
      await reload(carol, () => carol.click(".members button"));
      is("ended", await carol.locator(".members").count(), 0);
      await ask({ terms: { approvers: ["team:security"], threshold: 1, assurance: "second-person", within_s: 900, valid_s: 300, channels: ["server"], justification: [], escalate: [] } });
      await alice.goto(`${base}/inbox`);
      is("no longer hers", await alice.locator(".rows li").count(), 0);
    },

    async lists() {
      const alice = await somebody("alice", `${base}/server`);
      const text = await alice.textContent("main");
      for (const part of ["two histories", "went back", "4 entries came", "when there had been 6", "2 entries were countersigned", "answered 500"]) has("the lists", text, part);
      await alice.screenshot({ path: `${pictures}/flow-lists.png`, fullPage: true });
      await reload(alice, () => alice.click('[data-call="/v1/webhooks/retry"] button'));
      has("sent again", await alice.textContent("main"), "There are none.");
      await reload(alice, () => alice.click('[data-call="/v1/configuration/confirm"] button'));
      has("confirmed", await alice.textContent("main"), "You confirmed the file's");
      const { hosts } = await (await alice.request.get(`${base}/v1/hosts`)).json();
      is("the hosts", JSON.stringify(hosts.map(({ entries, forked, went_back: back }) => [entries, Boolean(forked), back?.entries, back?.were])), "[[2,false,null,null],[6,false,4,6],[3,true,null,null]]");
      const carol = await somebody("carol", `${base}/inbox`);
      const again = await alice.request.post(`${base}/v1/webhooks/retry`, { data: { webhook: "hook", event: 4711 }, headers: { "x-gate-csrf": await alice.getAttribute("meta[name=csrf]", "content"), "sec-fetch-site": "same-origin" } });
      is("what is not dead is not sent again", again.status(), 404);
      for (const path of ["hosts", "webhooks/dead"]) {
        is(`${path} of an administrator`, (await alice.request.get(`${base}/v1/${path}`)).status(), 200);
        is(`${path} of others`, (await carol.request.get(`${base}/v1/${path}`)).status(), 403);
      }
    },

    async again() {
      const alice = await somebody("alice", `${base}/r/${id}`);
      const before = await alice.textContent("[aria-labelledby=h-before]");
      for (const part of ["asked once before", "rejected by Alice Archer", "not before monday"]) has("asked again", before, part);
      const steps = await alice.textContent(".steps");
      for (const part of ["team security may decide, too", "those who are asked are reminded"]) has("what is next", steps, part);
    },
  };
};
